"""Keys, serve rules and profiles: servers that are set up otherwise."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Start
from tests.e2e.harness import ServerDiedError
from tests.omega.talk import Auth, Omega

BODY = {"data": {"x": [0, 1], "y": [0, 2]}}
RECIPE = {"name": "foo", "pipeline": [["LinearRegression", {}]]}


def test_keys_bind_as_soon_as_there_is_one(start: Start) -> None:
    server = start("--engine", "none")
    open_to_all = Omega(server)
    assert open_to_all.ok("GET", "dataset/", 200)["objects"] == []
    site = {"Sec-Fetch-Site": "cross-site"}
    open_to_all.refused("GET", "dataset/", 403, headers=site)
    for headers in ({"Host": "evil.example"}, {"X-Forwarded-For": "192.0.2.1"}):
        open_to_all.refused("GET", "dataset/", 401, headers=headers)
    for host in ("localhost:8001", "[::1]:7070", "127.0.0.2"):
        open_to_all.ok("GET", "dataset/", 200, headers={"Host": host})
    key = server.client().create_token("alice", api_key=True).token
    for path in ("dataset/", "model/", "job/", "config/"):
        reply = open_to_all("GET", path)
        assert reply.status_code == 401
        assert "ApiKey" in reply.headers["WWW-Authenticate"]
    assert open_to_all("GET", "ping").status_code == 200
    alice = Omega(server, Auth("alice", key))
    (config,) = alice.ok("GET", "config/", 200)["objects"]
    assert config["data"]["OMEGA_USERID"] == "alice"
    assert config["data"]["OMEGA_RESTAPI_URL"] == server.url_http
    alice.refused("GET", "config/?user=bob", 403)
    Omega(server, Auth("bob", key)).refused("GET", "dataset/", 401)
    reader = server.client().create_token("carol", scopes=["read"]).token
    bearer = {"Authorization": f"Bearer {reader}"}
    open_to_all.ok("GET", "dataset/", 200, headers=bearer)
    open_to_all.refused("PUT", "dataset/a", 403, headers=bearer, json=BODY)
    server.kill9()
    server.restart()
    assert open_to_all("GET", "dataset/").status_code == 401


def test_limits_speak_this_interface(start: Start) -> None:
    omega = Omega(start("--engine", "none", "--max-body", "1M"))
    body = b'{"data": {"x": ["' + b"a" * (2 << 20) + b'"]}}'
    reply = omega("PUT", "dataset/d", data=body)
    assert (reply.status_code, list(reply.json())) == (413, ["message"])


def test_tokens_alone(start: Start) -> None:
    server = start("--engine", "none", "--omega-access", "token")
    assert Omega(server)("GET", "model/").status_code == 401
    admin = {"Authorization": f"Bearer {server.token}"}
    Omega(server).ok("GET", "config/?user=bob&view=1", 200, headers=admin)


def _only_foo(omega: Omega) -> None:
    omega.ok("GET", "ping", 200)
    assert "not available" in omega.refused("GET", "dataset/", 403)
    omega.refused("PUT", "dataset/a", 403, json=BODY)
    omega.refused("POST", "dataset/", 403, json={**BODY, "name": "a"})
    omega.refused("POST", "job/a/", 403, json={"code": "1"})
    omega.refused("POST", "model/", 403, json=RECIPE)
    omega.refused("PUT", "model/foo/fit?datax=a", 403)
    omega.refused("PUT", "model/food/predict", 403, json=BODY)
    omega.refused("GET", "model/foo/", 403)
    omega.refused("GET", "model/foo/?datax=a", 404)
    omega.refused("PUT", "model/foo/predict/", 404, json=BODY)
    assert omega.ok("GET", "model/", 200)["objects"] == []
    assert omega("GET", f"{omega.server.url_http}/api/doc/v1").status_code == 200


def _by_flag(folder: Path) -> tuple[list[str], dict[str, str]]:
    return ["--omega-rule", "model/foo/predict", "--omega-rule", "job/none/.*"], {
        "OMEGA_RESTAPI_FILTER": ".*/.*/.*"
    }


def _by_variable(folder: Path) -> tuple[list[str], dict[str, str]]:
    return [], {"OMEGA_RESTAPI_FILTER": ";model/foo/predict;;nix/a/b"}


def _by_file(folder: Path) -> tuple[list[str], dict[str, str]]:
    file = folder / "rules.txt"
    file.write_text("# only this\n\nmodels/foo/predict\n")
    return ["--omega-rules", str(file), "--omega-rule", ".*/.*/.*"], {}


@pytest.mark.parametrize("given", [_by_flag, _by_variable, _by_file])
def test_rules(
    start: Start, folder: Path, given: Callable[[Path], tuple[list[str], dict[str, str]]]
) -> None:
    flags, variables = given(folder)
    _only_foo(Omega(start("--engine", "none", *flags, variables=variables)))


def test_lists_show_what_may_be_read(start: Start) -> None:
    server = start()
    omega = Omega(server)
    for name in ("a1", "a2", "b1", "b2", "b3"):
        omega.ok("PUT", f"dataset/{name}", 204, json=BODY)
    server.stop()
    server.flags = (*server.flags, "--omega-rule", "dataset/b.*/get")
    server.restart()
    page = omega.ok("GET", "dataset/?limit=2", 200)
    assert [each["data"]["name"] for each in page["objects"]] == ["b1", "b2"]
    assert page["meta"]["total_count"] == 3
    assert page["meta"]["next"] == "/api/v1/dataset/?limit=2&offset=2"


@pytest.mark.parametrize("flags", [["--omega-rule", "("], ["--omega-rules", "/nix/nix"],
                                   ["--omega-profile", "nix"]])  # fmt: skip
def test_settings_that_make_no_sense(start: Start, flags: list[str]) -> None:
    with pytest.raises((ServerDiedError, AssertionError)) as caught:
        start("--engine", "none", *flags)
    assert flags[1] in str(caught.value)


def test_later_status_codes(start: Start) -> None:
    omega = Omega(start("--omega-profile", "flask"))
    reply = omega("PUT", "dataset/d", json=BODY)
    assert (reply.status_code, reply.json()) == (200, "")
    omega.ok("POST", "model/", 201, json=RECIPE)
    assert omega.ok("PUT", "model/foo/fit?datax=d[x]&datay=d[y]", 200)["result"] == "ok"
    omega.ok("PUT", "model/foo/predict", 200, json={"data": {"x": [3]}})
    omega.refused("GET", "model/nix", 400)
    omega.refused("DELETE", "dataset/nix", 404)
    omega.ok("DELETE", "dataset/d", 200)
    assert omega("PUT", "model/foo/predict?async=1", json={"data": {"x": [3]}}).status_code == 202
    omega.ok("POST", "job/j", 201, json={"code": "1"})
    assert omega("PATCH", "model/foo").status_code == 405
    document = json.loads(omega("GET", f"{omega.server.url_http}/swagger.json").content)
    assert "200" in document["paths"]["/dataset/{name}/"]["put"]["responses"]
