"""What a job asked for beyond its command: limits, times, retries, mutual exclusion, order."""

import os
from datetime import datetime
from pathlib import Path

import pytest

from gristmill.client import Client, JobSpec, Resources, RetryPolicy
from gristmill.client.models import JobDetail
from tests.e2e.commands import holding_memory, nap
from tests.e2e.harness import LIMIT, RunningServer, eventually, processes_with, wait_for_state

TOLERANCE = 0.05
"""Seconds by which clocks of different processes may seem to disagree."""


def finish(client: Client, job: int) -> JobDetail:
    client.wait(job, LIMIT)
    return client.get(job)


def seconds_between(earlier: datetime | None, later: datetime | None) -> float:
    assert earlier is not None
    assert later is not None
    return (later - earlier).total_seconds()


def test_walltime(shared_server: RunningServer) -> None:
    client = shared_server.client()
    long = nap(1000)
    command = f"echo begun; (setsid sleep {long} &) ; sleep {long}"
    job = client.submit(JobSpec(command=command, resources=Resources(walltime=0.5))).id
    view = finish(client, job)
    assert (view.state, view.reason) == ("buried", "command used too much time")
    assert seconds_between(view.started_at, view.ended_at) >= 0.5 - TOLERANCE
    assert processes_with(long) == []
    assert client.stdout(job) == b"begun\n"


def test_many_that_overrun_are_each_reported_once(shared_server: RunningServer) -> None:
    client = shared_server.client()
    spec = JobSpec(command="sleep 1000", resources=Resources(cpus=0, memory=1, walltime=0.15))
    ids = client.submit_many([spec] * 30).ids
    views = list(client.wait_all(ids, LIMIT))
    assert {view.reason for view in views} == {"command used too much time"}
    assert {view.attempts for view in views} == {1}
    assert client.wait(client.submit("true").id, LIMIT).succeeded


def test_memory(shared_server: RunningServer) -> None:
    client = shared_server.client()
    modest = client.submit(JobSpec(command="true", resources=Resources(memory=64))).id
    spec = JobSpec(
        command=holding_memory(400, "sleep 1000"), resources=Resources(memory=100, walltime=50)
    )
    view = finish(client, client.submit(spec).id)
    assert (view.state, view.reason) == ("buried", "command used too much memory")
    assert finish(client, modest).state == "complete"


def test_a_job_may_be_allowed_more_memory_than_it_asked_for(shared_server: RunningServer) -> None:
    client = shared_server.client()
    command = holding_memory(200, "sleep 1.5")
    spec = JobSpec(command=command, resources=Resources(memory=50), kill_over_memory=False)
    view = finish(client, client.submit(spec).id)
    assert view.state == "complete"
    assert view.peak_memory is not None
    assert 200 <= view.peak_memory < 300


def test_queue_timeout(shared_server: RunningServer) -> None:
    client = shared_server.client()
    spec = JobSpec(command="true", pool="nobody serves this", queue_timeout=0.3)
    view = finish(client, client.submit(spec).id)
    assert (view.state, view.reason) == ("buried", "waited in the queue longer than allowed")
    assert view.attempts == 0
    assert seconds_between(view.created_at, view.ended_at) >= 0.3 - TOLERANCE


def test_delay(shared_server: RunningServer) -> None:
    client = shared_server.client()
    job = client.submit(JobSpec(command="true", delay=0.7))
    assert job.state == "delayed"
    view = finish(client, job.id)
    assert view.state == "complete"
    assert seconds_between(view.created_at, view.started_at) >= 0.7 - TOLERANCE


def test_retries_come_later_and_later(shared_server: RunningServer) -> None:
    client = shared_server.client()
    policy = RetryPolicy(retries=3, delay=0.2, factor=2.0)
    command = 'echo "$GRISTMILL_ATTEMPT"; exit "$GRISTMILL_ATTEMPT"'
    view = finish(client, client.submit(JobSpec(command=command, retry=policy)).id)
    assert (view.state, view.attempts, view.exit_code, view.retries_left) == ("buried", 4, 4, 0)
    assert [attempt.exit_code for attempt in view.history] == [1, 2, 3, 4]
    pauses = [
        seconds_between(earlier.ended_at, later.started_at)
        for earlier, later in zip(view.history, view.history[1:], strict=False)
    ]
    assert all(
        pause >= wanted - TOLERANCE for pause, wanted in zip(pauses, (0.2, 0.4, 0.8), strict=True)
    ), pauses
    outputs = [client.read_output(view.id, attempt=n).data for n in (1, 2, 3, 4)]
    assert outputs == [b"1\n", b"2\n", b"3\n", b"4\n"]


def test_a_fatal_exit_code_is_not_retried(shared_server: RunningServer) -> None:
    client = shared_server.client()
    spec = JobSpec(command="no-such-command-anywhere", retry=RetryPolicy(retries=5))
    view = finish(client, client.submit(spec).id)
    assert (view.state, view.exit_code, view.attempts) == ("buried", 127, 1)


def test_a_buried_job_can_be_retried_by_hand(shared_server: RunningServer, folder: Path) -> None:
    client = shared_server.client()
    mended = folder / "mended"
    job = client.submit(f'test -e "{mended}"').id
    assert finish(client, job).state == "buried"
    mended.touch()
    assert client.retry(job).state in {"ready", "reserved", "running", "complete"}
    view = finish(client, job)
    assert view.state == "complete"
    assert [attempt.exit_code for attempt in view.history] == [1, 0]


