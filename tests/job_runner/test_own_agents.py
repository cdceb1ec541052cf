"""A pool that our own agents serve looks as if a daemon served it."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.harness import eventually, short_folder, start_server
from tests.job_runner.stand_in import now
from tests.job_runner.talk import Json, Person, Worker

WORLD = """
pools: [{name: inside, agents: true}]
workers: [{name: caller, pools: [inside], api_key: caller, secret: s, enabled: false}]
users: [{name: ann, password: s3cret, groups: [ops]}]
projects: [{name: etl, viewers: [ops], operators: [ops], pools: [inside]}]
templates: [{name: raw, project: etl}]
schedules:
  - name: good
    project: etl
    template: raw
    pool: inside
    script: "#!/bin/bash\\necho out; echo err >&2; echo $0 ${BASH_VERSION:+bash}"
  - name: child
    project: etl
    template: raw
    pool: inside
    parent: good
    script: "#!/bin/sh\\nexit 4"
  - {name: long, project: etl, template: raw, pool: inside, script: "#!/bin/sh\\nsleep 1000 & wait"}
"""


class Inside:
    """A server with an agent."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self.worker = Worker(url, "caller", "s")
        self.ann = Person(url, "ann")
        stack.callback(self.worker.close)
        stack.callback(self.ann.close)

    def run(self, title: str) -> str:
        job = self.ann.titled("job", title)["resource_uri"]
        return self.ann.post("run", {"job": job, "schedule_dts": now(), "is_manual": True})

    def once(self, uri: str, field: str) -> Json:
        """Return an object once a field of it is set."""
        eventually(lambda: self.ann.get(uri)[field] is not None, what=f"{field} of {uri}")
        return self.ann.get(uri)


@pytest.fixture(scope="module")
def inside() -> Iterator[Inside]:
    with ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        server = start_server(folder / "h", "--agent-grace", "0.2s")
        stack.callback(server.check_logs)
        stack.callback(server.close)
        server.client().apply(WORLD)
        yield Inside(server.url_http, stack)


def test_a_run_and_its_child(inside: Inside) -> None:
    run = inside.once(inside.run("good"), "return_dts")
    assert run["return_success"] is True
    assert run["schedule_dts"] <= run["enqueue_dts"] <= run["start_dts"] <= run["return_dts"]
    assert run["pid"] > 0
    assert run["worker"] is None
    lines = inside.ann.get(run["run_log"])["content"].splitlines()
    assert lines[:2] == ["out", "err"]
    assert lines[2].endswith(" bash")

    def children() -> Json:
        return inside.ann.objects("run/?job__title=child&state=completed_with_errors")

    eventually(children, what="the child")
    (child,) = children()
    assert (child["return_success"], child["is_manual"]) == (False, False)


def test_a_kill(inside: Inside) -> None:
    run = inside.run("long")
    inside.once(run, "pid")
    kill = inside.ann.post("kill_request", {"run": run})
    done = inside.once(run, "return_dts")
    assert done["return_success"] is False
    request = inside.once(kill, "execute_dts")
    assert request["schedule_dts"] <= request["enqueue_dts"] <= request["execute_dts"]


def test_a_daemon_cannot_take_what_an_agent_runs(inside: Inside) -> None:
    run = inside.run("long")
    inside.once(run, "pid")
    me = inside.worker.myself["resource_uri"]
    assert inside.worker.status("PATCH", run, {"enqueue_dts": now(), "worker": me}) == 409
    assert inside.worker.status("PATCH", run, {"return_dts": now(), "return_success": True}) == 409
    inside.ann.post("kill_request", {"run": run})
    assert inside.once(run, "return_dts")["return_success"] is False
