"""The server is killed between offer, claim and return: nothing is lost, nothing doubled."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import zmq

from tests.e2e.harness import LIMIT, RunningServer, eventually
from tests.job_runner.conftest import Start
from tests.job_runner.follower import Follower
from tests.job_runner.stand_in import StandIn, now
from tests.job_runner.talk import Json, Worker
from tests.job_runner.test_workers import free_ports

WORLD = """
pools: [{name: one, agents: false}]
workers: [{name: a, pools: [one], api_key: a, secret: s}]
projects: [{name: etl, pools: [one]}]
templates: [{name: sh, project: etl, body: "#!/bin/sh\\n{{ content|safe }}\\n"}]
schedules:
  - {name: parent, project: etl, template: sh, pool: one, every: {count: 1, unit: day},
     script: "echo x >> FOLDER/begun; echo begun"}
  - {name: child, project: etl, template: sh, pool: one, parent: parent}
"""


PAUSE = 0.05
STEPS = ["enqueue_dts", "start_dts", "content", "return_dts"]
"""What tells the requests of a daemon apart: claim, start, log, return."""


class Life:
    """A server that is killed, its worker, and what is broadcast."""

    def __init__(self, server: RunningServer, port: int, events: int) -> None:
        self.server, self.port, self.events = server, port, events
        self.worker = Worker(server.url_http, "a", "s")
        self._context = zmq.Context()
        self._subscriber = self._context.socket(zmq.SUB)
        self._subscriber.setsockopt(zmq.LINGER, 0)
        self._subscriber.setsockopt(zmq.RECONNECT_IVL, 20)
        self._subscriber.setsockopt(zmq.SUBSCRIBE, b"master.broadcast.a")
        self._subscriber.connect(f"tcp://127.0.0.1:{port}")

    def close(self) -> None:
        self.worker.close()
        self._context.destroy(linger=0)

    def offered(self, run: str) -> None:
        """Return once the run is offered."""
        wanted = {"action": "enqueue", "run_id": int(run.split("/")[-2])}
        while True:
            assert self._subscriber.poll(round(LIMIT * 1000))
            if json.loads(self._subscriber.recv_multipart()[1]) == wanted:
                return

    def killed(self) -> None:
        """Kill the server and start it again."""
        self.server.kill9()
        self.server.restart()

    def a_run(self) -> str:
        job = self.worker.titled("job", "parent")["resource_uri"]
        return self.worker.post("run", {"job": job, "schedule_dts": now()})

    def claim(self, run: str, at: str) -> int:
        me = self.worker.myself["resource_uri"]
        return self.worker.status("PATCH", run, {"enqueue_dts": at, "worker": me})

    def runs(self, title: str) -> list[Json]:
        return self.worker.objects(f"run/?job__title={title}")


@pytest.fixture
def life(start: Start, folder: Path) -> Iterator[Life]:
    port, events = free_ports(2)
    server = start(
        "--engine", "none", "--job-runner-broadcast", f"127.0.0.1:{port}",
        "--job-runner-events", f"127.0.0.1:{events}",
    )  # fmt: skip
    server.client().apply(WORLD.replace("FOLDER", str(folder)))
    with contextlib.closing(Life(server, port, events)) as made:
        yield made


def test_between_offer_claim_and_return(life: Life) -> None:
    run, at = life.a_run(), now()
    life.offered(run)
    life.killed()
    life.offered(run)
    assert life.claim(run, at) == 202
    life.killed()
    assert life.worker.get(run)["enqueue_dts"] is not None
    assert life.claim(run, at) == 202
    life.worker.patch(run, {"start_dts": now(), "pid": 7})
    life.killed()
    log = life.worker.post("run_log", {"run": run, "content": "x"})
    end = {"return_dts": now(), "return_success": True}
    life.worker.patch(run, end)
    life.killed()
    life.worker.patch(run, end)
    done = life.worker.get(run)
    assert (done["pid"], done["run_log"], done["return_success"]) == (7, log, True)
    assert len(life.runs("child")) == 1
    waiting = [one for one in life.runs("parent") if one["enqueue_dts"] is None]
    assert len(waiting) == 1


def test_while_a_return_is_on_its_way(life: Life) -> None:
    for _ in range(2):
        children = len(life.runs("child"))
        run = life.a_run()
        if life.claim(run, now()) != 202:
            # The run by the rhythm may be due before it.
            raise AssertionError(life.worker.get(run))
        life.worker.patch(run, {"start_dts": now()})
        end = {"return_dts": now(), "return_success": True}
        sending = threading.Thread(target=_try, args=(life.worker, run, end))
        sending.start()
        life.server.kill9()
        sending.join()
        life.server.restart()
        life.worker.patch(run, end)
        assert life.worker.get(run)["return_success"] is True
        assert len(life.runs("child")) == children + 1


def _try(worker: Worker, run: str, end: Json) -> None:
    with contextlib.suppress(httpx2.HTTPError):
        worker.send("PATCH", run, end)


def test_dashboards_are_let_go_when_the_server_stops(life: Life) -> None:
    url = life.server.url_http.replace("http", "ws") + "/job-runner/ws"
    with Follower(url) as follower:
        assert life.server.stop() == 0
        follower.until_closed()


class Patient(Worker):
    """Asks again until it is answered, as the real daemon does while its server is away."""

    def send(
        self, method: str, target: str, document: Json = None, **headers: str
    ) -> httpx2.Response:
        deadline = time.monotonic() + LIMIT
        while True:
            try:
                return super().send(method, target, document, **headers)
            except httpx2.TransportError:
                assert time.monotonic() < deadline
                time.sleep(PAUSE)


class Unlucky(Patient):
    """The server is killed while this says a step for the first time, and once that is done."""

    def __init__(self, life: Life) -> None:
        super().__init__(life.server.url_http, "a", "s")
        self.struck: list[str] = []
        self._life = life

    def send(
        self, method: str, target: str, document: Json = None, **headers: str
    ) -> httpx2.Response:
        step = next((step for step in STEPS if step in (document or ())), None)
        if step is None or step in self.struck:
            return super().send(method, target, document, **headers)
        self.struck.append(step)
        strike = threading.Thread(target=self._life.killed)
        strike.start()
        reply = super().send(method, target, document, **headers)
        strike.join()
        self._life.killed()
        return reply


def test_a_daemon_whose_server_is_killed_at_every_step(life: Life, folder: Path) -> None:
    run = life.a_run()
    unlucky = Unlucky(life)
    daemon = StandIn(unlucky, life.port, life.events, folder)
    with contextlib.closing(unlucky):
        daemon.start()
        eventually(lambda: unlucky.struck == STEPS, what="all steps")
        watcher = Patient(life.server.url_http, "a", "s")
        with contextlib.closing(watcher):
            eventually(lambda: _ended(watcher, "child"), what="the child")
            done = watcher.get(run)
            log = watcher.get(done["run_log"])["content"]
            assert (done["return_success"], log, done["worker"]) == (
                True, "begun\n", watcher.myself["resource_uri"],
            )  # fmt: skip
            assert daemon.refused == []
            assert (folder / "begun").read_text() == "x\n"
            assert len(watcher.objects("run/?job__title=child")) == 1
            parents = watcher.objects("run/?job__title=parent")
            assert sorted(one["enqueue_dts"] is None for one in parents) == [False, True]
        daemon.stop()


def _ended(watcher: Worker, title: str) -> bool:
    runs = watcher.objects(f"run/?job__title={title}")
    return bool(runs) and all(run["return_dts"] for run in runs)
