"""Promise 4: cancelled means that nothing of the job is left, wherever it stood."""

from pathlib import Path

import pytest

from gristmill.client import Client, ConflictError, JobSpec, Resources, RetryPolicy, Task
from tests.containers.rootfs import busybox_rootfs
from tests.e2e.commands import nap
from tests.e2e.conftest import Start
from tests.e2e.harness import (
    LIMIT,
    RunningServer,
    eventually,
    processes_of_node,
    processes_with,
    wait_for_state,
)

CLINGS = """
trap '' TERM HUP INT
(setsid sh -c 'trap "" TERM; (setsid sleep "$NAP" &) ; sleep "$NAP"' &)
env -i NAP="$NAP" setsid sh -c 'trap "" TERM; exec sleep "$NAP"' &
sleep "$NAP"
sleep "$NAP"
"""
"""Leaves its session and its environment, forks twice, and hears no TERM."""


def test_nothing_is_left_of_a_job_that_clings(server: RunningServer) -> None:
    client = server.client()
    long = nap(1000)
    job = client.submit(JobSpec(command=CLINGS, env={"NAP": long})).id
    eventually(lambda: len(processes_with(f"sleep\0{long}")) >= 4, what="all its processes")
    client.cancel(job)
    view = client.wait(job, LIMIT)
    assert processes_with(long) == []
    assert processes_of_node(server.node) == []
    assert (view.state, view.reason) == ("cancelled", "cancelled by user")
    assert client.submit("true").id == job + 1


def test_nothing_is_left_of_a_container(server: RunningServer, folder: Path) -> None:
    client = server.client()
    if "container" not in client_runtimes(client):
        pytest.skip("no container engine works here")
    client.add_image("box", str(busybox_rootfs(folder / "rootfs")))
    long = nap(1000)
    work = Task(command=CLINGS, image="box", env={"NAP": long})
    job = client.submit(JobSpec(tasks=(work,))).id
    eventually(lambda: len(processes_with(f"sleep\0{long}")) >= 4, what="all its processes")
    client.cancel(job)
    view = client.wait(job, LIMIT)
    assert processes_with(long) == []
    assert processes_of_node(server.node) == []
    assert view.state == "cancelled"


def client_runtimes(client: Client) -> tuple[str, ...]:
    """What the one agent can run, once it is there."""
    eventually(lambda: any(agent.state == "online" for agent in client.agents()))
    return client.agents()[0].runtimes


def test_what_a_job_leaves_behind_ends_with_it(server: RunningServer) -> None:
    client = server.client()
    long = nap(1000)
    job = client.submit(JobSpec(command='setsid sleep "$NAP" & echo done', env={"NAP": long})).id
    assert client.wait(job, LIMIT).succeeded
    assert processes_with(long) == []
    assert client.stdout(job) == b"done\n"


def test_jobs_that_have_not_begun(server: RunningServer) -> None:
    client = server.client()
    busy = client.submit("sleep 1000").id
    waiting = client.submit(JobSpec(command="true", after=(busy,))).id
    delayed = client.submit(JobSpec(command="true", delay=1000)).id
    ready = client.submit(JobSpec(command="true", pool="nobody serves this")).id
    states = {waiting: "waiting", delayed: "delayed", ready: "ready"}
    for job, state in states.items():
        assert client.get(job).state == state
        view = client.cancel(job)
        assert (view.state, view.attempts) == ("cancelled", 0)
        with pytest.raises(ConflictError):
            client.cancel(job)
    client.cancel(busy)
    assert client.wait(busy, LIMIT).state == "cancelled"


def test_reserved_jobs(server: RunningServer) -> None:
    """Short jobs wait on the agent; those are not started once cancelled."""
    client = server.client()
    warm = client.submit_many(["true"] * 20).ids
    assert all(view.succeeded for view in client.wait_all(warm, LIMIT))
    ids = client.submit_many(["sleep 0.2"] * 60, idempotency_key="many").ids
    wait_for_state(client, ids[0], "running", "complete")
    changed = client.cancel_many(ids)
    assert len(changed.changed) + len(changed.unchanged) == len(ids)
    ends = [view.state for view in client.wait_all(ids, LIMIT)]
    assert set(ends) <= {"cancelled", "complete"}
    assert ends.count("cancelled") > len(ids) // 2
    never_begun = [job for job in ids if client.get(job).state == "cancelled"]
    assert all(client.get(job).exit_code in (None, -15) for job in never_begun)


def test_a_lost_job(start: Start) -> None:
    """Its agent is far away and silent: the job is cancelled at once, and ended on return."""
    server = start("--heartbeat", "0.5s", "--lost-after", "2s", "--engine", "none")
    with server.far_agent(server.home.with_name("far")) as agent:
        client = server.client()
        long = nap(1000)
        spec = JobSpec(command=f"sleep {long}", retry=RetryPolicy(retries=5))
        job = client.submit(spec).id
        wait_for_state(client, job, "running")
        eventually(lambda: processes_with(long), what="its process")
        agent.stop_clock()
        wait_for_state(client, job, "lost")
        assert client.cancel(job).state == "cancelled"
        agent.resume_clock()
        eventually(lambda: not processes_with(long), what="the end of its process")
        assert client.get(job).state == "cancelled"


def test_cancelling_while_the_server_restarts(server: RunningServer) -> None:
    client = server.client()
    long = nap(1000)
    job = client.submit(JobSpec(command=f"sleep {long}", resources=Resources(cpus=0))).id
    wait_for_state(client, job, "running")
    eventually(lambda: processes_with(long), what="its process")
    client.cancel(job)
    server.kill9()
    server.restart()
    assert client.wait(job, LIMIT).state == "cancelled"
    assert processes_with(long) == []
