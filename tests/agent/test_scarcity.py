"""When memory or room on the disk runs out on a node."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.agent.node import is_volume_full, share_of_memory_used
from gristmill.domain.job import Hook, Hooks, JobSpec, Workspace
from gristmill.domain.outcome import DISK_FULL, OVER_MEMORY
from gristmill.domain.resources import Resources
from gristmill.protocol.messages import Finished
from tests.agent.workshop import Workshop, run_jobs

EAT = "python3 -c 'x = bytearray({mb} << 20); import time; time.sleep({seconds})'"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A folder on a volume of two megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small volume needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _hungry(seconds: float, mb: int = 80) -> JobSpec:
    return JobSpec(
        command=EAT.format(mb=mb, seconds=seconds),
        resources=Resources(memory=50),
        kill_over_memory="when_scarce",
    )


def test_more_memory_than_asked_for_while_there_is_enough(tmp_path: Path) -> None:
    (end,) = run_jobs(tmp_path, [_hungry(1.5)], memory_used=0.89)
    assert end.succeeded
    assert end.peak_memory > 50


def test_the_greediest_is_ended_when_memory_is_scarce(tmp_path: Path) -> None:
    async def story() -> list[Finished]:
        async with Workshop(tmp_path, cpus=4, memory_used=0.9) as workshop:
            within = _hungry(1000, mb=1)
            leases = [workshop.lease(spec) for spec in (_hungry(1000), _hungry(1000, 160), within)]
            workshop.runner.accept(leases)
            await workshop.until(lambda: len(workshop.runner.finished) == 2)
            assert [key[0] for key in workshop.runner.running] == [leases[2].job]
            return list(workshop.runner.finished)

    ends = asyncio.run(story())
    assert [end.job for end in ends] == [2, 1]
    assert [end.reason for end in ends] == [OVER_MEMORY] * 2
    assert "of the 50 MB asked for" in ends[0].message


def test_the_share_of_memory_in_use() -> None:
    assert 0 < share_of_memory_used() < 1


def test_a_command_that_found_no_room(tmp_path: Path, small: Path) -> None:
    spec = JobSpec(
        command="head -c 9M /dev/zero > x",
        cwd=str(small),
        workspace=Workspace(path="w/x"),
        hooks=Hooks(on_exit=(Hook(cleanup=True),)),
    )
    (end,) = run_jobs(tmp_path, [spec])
    assert (end.exit_code, end.reason) == (1, DISK_FULL)
    assert not is_volume_full(str(small)), "cleaning up made room again"


def test_a_command_that_goes_on_without_room_is_ended(tmp_path: Path, small: Path) -> None:
    command = "head -c 9M /dev/zero > x; sleep 1000"
    spec = JobSpec(command=command, cwd=str(small), workspace=Workspace(path="w/x"))
    (end,) = run_jobs(tmp_path, [spec])
    assert end.reason == DISK_FULL
    assert end.message.startswith(f"no room is left for {small}/w/x")
    assert is_volume_full(str(small))
    assert not is_volume_full(str(tmp_path))
    assert not is_volume_full(str(tmp_path / "gone"))


def test_without_a_folder_of_its_own_nobody_looks(tmp_path: Path, small: Path) -> None:
    command = "head -c 9M /dev/zero > x; sleep 1.5; rm x"
    (end,) = run_jobs(tmp_path, [JobSpec(command=command, cwd=str(small))])
    assert end.succeeded
