"""Promises 1 to 3 under kill -9 of the server: durable answers, no double runs, adoption."""

import threading
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from gristmill.client import Client, JobSpec, Resources, RetryPolicy, UnavailableError
from gristmill.client.models import JobDetail
from tests.e2e.conftest import Start
from tests.e2e.harness import LIMIT, RunningServer, eventually, wait_for_state

KILLS = 22
SUBMITTERS = 2
BATCHES = 40
"""Submissions of each submitter; they are spread over the kills."""

LOCKED = """
exec 9>>"$NOTES/lock.$GRISTMILL_JOB_ID"
flock -n 9 || echo "$GRISTMILL_JOB_ID" >>"$NOTES/overlaps"
echo "begin $GRISTMILL_ATTEMPT $$" >>"$NOTES/ran.$GRISTMILL_JOB_ID"
"""
DONE = '\necho "done $GRISTMILL_ATTEMPT $$" >>"$NOTES/ran.$GRISTMILL_JOB_ID"'
BIG = 100_000

WORK = {
    "quick": "true",
    "slow": "echo early; sleep 0.4; echo late",
    "retried": '[ "$GRISTMILL_ATTEMPT" -gt 1 ] || exit 3; echo second',
    "big": f"head -c {BIG} /dev/zero",
}
OUTPUT = {"quick": b"", "slow": b"early\nlate\n", "retried": b"second\n", "big": bytes(BIG)}


@dataclass
class Acknowledged:
    """What the clients have a 2xx for: ids by kind, each with the key it was handed in under."""

    kinds: dict[int, str] = field(default_factory=dict)
    by_key: dict[str, list[int]] = field(default_factory=dict)
    failures: list[BaseException] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@pytest.mark.timeout(300)
def test_nothing_acknowledged_is_lost_and_nothing_runs_twice(start: Start, folder: Path) -> None:
    random = Random(20_260)
    notes = folder / "notes"
    notes.mkdir()
    server = start()
    acknowledged = Acknowledged()
    paces = [Random(random.random()) for _ in range(SUBMITTERS)]
    kills_over = threading.Event()
    threads = [
        threading.Thread(
            target=_submit_on,
            args=(server.client(), str(number), pace, notes, acknowledged, kills_over),
        )
        for number, pace in enumerate(paces)
    ]
    for thread in threads:
        thread.start()
    try:
        for number in range(KILLS):
            _kill_some_time(server, random, while_starting=number % 4 == 3)
    finally:
        kills_over.set()
    for thread in threads:
        thread.join(LIMIT)
    assert not acknowledged.failures, acknowledged.failures
    _check_all(server.client(), notes, acknowledged)


def _kill_some_time(server: RunningServer, random: Random, *, while_starting: bool) -> None:
    pause = threading.Event()
    pause.wait(random.uniform(0.02, 0.6))
    server.kill9()
    if while_starting:
        server.launch()
        pause.wait(random.uniform(0.0, 0.8))
        server.kill9()
    server.start()


def _submit_on(
    client: Client,
    name: str,
    random: Random,
    notes: Path,
    acknowledged: Acknowledged,
    kills_over: threading.Event,
) -> None:
    try:
        for number in range(BATCHES):
            kinds = random.choices(list(WORK), weights=(6, 3, 2, 1), k=random.randint(1, 4))
            earlier = acknowledged.by_key.get(f"{name}.{number - 1}", [])[:1]
            specs = [_job(kind, notes, earlier if random.random() < 0.3 else []) for kind in kinds]
            key = f"{name}.{number}"
            ids = _submit_stubbornly(client, specs, key)
            with acknowledged.lock:
                acknowledged.by_key[key] = ids
                acknowledged.kinds.update(zip(ids, kinds, strict=True))
            kills_over.wait(random.uniform(0.1, 0.8))
    except BaseException as error:
        acknowledged.failures.append(error)
        raise


