"""Remote file systems of members, with a real client and a real store."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gristmill.agent.helpers import MemberHelpers
from gristmill.agent.mount_table import mounted
from gristmill.agent.mounts import Mounts
from gristmill.domain.clock import Chance
from gristmill.domain.job import Hook, Hooks, JobSpec, Mount, MountTarget, Workspace
from gristmill.domain.outcome import CANCELLED_BY_USER, MOUNT_FAILED, NON_ZERO_EXIT, UPLOAD_FAILED
from gristmill.protocol.messages import Finished
from tests.agent.workshop import Workshop, run_jobs
from tests.store_s3 import S3Store, s3_store

Target = dict[str, Any]


@pytest.fixture(scope="module")
def store() -> Iterator[S3Store]:
    with s3_store() as made:
        yield made


@pytest.fixture
def bucket(store: S3Store, request: pytest.FixtureRequest) -> str:
    """A bucket of the test's own, with two files in it."""
    name = str(request.node.name).replace("_", "-")[-60:].strip("-")
    store.put(name)
    store.put(name, "top.txt", b"top\n")
    store.put(name, "sub/dir/low.txt", b"low\n")
    return name


def _job(
    store: S3Store, command: str, *targets: Target, mount: Target | None = None, **fields: Any
) -> JobSpec:
    shown = Mount(targets=tuple(MountTarget(**target) for target in targets), **(mount or {}))
    return JobSpec(command=command, env=store.variables, mounts=(shown,), **fields)


def _out(end: Finished) -> bytes:
    return end.stdout.data if end.stdout else b""


def _nothing_is_left(home: Path) -> None:
    assert not [point for point in mounted() if point.startswith(str(home))]
    assert os.listdir(home / "mounts") == []


def test_a_folder_of_a_bucket_can_be_read(tmp_path: Path, store: S3Store, bucket: str) -> None:
    (end,) = run_jobs(
        tmp_path, [_job(store, "ls; cat low.txt; ! touch mine", {"path": f"{bucket}/sub/dir"})]
    )
    assert (end.succeeded, end.message) == (True, "")
    assert _out(end) == b"low.txt\nlow\n"
    _nothing_is_left(tmp_path)


def test_what_is_written_is_brought_there(tmp_path: Path, store: S3Store, bucket: str) -> None:
    command = (
        "echo one > one; mkdir -p deep/er; echo two > deep/er/two; echo more >> top.txt;"
        "rm -r sub; mkdir sub; echo new > sub/new; echo again > one; cat sub/new top.txt"
    )
    (end,) = run_jobs(tmp_path, [_job(store, command, {"path": bucket, "write": True})])
    assert (end.succeeded, end.message) == (True, "")
    assert _out(end) == b"new\ntop\nmore\n"
    files = {name: store.get(bucket, name) for name in store.names(bucket) if name[-1] != "/"}
    assert files == {
        "one": b"again\n", "deep/er/two": b"two\n", "top.txt": b"top\nmore\n", "sub/new": b"new\n",
    }  # fmt: skip
    _nothing_is_left(tmp_path)


def test_of_a_failure_nothing_is_brought(tmp_path: Path, store: S3Store, bucket: str) -> None:
    before = store.names(bucket)
    (end,) = run_jobs(
        tmp_path, [_job(store, "echo x > x; rm top.txt; exit 4", {"path": bucket, "write": True})]
    )
    assert (end.exit_code, end.reason) == (4, NON_ZERO_EXIT)
    assert store.names(bucket) == before
    _nothing_is_left(tmp_path)


def test_several_targets_are_one_folder(tmp_path: Path, store: S3Store, bucket: str) -> None:
    store.put(bucket, "sub/dir/top.txt", b"hides\n")
    point = tmp_path / "by, the: way"
    (end,) = run_jobs(
        tmp_path,
        [
            _job(
                store,
                f"cd '{point}'; ls; cat top.txt; echo x > made",
                {"path": f"{bucket}/sub/dir"},
                {"path": bucket, "write": True, "cache": True},
                mount={"path": str(point), "cache_base": str(tmp_path / "base")},
            )
        ],
    )
    assert (end.succeeded, end.message) == (True, "")
    assert _out(end) == b"low.txt\nsub\ntop.txt\nhides\n"
    assert store.get(bucket, "made") == b"x\n"
    assert not point.exists(), "what was made for the mount goes with it"
    assert os.listdir(tmp_path / "base") == []
    _nothing_is_left(tmp_path)


def test_behaviours_come_before_the_end_of_the_mount(
    tmp_path: Path, store: S3Store, bucket: str
) -> None:
    log = tmp_path / "log"
    hooks = Hooks(on_exit=(Hook(run=f"cat top.txt > {log}; echo h > hook"), Hook(cleanup=True)))
    (end,) = run_jobs(
        tmp_path,
        [
            _job(store, "true", {"path": bucket, "write": True}, hooks=hooks,
                 cwd=str(tmp_path / "here"), create_cwd=True, workspace=Workspace(path="a/b"))
        ],
    )  # fmt: skip
    assert (end.succeeded, end.message) == (True, "")
    assert log.read_text() == "top\n"
    assert store.get(bucket, "hook") == b"h\n"
    assert os.listdir(tmp_path / "here") == []
    assert store.get(bucket, "top.txt") == b"top\n", "cleaning up reached into the bucket"


