"""Workers at work: run, failure, chain, kill, run on all workers; and dashboards that follow."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import zmq

from tests.e2e.harness import RunningServer, eventually, short_folder, start_server
from tests.job_runner.follower import Follower
from tests.job_runner.real_worker import RealWorker, find_worker
from tests.job_runner.stand_in import StandIn, now
from tests.job_runner.talk import Json, Worker

SECRET = "tulip-garden-42"
WORLD = f"""
pools:
  - {{name: one, agents: false}}
  - {{name: two, agents: false}}
workers:
  - {{name: a, pools: [one, two], api_key: blue-heron, secret: {SECRET}}}
  - {{name: b, pools: [two], api_key: blue-heron-2, secret: {SECRET}2}}
projects:
  - {{name: etl, viewers: [viewers], operators: [viewers], pools: [one, two]}}
users: [{{name: ann, password: s3cret, groups: [viewers]}}]
templates:
  - {{name: sh, project: etl, body: "#!/bin/sh\\n{{{{ content|safe }}}}\\n"}}
  - {{name: raw, project: etl}}
schedules:
  - {{name: good, project: etl, template: sh, pool: one, script: "echo é; echo err >&2"}}
  - {{name: child, project: etl, template: sh, pool: one, script: echo child, parent: good}}
  - {{name: bad, project: etl, template: sh, pool: one, script: "echo no; exit 3"}}
  - {{name: after-bad, project: etl, template: sh, pool: one, parent: bad}}
  - {{name: shebangless, project: etl, template: raw, pool: one, script: echo hello}}
  - {{name: long, project: etl, template: sh, pool: one, script: "echo begun; exec sleep 1000"}}
  - name: everywhere
    project: etl
    template: sh
    pool: two
    script: echo everywhere
    run_on_all_workers: true
  - {{name: afterwards, project: etl, template: sh, pool: one, parent: everywhere}}
"""
KINDS = ["stand-in", pytest.param("real", marks=pytest.mark.timeout(1200))]
"""The real one is installed before its first test, which takes minutes."""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


class Works:
    """A server with its sockets, two workers, and somebody who watches."""

    def __init__(self, kind: str, folder: Path, stack: ExitStack) -> None:
        self.broadcast, self.events, self.websocket = free_ports(3)
        self.server: RunningServer = start_server(
            folder / "h", "--engine", "none",
            "--job-runner-broadcast", f"127.0.0.1:{self.broadcast}",
            "--job-runner-events", f"127.0.0.1:{self.events}",
            "--job-runner-websocket", f"127.0.0.1:{self.websocket}",
        )  # fmt: skip
        stack.callback(self.server.check_logs)
        stack.callback(self.server.close)
        self.server.client().apply(WORLD)
        self.a = self._talk(stack, "blue-heron", SECRET)
        self.b = self._talk(stack, "blue-heron-2", SECRET + "2")
        make = RealWorker if kind == "real" else StandIn
        for api_key, secret in (("blue-heron", SECRET), ("blue-heron-2", SECRET + "2")):
            talk = self._talk(stack, api_key, secret)
            worker = make(talk, self.broadcast, self.events, folder)
            stack.callback(worker.stop)
            worker.start()

    def _talk(self, stack: ExitStack, api_key: str, secret: str) -> Worker:
        talk = Worker(self.server.url_http, api_key, secret)
        stack.callback(talk.close)
        return talk

    def run(self, title: str, **fields: Json) -> str:
        """Start a job by hand; return the run's URI."""
        job = self.a.titled("job", title)["resource_uri"]
        return self.a.post("run", {"job": job, "schedule_dts": now(), "is_manual": True, **fields})

    def ended(self, uri: str) -> Json:
        """Return a run once it returned."""
        eventually(lambda: self.a.get(uri)["return_dts"], what=uri)
        return self.a.get(uri)

    def log(self, run: Json) -> str:
        """Return what a run printed."""
        content: str = self.a.get(run["run_log"])["content"]
        return content

    def runs(self, title: str) -> list[Json]:
        """Return the runs of a job."""
        return self.a.objects(f"run/?job__title={title}")

    def quiet(self) -> None:
        """Wait until everything has returned."""
        for state in ("scheduled", "in_queue", "started"):
            eventually(lambda state=state: not self.a.objects(f"run/?state={state}"), what=state)  # type: ignore[misc]


@pytest.fixture(scope="module", params=KINDS)
def works(request: pytest.FixtureRequest) -> Iterator[Works]:
    """Workers of each kind."""
    if request.param == "real":
        try:
            find_worker()
        except LookupError as missing:
            pytest.skip(str(missing))
    with ExitStack() as stack:
        yield Works(request.param, stack.enter_context(short_folder()), stack)


