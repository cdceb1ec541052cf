"""What jobs write can be read while they run and after, byte by byte as they wrote it."""

import hashlib
import time
from pathlib import Path
from random import Random

import pytest

from gristmill.client import JobSpec, Resources, RetryPolicy
from tests.e2e.harness import LIMIT, RunningServer, eventually, wait_for_state

ALL_BYTES = "exec python3 -c 'import sys; sys.stdout.buffer.write(bytes(range(256)) * 40)'"
PROMPT = 1.0
"""Seconds within which output is to be seen, on a machine that is not overloaded."""

TRIES = 5


def test_output_is_seen_within_a_second(shared_server: RunningServer) -> None:
    client = shared_server.client()
    delays = []
    for _ in range(TRIES):
        spec = JobSpec(command="date +%s.%N; exec sleep 1000", resources=Resources(cpus=0))
        job = client.submit(spec).id
        eventually(lambda job=job: client.stdout(job).endswith(b"\n"))  # type: ignore[misc]
        delays.append(time.time() - float(client.stdout(job)))
        client.cancel(job)
        if delays[-1] < PROMPT:
            return
    pytest.fail(f"output was seen after {delays} seconds")


def test_follow(shared_server: RunningServer, folder: Path) -> None:
    client = shared_server.client()
    steps = [folder / name for name in "ab"]
    waits = "; ".join(
        f'until [ -e "{step}" ]; do sleep 0.05; done; echo {step.name}' for step in steps
    )
    job = client.submit(f"echo begun; {waits}; exit 2").id
    seen = b""
    pieces = client.output(job, follow=True)
    for step, until in zip([*steps, None], (b"begun\n", b"a\n", b"b\n"), strict=True):
        while not seen.endswith(until):
            seen += next(pieces)
        if step is not None:
            step.touch()
    assert (seen, list(pieces)) == (b"begun\na\nb\n", [])
    assert client.wait(job, LIMIT).exit_code == 2


def test_offsets_while_running_and_after(shared_server: RunningServer, folder: Path) -> None:
    client = shared_server.client()
    go = folder / "go"
    job = client.submit(f'printf 0123456789; until [ -e "{go}" ]; do sleep 0.05; done').id
    eventually(lambda: len(client.stdout(job)) == 10)
    running = client.read_output(job, offset=3, limit=4)
    assert (running.data, running.next_offset, running.ended) == (b"3456", 7, False)
    assert client.read_output(job, offset=10).data == b""
    go.touch()
    assert client.wait(job, LIMIT).succeeded
    middle = client.read_output(job, offset=3, limit=4)
    assert (middle.data, middle.next_offset, middle.ended) == (b"3456", 7, False)
    last = client.read_output(job, offset=7)
    assert (last.data, last.next_offset, last.ended) == (b"789", 10, True)
    beyond = client.read_output(job, offset=1000)
    assert (beyond.data, beyond.ended) == (b"", True)


def test_every_byte_passes(shared_server: RunningServer) -> None:
    client = shared_server.client()
    job = client.submit(ALL_BYTES).id
    assert client.wait(job, LIMIT).succeeded
    assert client.stdout(job) == bytes(range(256)) * 40
    assert client.stderr(job) == b""


def test_both_streams(shared_server: RunningServer) -> None:
    client = shared_server.client()
    job = client.submit("echo out; echo err >&2").id
    assert client.wait(job, LIMIT).succeeded
    assert (client.stdout(job), client.stderr(job)) == (b"out\n", b"err\n")
    sizes = client.get(job).history[0]
    assert (sizes.stdout_size, sizes.stderr_size) == (4, 4)


@pytest.mark.parametrize("size", [65_535, 65_536, 65_537, 5_000_000])
def test_sizes_around_what_is_kept_in_the_store(shared_server: RunningServer, size: int) -> None:
    client = shared_server.client()
    write = f"sys.stdout.buffer.write(random.Random(1).randbytes({size}))"
    job = client.submit(f"exec python3 -c 'import random, sys; {write}'").id
    assert client.wait(job, LIMIT).succeeded
    expected = hashlib.sha256(Random(1).randbytes(size)).digest()
    assert hashlib.sha256(client.stdout(job)).digest() == expected
    assert client.get(job).history[0].stdout_size == size
    client.forget(job)
    assert not list((shared_server.home / "outputs").glob(f"{job}.*"))


def test_each_attempt_keeps_its_own(shared_server: RunningServer) -> None:
    client = shared_server.client()
    spec = JobSpec(
        command='head -c 70000 /dev/zero; echo "$GRISTMILL_ATTEMPT"; exit 1',
        retry=RetryPolicy(retries=1, delay=0.01),
    )
    job = client.submit(spec).id
    client.wait(job, LIMIT)
    tails = [client.read_output(job, attempt=n, offset=70_000).data for n in (1, 2)]
    assert tails == [b"1\n", b"2\n"]


def test_a_later_job_does_not_see_what_an_earlier_one_wrote(shared_server: RunningServer) -> None:
    """Short jobs take turns on the same files."""
    client = shared_server.client()
    commands = [f"printf {'x' * (n % 7)}" if n % 7 else "true" for n in range(80)]
    ids = client.submit_many(commands).ids
    assert all(view.succeeded for view in client.wait_all(ids, LIMIT))
    assert [len(client.stdout(job)) for job in ids] == [n % 7 for n in range(80)]


def test_a_process_that_outlives_its_job_cannot_write_into_another(
    shared_server: RunningServer,
) -> None:
    client = shared_server.client()
    first = client.submit("(setsid sh -c 'while echo late; do :; done' &) ; echo mine").id
    assert client.wait(first, LIMIT).succeeded
    ids = client.submit_many(["echo mine"] * 10).ids
    assert all(view.succeeded for view in client.wait_all(ids, LIMIT))
    assert {client.stdout(job) for job in ids} == {b"mine\n"}


def test_output_of_cancelled_jobs_is_kept(shared_server: RunningServer) -> None:
    client = shared_server.client()
    job = client.submit("trap 'echo bye; exit 0' TERM; echo hi; while :; do sleep 0.05; done").id
    wait_for_state(client, job, "running")
    eventually(lambda: client.stdout(job) == b"hi\n")
    client.cancel(job)
    assert client.wait(job, LIMIT).state == "cancelled"
    assert client.stdout(job) == b"hi\nbye\n"
