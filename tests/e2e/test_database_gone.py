"""Promise 1 without a database: refusals while it is gone, and all goes on when it is back."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from gristmill.client import Client, JobSpec, UnavailableError
from tests.databases import SETTINGS, _binaries, _caller, _execute, _running_cluster
from tests.e2e.conftest import Start
from tests.e2e.harness import LIMIT, RunningServer, eventually, wait_for_state


class Cluster:
    """A PostgreSQL cluster that can be taken away and brought back."""

    def __init__(self, url: str, binaries: Path) -> None:
        self.url = f"{url}&dbname=mill"
        self._folder = Path(parse_qs(urlsplit(url).query)["host"][0])
        self._control = binaries / "pg_ctl"
        _execute(url, "create database mill")

    def crash(self) -> None:
        """End it at once, without a shutdown."""
        self._run("stop", "-m", "immediate")

    def start(self) -> None:
        """Bring it back as it was started first."""
        options = f"-k {self._folder} -c listen_addresses='' {SETTINGS}"
        self._run("start", "-l", str(self._folder / "log"), "-o", options)

    def _run(self, *words: str) -> None:
        _caller(self._folder)(self._control, "-D", self._folder / "data", "-w", *words)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL on PATH or in /usr/lib/postgresql/*/bin")
    with _running_cluster(binaries) as url:
        yield Cluster(url, binaries)


@pytest.fixture
def server(cluster: Cluster, start: Start) -> RunningServer:
    return start("--database", cluster.url)


def test_the_database_crashes_under_load(
    server: RunningServer, cluster: Cluster, folder: Path
) -> None:
    client = server.client(patience=0)
    go = folder / "go"
    command = f'echo one; until [ -e "{go}" ]; do sleep 0.05; done; echo two; exit 4'
    running = client.submit(JobSpec(command=command)).id
    wait_for_state(client, running, "running")
    agent = server.agent
    acknowledged: list[int] = []
    enough = threading.Event()
    loader = threading.Thread(target=_submit_until, args=(server, enough, acknowledged))
    loader.start()
    try:
        eventually(lambda: len(acknowledged) > 20, what="some load")
        cluster.crash()
        eventually(
            lambda: server.request("GET", "/readyz").status_code == 503, what="readyz to tell"
        )
        answer = server.request("POST", "/v1/jobs", json={"command": "true"})
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["error"]["code"] == "unavailable"
        assert server.request("GET", "/healthz").status_code == 200
        for path in ("/v1/jobs", "/v1/jobs/1", "/v1/jobs/counts", "/v1/agents", "/metrics"):
            assert server.request("GET", path).status_code == 503, path
        go.touch()
        before = len(acknowledged)
    finally:
        cluster.start()
    try:
        eventually(lambda: len(acknowledged) > before + 5, what="submissions to go on")
    finally:
        enough.set()
        loader.join(LIMIT)
    assert all(view.succeeded for view in client.wait_all(acknowledged, LIMIT))
    view = client.wait(running, LIMIT)
    assert (view.state, view.exit_code, view.attempts) == ("buried", 4, 1)
    assert client.stdout(running) == b"one\ntwo\n"
    assert len(set(acknowledged)) == len(acknowledged)
    assert server.process.poll() is None
    assert server.agent == agent


def _submit_until(server: RunningServer, enough: threading.Event, acknowledged: list[int]) -> None:
    client = server.client(patience=0)
    while not enough.is_set():
        try:
            acknowledged.append(client.submit("true").id)
        except UnavailableError:
            enough.wait(0.05)


def test_everyday_work_on_postgresql(server: RunningServer, folder: Path) -> None:
    client = server.client()
    first = client.submit(JobSpec(command="echo first", group="g")).id
    second = client.submit(JobSpec(command="echo second; exit 3", after=(first,))).id
    many = client.submit_many(["true"] * 200)
    assert client.wait(first, LIMIT).succeeded
    assert client.wait(second, LIMIT).exit_code == 3
    assert all(view.succeeded for view in client.wait_all(many.ids, LIMIT))
    assert client.stdout(second) == b"second\n"
    _survive_a_kill(server, client, folder / "go")


def _survive_a_kill(server: RunningServer, client: Client, go: Path) -> None:
    job = client.submit(f'echo a; until [ -e "{go}" ]; do sleep 0.05; done; echo b').id
    wait_for_state(client, job, "running")
    server.kill9()
    server.restart()
    go.touch()
    view = client.wait(job, LIMIT)
    assert (view.state, view.attempts) == ("complete", 1)
    assert client.stdout(job) == b"a\nb\n"


def test_a_second_server_is_refused(server: RunningServer, cluster: Cluster, start: Start) -> None:
    """Two servers on one database would lease the same jobs twice."""
    began = time.monotonic()
    with pytest.raises(AssertionError, match="another server"):
        start("--database", cluster.url, home=server.home.with_name("h2"))
    assert time.monotonic() - began < LIMIT