def test_kept_copies_stay_where_they_are_wanted(
    tmp_path: Path, store: S3Store, bucket: str
) -> None:
    cache = tmp_path / "copies"
    (end,) = run_jobs(
        tmp_path,
        [_job(store, "cat top.txt", {"path": bucket, "cache": True, "cache_dir": str(cache)})],
    )
    assert _out(end) == b"top\n"
    assert (cache / bucket / "top.txt").read_bytes() == b"top\n"


def test_a_store_that_takes_nothing(tmp_path: Path, store: S3Store, bucket: str) -> None:
    gate, hooked = tmp_path / "gate", tmp_path / "hooked"
    os.mkfifo(gate)

    async def story() -> Finished:
        async with Workshop(tmp_path) as workshop:
            hooks = Hooks(on_success=(Hook(run=f"touch {hooked}; cat {gate}"),))
            target = {"path": bucket, "write": True}
            spec = _job(store, "echo x > x", target, mount={"retries": 1}, hooks=hooks)
            workshop.runner.accept([workshop.lease(spec)])
            await workshop.poll(hooked.exists)
            store.drop(bucket)
            gate.write_text("")
            await workshop.until(lambda: workshop.runner.finished)
            return workshop.runner.finished[0]

    end = asyncio.run(story())
    assert (end.succeeded, end.exit_code, end.reason) == (False, 0, UPLOAD_FAILED)
    assert "/x: " in end.message
    _nothing_is_left(tmp_path)


def test_what_cannot_be_mounted_says_why(tmp_path: Path, store: S3Store, bucket: str) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").touch()
    ends = run_jobs(
        tmp_path,
        [
            _job(store, "true", {"path": "no-such-bucket"}),
            _job(store, "true", {"path": bucket, "profile": "nobody"}),
            _job(store, "true", {"path": "../etc"}),
            _job(store, "true", {"path": bucket}, mount={"path": str(full)}),
            _job(store, "true", {"path": bucket}, mount={"path": "/proc/no/where"}),
        ],
    )
    assert {end.reason for end in ends} == {MOUNT_FAILED}
    assert all(end.started_at is None for end in ends)
    for end, words in zip(
        ends, ("bucket or key not found", "no profile 'nobody'", "is not a bucket", "is not empty",
               "/proc/no"), strict=True,
    ):  # fmt: skip
        assert words in end.message
    _nothing_is_left(tmp_path)


def test_a_node_without_a_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (end,) = run_jobs(
        tmp_path, [JobSpec(command="true", mounts=(Mount(targets=(MountTarget(path="any"),)),))]
    )
    assert end.reason == MOUNT_FAILED
    assert end.message == "no FUSE client for S3 (s3fs) is on the node"
    _nothing_is_left(tmp_path)


def test_killed_while_mounted(tmp_path: Path, store: S3Store, bucket: str) -> None:
    async def story() -> Finished:
        async with Workshop(tmp_path) as workshop:
            command = f"setsid sleep 1000 & echo x > x; touch {tmp_path}/up; sleep 1000"
            lease = workshop.lease(_job(store, command, {"path": bucket, "write": True}))
            workshop.runner.accept([lease])
            await workshop.poll((tmp_path / "up").exists)
            workshop.runner.kill((lease.job, 1, 0))
            await workshop.until(lambda: workshop.runner.finished)
            return workshop.runner.finished[0]

    end = asyncio.run(story())
    assert end.reason == CANCELLED_BY_USER
    assert "x" not in store.names(bucket)
    _nothing_is_left(tmp_path)


def test_killed_while_it_is_being_mounted(tmp_path: Path, store: S3Store, bucket: str) -> None:
    async def story() -> Finished:
        async with Workshop(tmp_path) as workshop:
            lease = workshop.lease(_job(store, "true", {"path": bucket}))
            workshop.runner.accept([lease])
            await asyncio.sleep(0)
            workshop.runner.kill((lease.job, 1, 0))
            await workshop.until(lambda: workshop.runner.finished)
            return workshop.runner.finished[0]

    end = asyncio.run(story())
    assert (end.reason, end.started_at) == (CANCELLED_BY_USER, None)
    _nothing_is_left(tmp_path)


def test_the_next_agent_clears_away_what_a_dead_one_left(
    tmp_path: Path, store: S3Store, bucket: str
) -> None:
    async def story() -> None:
        async with Workshop(tmp_path) as workshop:
            lease = workshop.lease(
                _job(store, f"echo x > x; touch {tmp_path}/up; sleep 1000",
                     {"path": bucket, "write": True})
            )  # fmt: skip
            workshop.runner.accept([lease])
            await workshop.poll((tmp_path / "up").exists)
            (member,) = workshop.runner.running.values()
            assert member.mounts is not None
            (client,) = member.mounts.clients
            os.kill(client.pid, signal.SIGKILL)
            await client.ended
            assert member.cwd in mounted()
            helpers = MemberHelpers(workshop.node, workshop.helpers)
            Mounts(tmp_path / "mounts", helpers, Chance()).clear_leftovers()
            assert member.cwd not in mounted()

    asyncio.run(story())
    assert store.get(bucket, "top.txt") == b"top\n"
    _nothing_is_left(tmp_path)