def test_a_mutex_lets_one_run_at_a_time(shared_server: RunningServer, folder: Path) -> None:
    client = shared_server.client()
    inside = folder / "inside"
    command = f'mkdir "{inside}" || exit 9; sleep 0.1; rmdir "{inside}"'
    spec = JobSpec(command=command, mutex="m", resources=Resources(cpus=0.1, memory=1))
    failing = JobSpec(command="exit 1", mutex="m", resources=Resources(cpus=0.1, memory=1))
    ids = client.submit_many([spec, spec, failing, spec, spec, spec]).ids
    views = list(client.wait_all(ids, LIMIT))
    assert [view.exit_code for view in views] == [0, 0, 1, 0, 0, 0]


def test_dependencies_by_id(shared_server: RunningServer) -> None:
    client = shared_server.client()
    good = client.submit("sleep 0.3").id
    bad = client.submit("exit 1").id
    both = client.submit(JobSpec(command="true", after=(good,), after_any=(bad,))).id
    stuck = client.submit(JobSpec(command="true", after=(bad,))).id
    view = finish(client, both)
    assert view.state == "complete"
    assert seconds_between(client.get(good).ended_at, view.started_at) >= -TOLERANCE
    assert client.get(stuck).state == "waiting"
    assert str(bad) in client.get(stuck).why


def test_dependencies_by_live_group(shared_server: RunningServer) -> None:
    client = shared_server.client()
    first = client.submit(JobSpec(command="sleep 0.3", dep_groups=("g",))).id
    after = client.submit(JobSpec(command="true", after_groups=("g",))).id
    assert client.get(after).state == "waiting"
    assert finish(client, after).state == "complete"
    assert seconds_between(client.get(first).ended_at, client.get(after).started_at) >= -TOLERANCE
    # The group is live: a new member makes even what has run wait, and run again.
    second = client.submit(JobSpec(command="sleep 0.3", dep_groups=("g",))).id
    eventually(lambda: client.get(second).ended_at is not None, what="the second member")
    eventually(lambda: len(client.get(after).history) == 2, what="the second run")
    view = finish(client, after)
    assert view.state == "complete"
    assert seconds_between(client.get(second).ended_at, view.started_at) >= -TOLERANCE


def test_hooks_and_tasks(shared_server: RunningServer, folder: Path) -> None:
    client = shared_server.client()
    notes = folder / "notes"
    spec = {
        "tasks": [{"command": "echo one"}, {"argv": ["sh", "-c", "echo two; exit 3"]}],
        "hooks": {
            "on_success": [{"run": f"echo good >> {notes}"}],
            "on_failure": [{"run": f"echo bad >> {notes}"}],
            "on_exit": [{"run": f"echo over >> {notes}"}],
        },
    }
    answer = shared_server.request("POST", "/v1/jobs", json=spec)
    job = answer.json()["id"]
    view = finish(client, job)
    assert (view.state, view.exit_code) == ("buried", 3)
    assert client.stdout(job) == b"one\ntwo\n"
    assert notes.read_text() == "bad\nover\n"
    assert [task.exit_code for task in view.history[0].tasks] == [0, 3]


needs_two_cores = pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core only")
GANG = Resources(nodes=2, cpus=0.5, memory=50)


@needs_two_cores
def test_a_gang_knows_its_members(shared_server: RunningServer) -> None:
    client = shared_server.client()
    command = 'echo "$RANK/$WORLD_SIZE $LOCAL_RANK/$LOCAL_WORLD_SIZE $MASTER_ADDR:$MASTER_PORT"'
    job = client.submit(JobSpec(command=command, resources=GANG)).id
    view = finish(client, job)
    assert view.state == "complete"
    lines = [client.read_output(job, rank=rank).data.decode() for rank in (0, 1)]
    assert [line.split()[:2] for line in lines] == [["0/2", "0/2"], ["1/2", "1/2"]]
    assert lines[0].split()[2] == lines[1].split()[2]


@needs_two_cores
def test_a_failing_member_ends_its_gang(shared_server: RunningServer) -> None:
    client = shared_server.client()
    long = nap(1000)
    command = f'[ "$RANK" = 1 ] || exec sleep {long}; sleep 0.2; exit 6'
    job = client.submit(JobSpec(command=command, resources=GANG)).id
    view = finish(client, job)
    assert (view.state, view.exit_code) == ("buried", 6)
    assert processes_with(long) == []
    by_rank = {attempt.rank: attempt.exit_code for attempt in view.history}
    assert by_rank[1] == 6
    assert by_rank[0] not in (0, 6)


@needs_two_cores
def test_a_gang_is_cancelled_as_a_whole(shared_server: RunningServer) -> None:
    client = shared_server.client()
    long = nap(1000)
    job = client.submit(JobSpec(command=f"sleep {long}", resources=GANG)).id
    wait_for_state(client, job, "running")
    eventually(lambda: len(processes_with(f"sleep\0{long}")) == 2, what="both members")
    client.cancel(job)
    assert finish(client, job).state == "cancelled"
    assert processes_with(long) == []


@needs_two_cores
def test_a_gang_that_never_fits_waits_and_says_why(shared_server: RunningServer) -> None:
    client = shared_server.client()
    spec = JobSpec(command="true", resources=Resources(nodes=1000, cpus=1))
    job = client.submit(spec).id
    assert finish(client, client.submit("true").id).state == "complete"
    assert client.get(job).state == "ready"
    assert client.get(job).why
