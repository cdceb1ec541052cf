"""Agents on other machines: HTTPS, a token of their own, no files shared with the server."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.client import Client, JobSpec, Resources, RetryPolicy
from tests.e2e.agents import FarAgent
from tests.e2e.commands import nap
from tests.e2e.conftest import Start
from tests.e2e.harness import LIMIT, RunningServer, eventually, processes_with, wait_for_state

LARGE = 3_500_000
LITTLE = Resources(cpus=0.1, memory=10)


@pytest.fixture
def server(start: Start) -> RunningServer:
    """A server without an agent of its own."""
    return start("--engine", "none", "--heartbeat", "1s", "--lost-after", "4s")


@pytest.fixture
def agent(server: RunningServer) -> Iterator[FarAgent]:
    with server.far_agent(server.home.with_name("far")) as agent:
        yield agent


def test_work_comes_and_goes(server: RunningServer, agent: FarAgent) -> None:
    client = server.client()
    ids = client.submit_many(["echo hello; echo oops >&2"] * 30).ids
    assert all(view.succeeded for view in client.wait_all(ids, LIMIT))
    assert client.stdout(ids[7]) == b"hello\n"
    assert client.stderr(ids[7]) == b"oops\n"
    (view,) = client.agents()
    assert (view.state, view.id) == ("online", client.get(ids[0]).agent)


def large(seed: str) -> str:
    """A command that writes the same few megabytes of binary data each time."""
    return (
        "exec python3 -c 'import random, sys; "
        f'sys.stdout.buffer.write(random.Random("{seed}").randbytes({LARGE}))\''
    )


def digest(seed: str) -> str:
    from random import Random

    return hashlib.sha256(Random(seed).randbytes(LARGE)).hexdigest()


def test_large_outputs_are_sent_to_the_server(server: RunningServer, agent: FarAgent) -> None:
    client = server.client()
    jobs = {client.submit(large(seed)).id: seed for seed in ("a", "b")}
    both = client.submit(f"head -c 70000 /dev/zero; ( {large('c')} ) >&2; exit 5").id
    for job, seed in jobs.items():
        assert client.wait(job, LIMIT).succeeded
        assert hashlib.sha256(client.stdout(job)).hexdigest() == digest(seed)
    assert client.wait(both, LIMIT).exit_code == 5
    assert client.stdout(both) == bytes(70_000)
    assert hashlib.sha256(client.stderr(both)).hexdigest() == digest("c")
    piece = client.read_output(both, offset=69_990, limit=5)
    assert (piece.data, piece.next_offset, piece.ended) == (bytes(5), 69_995, False)
    folder = agent.home / "outputs"
    eventually(lambda: not list(folder.iterdir()), what="the agent's copies to go")
    client.forget(both)
    assert not list((server.home / "outputs").glob(f"{both}.*"))


def test_a_server_killed_during_uploads(server: RunningServer, agent: FarAgent) -> None:
    client = server.client()
    ids = client.submit_many([large(str(seed)) for seed in range(6)]).ids
    eventually(lambda: list((server.home / "outputs").glob("*")), what="an upload")
    server.kill9()
    server.restart()
    for seed, job in enumerate(ids):
        view = client.wait(job, LIMIT)
        assert (view.state, view.attempts) == ("complete", 1)
        assert hashlib.sha256(client.stdout(job)).hexdigest() == digest(str(seed))


def test_output_can_be_read_while_the_job_runs(server: RunningServer, agent: FarAgent) -> None:
    client = server.client()
    job = client.submit("head -c 200000 /dev/zero; echo end; sleep 1000").id
    eventually(lambda: client.read_output(job, offset=200_000).data == b"end\n")
    client.cancel(job)
    assert client.wait(job, LIMIT).state == "cancelled"
    assert len(client.stdout(job)) == 200_004


def test_an_agent_that_leaves_obeys_until_it_is_gone(
    server: RunningServer, agent: FarAgent
) -> None:
    client = server.client()
    running = [
        client.submit(JobSpec(command="echo first; read line < /dev/zero", resources=LITTLE)).id
        for _ in range(2)
    ]
    for job in running:
        eventually(lambda job=job: client.stdout(job) == b"first\n", what="its output")  # type: ignore[misc]
    agent.process.terminate()
    # Nobody but this agent could run it, and it takes nothing any more.
    later = client.submit("echo later").id
    eventually(lambda: "draining" in client.get(later).why, what="the server to know")
    assert client.stdout(running[0]) == b"first\n"
    client.cancel(running[0])
    assert client.wait(running[0], LIMIT).state == "cancelled"
    assert client.stdout(running[1]) == b"first\n"
    client.cancel(running[1])
    assert client.wait(running[1], LIMIT).state == "cancelled"
    assert agent.process.wait(LIMIT) == 0
    with server.far_agent(agent.home):
        view = client.wait(later, LIMIT)
    assert (view.state, client.stdout(later)) == ("complete", b"later\n")


def test_a_gang_over_two_agents(server: RunningServer, agent: FarAgent) -> None:
    client = server.client()
    with server.far_agent(server.home.with_name("far2"), "--label", "room=b"):
        eventually(lambda: len(client.agents()) == 2, what="both agents")
        whole = min(view.capacity.cpus for view in client.agents())
        resources = Resources(nodes=2, cpus=whole, memory=10)
        job = client.submit(JobSpec(command='echo "$RANK"; exit "$RANK"', resources=resources)).id
        view = client.wait(job, LIMIT)
        assert (view.state, view.exit_code) == ("buried", 1)
        assert len({attempt.agent for attempt in client.get(job).history}) == 2
        outputs = [client.read_output(job, rank=rank).data for rank in (0, 1)]
        assert outputs[1] == b"1\n"
        constrained = JobSpec(command="true", constraints={"room": "b"})
        assert client.wait(client.submit(constrained).id, LIMIT).succeeded


def test_an_agent_that_dies_and_comes_back(server: RunningServer) -> None:
    client = server.client()
    long = nap(1000)
    home = server.home.with_name("far")
    spec = JobSpec(
        command=f'echo "$GRISTMILL_ATTEMPT"; [ "$GRISTMILL_ATTEMPT" -gt 1 ] || sleep {long}',
        retry=RetryPolicy(retries=1, delay=0.05),
    )
    with server.far_agent(home) as agent:
        job = client.submit(spec).id
        wait_for_state(client, job, "running")
        eventually(lambda: processes_with(long), what="its process")
        agent.kill9()
        wait_for_state(client, job, "lost")
        assert processes_with(long), "a far agent's leftovers are its successor's business"
        _take_over(server, client, home, job, long)


def _take_over(server: RunningServer, client: Client, home: Path, job: int, long: str) -> None:
    with server.far_agent(home):
        view = client.wait(job, LIMIT)
        assert (view.state, view.attempts) == ("complete", 2)
        assert processes_with(long) == []
        assert client.stdout(job) == b"2\n"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/agent/upload", 400),
        ("/agent/upload?agent=1&instance=x&job=1&attempt=1&rank=0&stream=1&offset=0", 409),
        ("/agent/upload?agent=x&instance=x&job=1&attempt=1&rank=0&stream=1&offset=0", 400),
        ("/agent/upload?agent=1&instance=x&job=1&attempt=1&rank=0&stream=../1&offset=0", 400),
        ("/agent/upload?agent=1&instance=x&job=1&attempt=1&rank=0&stream=9&offset=0", 400),
    ],
)
def test_uploads_that_nobody_asked_for(server: RunningServer, path: str, status: int) -> None:
    assert server.request("POST", path, content=b"data").status_code == status
    assert not list(server.home.glob("outputs/*"))


def test_a_user_may_not_act_as_an_agent(server: RunningServer) -> None:
    token = server.client().create_token("ann", scopes=["read", "write"]).token
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("/agent/upload", "/agent/lease", "/agent/report", "/agent/register"):
        answer = server.request("POST", path, content=b"", headers=headers)
        assert answer.status_code == 403, path


def test_an_agent_token_may_not_see_jobs(server: RunningServer) -> None:
    server.client().submit("true")
    token = server.client().create_token("far", scopes=["agent"]).token
    headers = {"Authorization": f"Bearer {token}"}
    assert server.request("GET", "/v1/jobs", headers=headers).status_code == 403
