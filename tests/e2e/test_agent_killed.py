"""Promise 2 under kill -9 of the agent: lost, then retried or buried, and never run twice."""

import os
import signal
from pathlib import Path

import pytest

from gristmill.agent.processes import is_alive
from gristmill.client import Client, JobSpec, RetryPolicy
from gristmill.domain.job import Hook, Hooks
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

SOON = ("--heartbeat", "1s", "--lost-after", "4s")

FIRST_HANGS = """
echo "attempt $GRISTMILL_ATTEMPT"
pgrep -f "^sleep $NAP$" && echo leftovers
if [ "$GRISTMILL_ATTEMPT" = 1 ]; then
    (setsid sleep "$NAP" &)
    sleep "$NAP"
fi
"""


def events_of(client: Client, job: int) -> list[str]:
    """The kinds of a job's events so far."""
    kinds = []
    for event in client.events(after=0, job_id=job):
        kinds.append(event.kind)
        if event.kind in {"job.complete", "job.buried", "job.cancelled"}:
            return kinds
    return kinds


def test_running_jobs_are_lost_and_retried_without_their_leftovers(start: Start) -> None:
    server = start(*SOON)
    client = server.client()
    long = nap(1000)
    spec = JobSpec(command=FIRST_HANGS, env={"NAP": long}, retry=RetryPolicy(retries=1, delay=0.05))
    job = client.submit(spec).id
    wait_for_state(client, job, "running")
    eventually(lambda: len(processes_with(f"sleep\0{long}")) >= 2, what="both processes")
    server.kill9_agent()
    view = client.wait(job, LIMIT)
    assert (view.state, view.attempts) == ("complete", 2)
    assert client.stdout(job) == b"attempt 2\n"
    assert processes_with(long) == []
    kinds = events_of(client, job)
    assert kinds.index("job.lost") < kinds.index("job.delayed")
    first = client.get(job).history[0]
    assert first.reason == "the agent died"


def test_jobs_without_a_retry_are_buried(start: Start) -> None:
    server = start(*SOON)
    client = server.client()
    job = client.submit("sleep 1000").id
    wait_for_state(client, job, "running")
    server.kill9_agent()
    view = client.wait(job, LIMIT)
    assert (view.state, view.reason, view.attempts) == ("buried", "the agent died", 1)
    assert processes_of_node(server.node) == []


def test_hooks_that_a_second_death_cuts_off_run_again(start: Start, folder: Path) -> None:
    server = start(*SOON)
    client = server.client()
    log, gate = folder / "log", folder / "gate"
    os.mkfifo(gate)
    hook = Hook(run=f"echo hook >> {log}; read line < {gate}")
    spec = JobSpec(
        command=f"echo job >> {log}; sleep 1000", cwd=str(folder), hooks=Hooks(on_exit=(hook,))
    )
    job = client.submit(spec).id
    eventually(log.exists)
    for deaths in (1, 2):
        server.kill9_agent()
        said = "job\n" + deaths * "hook\n"
        eventually(lambda said=said: log.read_text() == said)  # type: ignore[misc]
    assert client.get(job).state == "lost"
    gate.write_text("go\n")
    view = client.wait(job, LIMIT)
    assert (view.state, view.reason) == ("buried", "the agent died")
    assert processes_of_node(server.node) == []


def test_other_jobs_go_on_with_the_next_agent(server: RunningServer) -> None:
    client = server.client()
    blocker = client.submit(JobSpec(command="sleep 1000", retry=RetryPolicy(retries=0)))
    wait_for_state(client, blocker.id, "running")
    many = client.submit_many(["true"] * 50).ids
    server.kill9_agent()
    # Those that ran at the very moment may be cut off; the others must not notice.
    cut_off = [view for view in client.wait_all(many, LIMIT) if not view.succeeded]
    assert len(cut_off) <= (os.cpu_count() or 1)
    assert all(view.reason == "the agent died" for view in cut_off)


def test_an_agent_dead_while_the_server_is_away(start: Start) -> None:
    server = start(*SOON)
    client = server.client()
    spec = JobSpec(
        command='[ "$GRISTMILL_ATTEMPT" -gt 1 ] || sleep 1000',
        retry=RetryPolicy(retries=1, delay=0.05),
    )
    job = client.submit(spec).id
    wait_for_state(client, job, "running")
    agent = server.agent
    server.kill9()
    os.kill(agent.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(agent))
    assert processes_of_node(server.node) != []
    server.restart()
    view = client.wait(job, LIMIT)
    assert (view.state, view.attempts) == ("complete", 2)
    assert processes_of_node(server.node) == []


@pytest.mark.parametrize("code", [0, 5])
def test_results_that_nobody_heard_of_are_kept(
    server: RunningServer, folder: Path, code: int
) -> None:
    client = server.client()
    go = folder / "go"
    job = client.submit(
        JobSpec(
            command=f'until [ -e "{go}" ]; do sleep 0.05; done; echo result; exit {code}',
            retry=RetryPolicy(retries=3),
        )
    ).id
    wait_for_state(client, job, "running")
    journal = server.home / "agent" / "journal"
    agent = server.agent
    server.kill9()
    before = journal.stat().st_size
    go.touch()
    eventually(lambda: journal.stat().st_size > before, what="the result in the journal")
    os.kill(agent.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(agent))
    server.restart()
    eventually(lambda: client.get(job).history[0].ended_at is not None, what="the result")
    first = client.get(job).history[0]
    assert (first.exit_code, first.number) == (code, 1)
    assert client.read_output(job, attempt=1).data == b"result\n"


def test_a_stopped_agent_is_lost_and_comes_back(start: Start) -> None:
    server = start(*SOON)
    client = server.client()
    job = client.submit("sleep 6; echo done").id
    wait_for_state(client, job, "running")
    agent = server.agent
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        wait_for_state(client, job, "lost")
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    view = client.wait(job, LIMIT)
    assert (view.state, view.attempts) == ("complete", 1)
    assert client.stdout(job) == b"done\n"