def _job(kind: str, notes: Path, after: list[int]) -> JobSpec:
    return JobSpec(
        command=LOCKED + WORK[kind] + DONE,
        name=kind,
        env={"NOTES": str(notes)},
        after=tuple(after),
        resources=Resources(cpus=0.25, memory=10),
        retry=RetryPolicy(retries=3, delay=0.05),
    )


def _submit_stubbornly(client: Client, specs: list[JobSpec], key: str) -> list[int]:
    """Repeat under the same key until an answer comes through."""
    while True:
        try:
            return list(client.submit_many(specs, idempotency_key=key).ids)
        except UnavailableError:
            threading.Event().wait(0.05)


def _check_all(client: Client, notes: Path, acknowledged: Acknowledged) -> None:
    assert len(acknowledged.by_key) == SUBMITTERS * BATCHES
    every_id = [job for ids in acknowledged.by_key.values() for job in ids]
    assert len(every_id) == len(set(every_id)), "two submissions got the same job"
    for job, kind in acknowledged.kinds.items():
        view = client.wait(job, LIMIT)
        assert view.succeeded, f"{kind} job {job}: {view}"
        _check_runs(client.get(job), kind, notes)
        assert client.stdout(job) == OUTPUT[kind], f"output of {kind} job {job}"
    counts = client.counts()
    assert counts.counts["complete"] == counts.total == len(every_id), "a refused batch stayed"
    assert not (notes / "overlaps").exists(), (notes / "overlaps").read_text()
    for key, ids in acknowledged.by_key.items():
        again = client.submit_many([JobSpec(command="true")], idempotency_key=key)
        assert (list(again.ids), again.added) == (ids, 0)


def _check_runs(view: JobDetail, kind: str, notes: Path) -> None:
    """Every attempt of which a trace is on disk is one that the server knows, and ran once."""
    lines = (notes / f"ran.{view.id}").read_text().split("\n")[:-1]
    runs: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for line in lines:
        word, attempt, _ = line.split()
        runs[word][int(attempt)] += 1
    expected = 2 if kind == "retried" else 1
    assert runs["begin"] == Counter(range(1, expected + 1)), f"job {view.id} ran {lines}"
    assert runs["done"] == Counter([expected]), f"job {view.id} ran {lines}"
    assert [attempt.number for attempt in view.history] == list(range(1, expected + 1))
    assert [attempt.exit_code for attempt in view.history] == [3, 0][-expected:]


WAITS_FOR_FILE = 'echo before; until [ -e "$GO" ]; do sleep 0.05; done; echo after; exit 7'


@pytest.mark.parametrize("ends", ["after the restart", "while the server is away"])
def test_running_jobs_are_adopted(server: RunningServer, folder: Path, ends: str) -> None:
    client = server.client()
    go = folder / "go"
    job = client.submit(JobSpec(command=WAITS_FOR_FILE, env={"GO": str(go)})).id
    wait_for_state(client, job, "running")
    eventually(lambda: client.stdout(job) == b"before\n", what="the first line")
    agent = server.agent
    server.kill9()
    if ends == "while the server is away":
        go.touch()
        slots = server.home / "agent" / "journal"
        eventually(lambda: b"command exited non-zero" in slots.read_bytes())
    server.restart()
    assert server.agent == agent, "another agent was started beside the one that lives"
    if not go.exists():
        eventually(lambda: client.agents()[0].state == "online", what="the agent's return")
        assert client.get(job).state == "running"
        assert client.stdout(job) == b"before\n"
        go.touch()
    view = client.wait(job, LIMIT)
    assert (view.state, view.exit_code, view.attempts) == ("buried", 7, 1)
    assert client.stdout(job) == b"before\nafter\n"


def test_many_kills_with_no_work_leave_one_agent(server: RunningServer) -> None:
    agent = server.agent
    for _ in range(3):
        server.kill9()
        server.restart()
        assert server.agent == agent
    assert server.client().submit("true").id == 1
