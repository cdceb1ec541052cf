"""Ranks: what they are told, the line by which they say that they are done, what they use."""

import asyncio
import time
from pathlib import Path

from gristmill.agent.runtimes import Runtimes
from gristmill.containers.images import ImageStore
from gristmill.domain.job import GoalLine, JobSpec, Task
from gristmill.domain.outcome import NON_ZERO_EXIT
from gristmill.domain.retry import RetryPolicy
from gristmill.protocol.messages import GangPlace
from tests.agent.workshop import Workshop, run_jobs


def test_a_rank_without_others_is_told_so_as_torchrun_would(tmp_path: Path) -> None:
    spec = JobSpec(command="env", distributed=True, retry=RetryPolicy(retries=2))
    (end,) = run_jobs(tmp_path, [spec])
    assert end.stdout is not None
    told = dict(line.split("=", 1) for line in end.stdout.data.decode().splitlines())
    expected = {
        "RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1",
        "GROUP_RANK": "0", "GROUP_WORLD_SIZE": "1", "ROLE_RANK": "0", "ROLE_WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "2", "TORCHELASTIC_RUN_ID": "1",
        "OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1",
    }  # fmt: skip
    assert expected.items() <= told.items()
    assert told["MASTER_PORT"].isdigit()


def test_after_the_goal_line_a_member_has_its_grace_and_succeeds(tmp_path: Path) -> None:
    spec = JobSpec(
        command="echo epoch 1; echo 'now: GOAL Reached!'; sleep 600",
        goal=GoalLine(text="goal reached!", grace=0.5),
    )
    began = time.monotonic()
    (end,) = run_jobs(tmp_path, [spec])
    assert end.succeeded
    assert 0.5 <= time.monotonic() - began < 60


def test_who_leaves_by_itself_after_the_goal_succeeds_however_it_ends(tmp_path: Path) -> None:
    spec = JobSpec(command="echo Done; sleep 2; exit 3", goal=GoalLine(text="done", grace=60))
    (end,) = run_jobs(tmp_path, [spec])
    assert (end.succeeded, end.exit_code) == (True, 3)


def test_without_its_goal_line_a_failure_is_one(tmp_path: Path) -> None:
    spec = JobSpec(command="echo do; echo ne; sleep 1; exit 3", goal=GoalLine(text="done"))
    (end,) = run_jobs(tmp_path, [spec])
    assert (end.succeeded, end.reason) == (False, NON_ZERO_EXIT)


def test_use_is_sampled_where_the_job_names_a_source(tmp_path: Path) -> None:
    async def go() -> None:
        async with Workshop(tmp_path) as workshop:
            command = "until [ -e go ]; do :; done"
            (tmp_path / "work").mkdir()
            cwd = str(tmp_path / "work")
            measured = JobSpec(command=command, cwd=cwd, usage_sources=("pod:a",))
            leases = [workshop.lease(measured), workshop.lease(JobSpec(command=command, cwd=cwd))]
            workshop.runner.accept(leases)
            samples = []

            def seen() -> bool:
                samples.extend(workshop.pulses.take())
                return len(samples) >= 1

            await workshop.poll(seen)
            (tmp_path / "work" / "go").touch()
            await workshop.until(lambda: len(workshop.runner.finished) == 2)
            assert {sample.job for sample in samples} == {leases[0].job}
            assert samples[0].memory > 0
            assert samples[0].cpu >= samples[0].user + samples[0].system - 0.02
            assert samples[0].at >= samples[0].started_at

    asyncio.run(go())


def test_ranks_on_several_nodes_start_without_an_mpirun(tmp_path: Path) -> None:
    runtimes = Runtimes(ImageStore(tmp_path), None, on_host=False)
    task = Task(argv=("true",), kind="openmpi", processes=1)
    spec = JobSpec(tasks=(task,), distributed=True)
    apart = runtimes.fitted(spec, GangPlace(2, ["a", "b"], 1))
    assert apart.tasks == (Task(argv=("true",)),)
    plain = JobSpec(tasks=(task,))
    assert runtimes.fitted(plain, GangPlace(2, ["a", "b"], 1)) is plain
