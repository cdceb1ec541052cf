"""Promise 1 on a full disk: clear refusals, nothing acknowledged lost, no restart needed."""

import contextlib
import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gristmill.agent.journal import Journal, read_journal
from gristmill.client import Client, JobSpec, UnavailableError
from gristmill.protocol.messages import Finished, Held
from tests.e2e.conftest import Start
from tests.e2e.harness import LIMIT, RunningServer, eventually, wait_for_state

SIZE_MB = 48
CHUNK = 1 << 20
MOST_SUBMISSIONS = 2_000


@pytest.fixture
def small_disk(home: Path) -> Iterator[Path]:
    """A file system of its own, a few megabytes large, as the server's home."""
    home.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "gristmill-test", str(home)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a tmpfs")
    yield home
    subprocess.run(["umount", "--lazy", str(home)], check=True)


@pytest.fixture
def server(small_disk: Path, start: Start) -> RunningServer:
    """A server whose home is the small disk."""
    return start()


def fill(disk: Path) -> Callable[[], None]:
    """Write until nothing fits any more; return what makes room again."""
    filler = disk / "filler"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    size = CHUNK
    while size:
        try:
            os.write(descriptor, bytes(size))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            size //= 2
    os.close(descriptor)
    return filler.unlink


def submit_until_refused(client: Client) -> list[int]:
    """Submit until the server has no room; return what it has acknowledged."""
    acknowledged: list[int] = []
    with contextlib.suppress(UnavailableError):
        for _ in range(MOST_SUBMISSIONS):
            acknowledged.append(client.submit("true").id)
    assert len(acknowledged) < MOST_SUBMISSIONS, "a full disk was never noticed"
    return acknowledged


def test_refusals_are_clear_and_nothing_is_lost(server: RunningServer, small_disk: Path) -> None:
    client = server.client(patience=0)
    acknowledged = list(client.submit_many(["echo hello"] * 20).ids)
    make_room = fill(small_disk)
    acknowledged += submit_until_refused(client)
    answer = server.request("POST", "/v1/jobs", json={"command": "true"})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["error"]["code"] == "unavailable"
    assert server.request("GET", "/healthz").status_code == 200
    assert server.request("GET", "/readyz").status_code == 503
    assert client.counts().total == len(acknowledged), "a refused submission left something"
    make_room()
    eventually(lambda: server.request("GET", "/readyz").status_code == 200)
    acknowledged.append(client.submit("true").id)
    assert all(view.succeeded for view in client.wait_all(acknowledged, LIMIT))
    assert client.counts().total == len(acknowledged)
    assert server.process.poll() is None


def test_a_job_that_ends_on_a_full_disk_keeps_its_result(
    server: RunningServer, small_disk: Path, folder: Path
) -> None:
    client = server.client(patience=0)
    go = folder / "go"
    job = client.submit(f'echo one; until [ -e "{go}" ]; do sleep 0.05; done; exit 9').id
    wait_for_state(client, job, "running")
    eventually(lambda: client.stdout(job) == b"one\n")
    agent = server.agent
    make_room = fill(small_disk)
    submit_until_refused(client)
    pid = client.get(job).history[0].pid
    go.touch()
    eventually(lambda: not Path(f"/proc/{pid}").exists(), what="the job's end")
    assert server.request("GET", "/readyz").status_code == 503
    make_room()
    view = client.wait(job, LIMIT)
    assert (view.state, view.exit_code, view.attempts) == ("buried", 9, 1)
    assert client.stdout(job) == b"one\n"
    assert server.agent == agent, "the agent did not survive"


def test_endless_output_takes_nobody_down(server: RunningServer, small_disk: Path) -> None:
    client = server.client(patience=0)
    agent = server.agent
    filler = small_disk / "filler"
    filler.write_bytes(bytes(8 * CHUNK))
    job = client.submit(JobSpec(command="yes no end")).id
    eventually(lambda: _free(small_disk) == 0, what="a full disk")
    refused = submit_until_refused(client)
    assert server.request("GET", "/healthz").status_code == 200
    filler.unlink()
    client.wait(job, LIMIT)
    eventually(lambda: _succeeds(lambda: client.submit("true")), what="a submission")
    assert all(view.succeeded for view in client.wait_all(refused, LIMIT))
    assert client.read_output(job, limit=7).data == b"no end\n"
    assert server.agent == agent, "the agent did not survive"
    assert server.process.poll() is None


def _free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail


def _succeeds(act: Callable[[], object]) -> bool:
    try:
        act()
    except UnavailableError:
        return False
    return True


def test_an_agents_journal_catches_up_when_there_is_room(small_disk: Path) -> None:
    path = small_disk / "journal"
    journal = Journal(path)
    make_room = fill(small_disk)
    ends = [_end(job) for job in range(1, 200)]
    for end in ends:
        journal.began(Held(end.job, end.attempt))
        journal.ended(end)
    held = read_journal(path)
    assert len(held.results) < len(ends), "the disk was not full"
    make_room()
    journal.acknowledged(ends[:10])
    assert [end.job for end in read_journal(path).results] == [end.job for end in ends[10:]]
    assert read_journal(path).cut_off == []
    journal.close()


@pytest.mark.parametrize("torn", [1, 4, 5, 20])
def test_a_torn_record_is_dropped_and_what_follows_is_not(folder: Path, torn: int) -> None:
    path = folder / "journal"
    journal = Journal(path)
    journal.ended(_end(1))
    whole = path.stat().st_size
    journal.ended(_end(2))
    journal.close()
    os.truncate(path, whole + torn)
    past = read_journal(path)
    assert ([end.job for end in past.results], past.size) == ([1], whole)
    journal = Journal(path)
    journal.cut(past.size)
    journal.ended(_end(3))
    journal.close()
    assert [end.job for end in read_journal(path).results] == [1, 3]


def _end(job: int) -> Finished:
    return Finished(job, 1, 0, 1, True, 0, "", 1.0, 2.0, 7, "/", 1, 0.5, [])