def test_pings_are_answered(works: Works) -> None:
    for talk in (works.a, works.b):
        eventually(lambda talk=talk: talk.myself["ping_response_dts"], what="an answer")  # type: ignore[misc]
        assert talk.myself["worker_version"] == "2.1.2"


def test_a_run_and_its_child(works: Works) -> None:
    run = works.ended(works.run("good"))
    assert run["return_success"] is True
    assert run["worker"] == works.a.myself["resource_uri"]
    assert run["enqueue_dts"] <= run["start_dts"] <= run["return_dts"]
    assert run["pid"] > 0
    assert works.log(run) == "é\nerr\n"
    works.quiet()
    (child,) = works.runs("child")
    assert (child["return_success"], child["is_manual"]) == (True, False)
    assert works.log(child) == "child\n"


def test_a_run_without_its_children(works: Works) -> None:
    before = len(works.runs("child"))
    works.ended(works.run("good", schedule_children=False))
    works.quiet()
    assert len(works.runs("child")) == before


def test_a_failure(works: Works) -> None:
    run = works.ended(works.run("bad"))
    assert run["return_success"] is False
    assert works.log(run) == "no\n"
    works.quiet()
    assert works.runs("after-bad") == []
    assert works.a.objects("run/?state=completed_with_errors&job__title=bad") == [run]


def test_a_script_without_shebang(works: Works) -> None:
    run = works.ended(works.run("shebangless"))
    assert run["return_success"] is False
    assert "shebang" in works.log(run)


def test_a_kill(works: Works) -> None:
    uri = works.run("long")
    early = works.a.post("kill_request", {"run": uri})
    run = works.ended(uri)
    assert run["return_success"] is False
    eventually(lambda: works.a.get(early)["execute_dts"], what="the kill")
    assert works.a.get(early)["enqueue_dts"]
    late = works.a.post("kill_request", {"run": uri})
    assert works.a.get(late)["enqueue_dts"] is None
    with pytest.raises(ProcessLookupError):
        os.kill(run["pid"], 0)


def test_on_all_workers(works: Works) -> None:
    uri = works.run("everywhere")
    eventually(lambda: len(works.runs("everywhere")) == 2, what="a run for each")
    works.quiet()
    runs = works.runs("everywhere")
    assert works.a.status("GET", uri) == 404
    assert {run["schedule_id"] for run in runs} == {int(uri.split("/")[-2])}
    assert {run["worker"] for run in runs} == {
        works.a.myself["resource_uri"], works.b.myself["resource_uri"],
    }  # fmt: skip
    assert [run["return_success"] for run in runs] == [True, True]
    assert len(works.runs("afterwards")) == 1
    last = works.a.objects("run/?state=last_completed&job__title=everywhere")
    assert {run["id"] for run in last} == {run["id"] for run in runs}


def test_dashboards_follow(works: Works) -> None:
    own = f"ws://127.0.0.1:{works.websocket}/"
    main = works.server.url_http.replace("http", "ws") + "/job-runner/ws"
    with Follower(own) as there, Follower(main) as here:
        here.send("ignored")
        number = int(works.run("bad").split("/")[-2])
        events = [
            {"kind": "run", "event": event, "run_id": number}
            for event in ("enqueued", "started", "returned")
        ]
        for follower in (there, here):
            assert [follower.next_of(number) for _ in events] == events
        works.quiet()
        publish(works, b'{"kind": "run", "event": "started", "run_id": 987654}')
        publish(works, b'{"kind": "run", "event": "started", "run_id": "x"}')
        publish(works, b"nonsense")
        publish(works, b'{"kind": "kill_request", "event": "executed", "kill_request_id": 9}')
        for follower in (there, here):
            assert follower.next()["run_id"] == 987654
            assert follower.next()["kill_request_id"] == 9


def publish(works: Works, payload: bytes) -> None:
    """Publish as a worker does, once the server has subscribed."""
    context = zmq.Context()
    publisher = context.socket(zmq.XPUB)
    publisher.connect(f"tcp://127.0.0.1:{works.events}")
    assert publisher.recv() == b"\x01worker.event"
    publisher.send_multipart([b"other", payload])
    publisher.send_multipart([b"worker.event", payload])
    publisher.close(linger=5000)
    context.term()


def test_plain_requests_to_the_websocket_are_refused(works: Works) -> None:
    assert works.a.client.get(f"http://127.0.0.1:{works.websocket}/").status_code == 400
    assert works.a.client.get("/job-runner/ws").status_code == 400
