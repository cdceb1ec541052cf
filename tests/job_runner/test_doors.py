"""How requests find this interface: settings, the gateway, TLS."""

import ssl
from typing import Any

import pytest

from gristmill.dialects.job_runner.app import speaks_job_runner
from gristmill.domain.errors import InvalidInputError
from gristmill.server.settings_sources import load, parse_flags
from tests.e2e.harness import RunningServer
from tests.job_runner.conftest import Start
from tests.job_runner.talk import Person, Worker
from tests.job_runner.world import SECRET, WORLD


def settings(*words: str) -> Any:
    return load(parse_flags(["--home", "/nowhere", *words]), {}).settings.job_runner


def test_settings() -> None:
    usual = settings()
    assert (str(usual.timezone), usual.health_interval) == ("UTC", 300.0)
    assert (usual.broadcast, usual.events, usual.websocket) == (None, None, None)
    given = settings(
        "--job-runner-timezone", "Europe/Amsterdam", "--job-runner-broadcast", "0.0.0.0:5556"
    )
    assert given.timezone.key == "Europe/Amsterdam"
    assert str(given.broadcast) == "0.0.0.0:5556"


@pytest.mark.parametrize("zone", ["Nowhere/City", "", "../etc/passwd", "/etc/localtime", "\x00"])
def test_zones_that_are_none(zone: str) -> None:
    with pytest.raises(InvalidInputError, match="time zone"):
        settings("--job-runner-timezone", zone)


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ([], False),
        ([(b"authorization", b"ApiKey a:" + b"0" * 40)], True),
        ([(b"authentication", b"ApiKey a:" + b"f" * 40)], True),
        ([(b"authorization", b"ApiKey ann:plain-key")], False),
        ([(b"cookie", b"a=b; sessionid=x")], True),
        ([(b"cookie", b"sessionid=x")], True),
        ([(b"cookie", b"mysessionid=x; a=sessionid")], False),
    ],
)
def test_what_the_gateway_hands_over(headers: list[tuple[bytes, bytes]], ours: bool) -> None:
    assert speaks_job_runner({"headers": headers}) is ours


def test_addresses_in_use(start: Start, home: Any) -> None:
    first = start("--engine", "none", "--job-runner-broadcast", "127.0.0.1:0")
    said = first.url_http.rpartition(":")[2]
    with pytest.raises(AssertionError, match="job-runner-events"):
        start("--job-runner-events", f"127.0.0.1:{said}", home=home.with_name("other"))


def test_sessions_over_tls(start: Start) -> None:
    server: RunningServer = start("--engine", "none")
    server.client().apply(WORLD)
    context = ssl.create_default_context(cafile=server.home / "ca.pem")
    worker = Worker(server.url_https, "blue-heron", SECRET, verify=context)
    uri = worker.titled("job", "first")["resource_uri"]
    here: dict[str, Any] = {"headers": {"Referer": f"{server.url_https}/project/1/jobs/"}}
    bob = Person(server.url_https, "bob", verify=context, **here)
    assert bob.reply.status_code == 302
    assert all("secure" in value.lower() for value in bob.reply.headers.get_list("set-cookie"))
    assert bob.status("PATCH", uri, {"description": "new"}) == 202
    del bob.client.headers["Referer"]
    assert bob.status("PATCH", uri, {"description": "newer"}) == 401
    assert bob.status("PATCH", uri, {}, Referer=server.url_http) == 401
    worker.close()
    bob.close()
