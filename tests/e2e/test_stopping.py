"""SIGTERM: finish writes, leave running jobs to the agent, or end them when told to."""

from pathlib import Path

from gristmill.agent.processes import is_alive
from gristmill.client import JobSpec, Resources, RetryPolicy
from tests.e2e.agents import read_card
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


def test_running_jobs_are_left_to_the_agent(server: RunningServer, folder: Path) -> None:
    client = server.client()
    go = folder / "go"
    job = client.submit(f'echo a; until [ -e "{go}" ]; do sleep 0.05; done; echo b; exit 3').id
    wait_for_state(client, job, "running")
    agent = server.agent
    assert server.stop() == 0
    assert not (server.home / "server.json").exists()
    assert is_alive(agent)
    assert processes_of_node(server.node)
    server.restart()
    assert server.agent == agent
    go.touch()
    view = client.wait(job, LIMIT)
    assert (view.state, view.exit_code, view.attempts) == ("buried", 3, 1)
    assert client.stdout(job) == b"a\nb\n"


def test_waiting_jobs_wait_on(server: RunningServer) -> None:
    client = server.client()
    busy = client.submit("sleep 1000").id
    wait_for_state(client, busy, "running")
    later = client.submit_many([JobSpec(command="true", after_any=(busy,))] * 5).ids
    assert server.stop() == 0
    server.restart()
    client.cancel(busy)
    assert all(view.succeeded for view in client.wait_all(later, LIMIT))


def test_an_idle_agent_leaves_with_the_server(server: RunningServer) -> None:
    client = server.client()
    assert client.wait(client.submit("true").id, LIMIT).succeeded
    agent = server.agent
    assert server.stop() == 0
    eventually(lambda: not is_alive(agent), what="the agent's end")


def test_jobs_end_too_when_they_are_to_be_stopped(start: Start) -> None:
    server = start("--stop-jobs")
    client = server.client()
    long = nap(1000)
    spec = JobSpec(
        command=f"trap '' TERM; (setsid sleep {long} &); sleep {long}; sleep {long}",
    )
    job = client.submit(spec).id
    retried = JobSpec(
        command=f"sleep {long}",
        retry=RetryPolicy(retries=1, delay=0),
        resources=Resources(cpus=0),
    )
    again = client.submit(retried).id
    wait_for_state(client, job, "running")
    wait_for_state(client, again, "running")
    eventually(lambda: len(processes_with(f"sleep\0{long}")) >= 2, what="its processes")
    agent = server.agent
    assert server.stop() == 0
    assert processes_with(long) == []
    assert not is_alive(agent)
    server.restart()
    view = client.get(job)
    assert (view.state, view.reason) == ("buried", "stopped with the server")
    assert wait_for_state(client, again, "running").attempts == 2
    client.cancel(again)


def test_the_agent_leaves_when_the_home_is_removed(server: RunningServer) -> None:
    client = server.client()
    long = nap(1000)
    job = client.submit(f"sleep {long}").id
    wait_for_state(client, job, "running")
    agent = server.agent
    card = read_card(server.home)
    assert card is not None
    server.kill9()
    (server.home / "agent").rename(server.home / "was-agent")
    eventually(lambda: not is_alive(agent), what="the agent's end")
    assert processes_with(long) == []
