"""Members from lease to result, with real processes."""

import asyncio
import math
import os
from pathlib import Path
from typing import Any

import pytest

from gristmill.agent.journal import read_journal
from gristmill.agent.slots import INLINE_BYTES, Keep
from gristmill.agent.waitlist import SURE
from gristmill.agent.watch import Watch
from gristmill.domain.job import Hook, Hooks, JobSpec, Learn, Task, Workspace
from gristmill.domain.outcome import (
    BAD_WORKDIR,
    CANCELLED_BY_USER,
    COULD_NOT_START,
    NO_CONTAINER_ENGINE,
    NON_ZERO_EXIT,
    OVER_WALLTIME,
    SIGNALLED,
)
from gristmill.domain.resources import Resources
from gristmill.protocol.messages import Held, Stream
from tests.agent.workshop import Workshop, run_jobs


def _text(data: bytes | None) -> str:
    return (data or b"").decode()


def test_output_exit_code_and_usage_are_reported(tmp_path: Path) -> None:
    (end,) = run_jobs(tmp_path, [JobSpec(command="echo out; echo err >&2; exit 3")])
    assert (end.succeeded, end.exit_code, end.reason) == (False, 3, NON_ZERO_EXIT)
    assert end.stdout is not None
    assert end.stderr is not None
    assert (end.stdout.data, end.stderr.data) == (b"out\n", b"err\n")
    assert end.pid > 0
    assert end.started_at is not None
    assert end.ended_at >= end.started_at
    assert end.cpu > 0
    assert len(end.tasks) == 1


def test_a_peak_between_two_looks_is_known(tmp_path: Path) -> None:
    script = "x = bytearray(20 << 20); del x; import time; time.sleep(1.5)"
    commands = [f"exec python3 -c '{script}'", f"python3 -c '{script}'; true"]
    for end in run_jobs(tmp_path, [JobSpec(command=command) for command in commands]):
        assert 20 <= end.peak_memory < 60
        assert end.cpu > 0


def test_what_begins_beside_others_is_looked_at_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    tick = Watch.tick

    def noted(watch: Watch) -> float:
        looks.append(tick(watch))
        return looks[-1]

    monkeypatch.setattr(Watch, "tick", noted)

    async def story() -> None:
        async with Workshop(tmp_path) as workshop:
            first, second = (workshop.lease(JobSpec(command="sleep 1000")) for _ in range(2))
            workshop.runner.accept([first])
            watch, running = workshop.watch, workshop.runner.running
            await workshop.poll(lambda: running[(first.job, 1, 0)].sampled_kb > 0)
            # However long the watch means to rest, a new member cuts that short.
            watch._next_sample = running[(first.job, 1, 0)].look_at = math.inf
            await workshop.poll(lambda: looks[-1] == math.inf)
            workshop.runner.accept([second])
            await workshop.poll(lambda: running[(second.job, 1, 0)].sampled_kb > 0)

    asyncio.run(story())


def test_a_silent_success_has_no_output(tmp_path: Path) -> None:
    (end,) = run_jobs(tmp_path, [JobSpec(command="true")])
    assert end.succeeded
    assert end.stdout is None
    assert end.stderr is None


def test_a_signal_shows_as_a_negative_exit_code(tmp_path: Path) -> None:
    (end,) = run_jobs(tmp_path, [JobSpec(command="kill -9 $$")])
    assert (end.exit_code, end.reason) == (-9, SIGNALLED)


def test_output_does_not_leak_into_the_next_job_of_the_slot(tmp_path: Path) -> None:
    specs = [JobSpec(command=f"echo {n}") for n in range(30)] + [JobSpec(command="true")]
    ends = run_jobs(tmp_path, specs, cpus=1)
    assert [_text(end.stdout.data) for end in ends[:-1] if end.stdout] == [
        f"{n}\n" for n in range(30)
    ]
    assert ends[-1].stdout is None


def test_large_output_stays_a_file(tmp_path: Path) -> None:
    size = INLINE_BYTES + 1
    (end,) = run_jobs(tmp_path, [JobSpec(command=f"head -c {size} /dev/zero")])
    assert end.stdout is not None
    assert end.stdout.size == size
    assert end.stdout.data == b""
    assert Path(end.stdout.path).stat().st_size == size


def test_head_and_tail_of_output_are_kept_when_asked(tmp_path: Path) -> None:
    command = "printf aaaa; head -c 100000 /dev/zero; printf zzzz"
    (end,) = run_jobs(tmp_path, [JobSpec(command=command)], keep=Keep(4, 4))
    assert end.stdout is not None
    assert end.stdout.data == b"aaaa\n... omitting 100000 bytes ...\nzzzz"


def test_output_of_a_success_is_dropped_when_asked(tmp_path: Path) -> None:
    ends = run_jobs(
        tmp_path,
        [
            JobSpec(command="echo x", keep_output="failure"),
            JobSpec(command="echo x; false", keep_output="failure"),
        ],
    )
    assert ends[0].stdout is None
    assert ends[1].stdout is not None


def test_tasks_run_in_order_and_stop_at_the_first_failure(tmp_path: Path) -> None:
    tasks = tuple(Task(command=f"echo {n}; exit {n}") for n in range(3))
    (end,) = run_jobs(tmp_path, [JobSpec(tasks=tasks)])
    assert [task.exit_code for task in end.tasks] == [0, 1]
    assert end.stdout is not None
    assert end.stdout.data == b"0\n1\n"


def test_a_task_is_repeated_before_it_fails_the_job(tmp_path: Path) -> None:
    command = "echo x >> tries; test $(wc -l < tries) -ge 3"
    (end,) = run_jobs(tmp_path, [JobSpec(tasks=(Task(command=command, retries=5),))])
    assert end.succeeded
    assert end.tasks[0].retries == 2


def test_hooks_follow_the_outcome_and_do_not_change_it(tmp_path: Path) -> None:
    hooks = Hooks(
        on_success=(Hook(run="echo success"),),
        on_failure=(Hook(run="echo failure; exit 9"),),
        on_exit=(Hook(run="echo exit"),),
    )
    good, bad = run_jobs(
        tmp_path, [JobSpec(command="true", hooks=hooks), JobSpec(command="exit 4", hooks=hooks)]
    )
    assert good.stdout is not None
    assert bad.stdout is not None
    assert (good.succeeded, good.stdout.data) == (True, b"success\nexit\n")
    assert (bad.exit_code, bad.stdout.data) == (4, b"failure\nexit\n")


def test_failure_hooks_run_for_a_killed_job_too(tmp_path: Path) -> None:
    async def go() -> None:
        async with Workshop(tmp_path) as workshop:
            hooks = Hooks(on_failure=(Hook(run=f"touch {tmp_path}/told"),))
            lease = workshop.lease(JobSpec(command="echo on; sleep 100", hooks=hooks))
            workshop.runner.accept([lease])
            await workshop.until(lambda: workshop.runner.untold)
            workshop.runner.kill((lease.job, 1, 0))
            await workshop.until(lambda: workshop.runner.finished)
            assert workshop.runner.finished[0].reason == CANCELLED_BY_USER

    asyncio.run(go())
    assert (tmp_path / "told").exists()


def test_a_workspace_is_made_and_its_tmp_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    spec = JobSpec(
        command='pwd; echo "$TMPDIR"; echo "$HOME"; touch "$TMPDIR/x" kept',
        cwd=str(top),
        create_cwd=True,
        workspace=Workspace(path="w/5/8/rest", home=True),
    )
    (end,) = run_jobs(tmp_path, [spec])
    assert end.stdout is not None
    cwd, tmp, home = end.stdout.data.decode().split()
    assert cwd == home == end.cwd
    assert Path(cwd).parent == Path(tmp).parent
    assert cwd.startswith(f"{top}/w/5/8/rest")
    assert os.listdir(cwd) == ["kept"]
    assert not Path(tmp).exists()


def test_cleanup_removes_the_workspace_and_empty_parents(tmp_path: Path) -> None:
    top = tmp_path / "top"
    spec = JobSpec(
        command="mkdir -p a/b; touch a/b/c",
        cwd=str(top),
        create_cwd=True,
        workspace=Workspace(path="w/5/8/rest"),
        hooks=Hooks(on_exit=(Hook(cleanup=True),)),
    )
    (end,) = run_jobs(tmp_path, [spec])
    assert end.succeeded
    assert os.listdir(top) == []


def test_an_empty_scratch_folder_is_used_again_and_a_full_one_is_kept(tmp_path: Path) -> None:
    first, second, third = run_jobs(
        tmp_path,
        [JobSpec(command="true"), JobSpec(command="touch mine"), JobSpec(command="ls")],
        cpus=1,
    )
    assert first.cwd == second.cwd
    assert third.cwd != second.cwd
    assert os.listdir(second.cwd) == ["mine"]
    assert third.stdout is None


def test_what_cannot_run_says_why(tmp_path: Path) -> None:
    ends = run_jobs(
        tmp_path,
        [
            JobSpec(command="true", cwd=str(tmp_path / "nowhere")),
            JobSpec(tasks=(Task(argv=("/no/such/program",)),)),
            JobSpec(command="true", image="busybox"),
        ],
    )
    assert [end.reason for end in ends] == [
        BAD_WORKDIR,
        COULD_NOT_START,
        NO_CONTAINER_ENGINE,
    ]
    assert all(end.started_at is None and not end.succeeded and end.message for end in ends)


def test_a_thousand_jobs_that_cannot_start_do_not_pile_up(tmp_path: Path) -> None:
    ends = run_jobs(tmp_path, [JobSpec(command="true", cwd="/no/where") for _ in range(1000)])
    assert len(ends) == 1000


def test_processes_left_by_a_job_are_ended_with_it(tmp_path: Path) -> None:
    command = f"(setsid sleep 1000 & echo $! > {tmp_path}/left) & sleep 0.3"
    (end,) = run_jobs(tmp_path, [JobSpec(command=command)])
    assert end.succeeded
    pid = int((tmp_path / "left").read_text())
    assert (
        not Path(f"/proc/{pid}/cmdline").exists() or not Path(f"/proc/{pid}/cmdline").read_bytes()
    )


def test_walltime_ends_a_job(tmp_path: Path) -> None:
    (end,) = run_jobs(tmp_path, [JobSpec(command="sleep 100", resources=Resources(walltime=0.3))])
    assert end.reason == OVER_WALLTIME
    assert "0.3 s" in end.message


def test_gpus_are_handed_out_by_index(tmp_path: Path) -> None:
    spec = JobSpec(command='echo "$CUDA_VISIBLE_DEVICES"; sleep 0.2', resources=Resources(gpus=1))
    ends = run_jobs(tmp_path, [spec, spec])
    assert {_text(end.stdout.data).strip() for end in ends if end.stdout} == {"0", "1"}


def test_output_can_be_read_while_it_grows(tmp_path: Path) -> None:
    async def go() -> None:
        async with Workshop(tmp_path) as workshop:
            lease = workshop.lease(JobSpec(command="echo one; sleep 100"))
            workshop.runner.accept([lease])
            key = (lease.job, 1, 0)
            await workshop.poll(
                lambda: workshop.runner.read(key, Stream.STDOUT, 0, 100) == b"one\n"
            )
            assert workshop.runner.read(key, Stream.STDOUT, 2, 1) == b"e"
            assert workshop.runner.read((99, 1, 0), Stream.STDOUT, 0, 1) is None

    asyncio.run(go())


def test_the_journal_tells_a_successor_what_ended(tmp_path: Path) -> None:
    run_jobs(tmp_path, [JobSpec(command="true"), JobSpec(command="false")])
    past = read_journal(tmp_path / "journal")
    assert {end.job: end.succeeded for end in past.results} == {1: True, 2: False}
    assert past.cut_off == []


def test_short_jobs_are_kept_at_hand_once_their_shape_is_known(tmp_path: Path) -> None:
    async def go() -> None:
        async with Workshop(tmp_path) as workshop:
            runner = workshop.runner
            await workshop.run(*(JobSpec(command="true") for _ in range(SURE - 1)))
            assert runner.waitlist.wishes(runner.capacity) == {}
            await workshop.run(JobSpec(command="true"))
            assert runner.waitlist.wishes(runner.capacity)[1] > 2

    asyncio.run(go())


def test_what_waits_too_long_is_given_back(tmp_path: Path) -> None:
    async def go() -> None:
        async with Workshop(tmp_path, cpus=1) as workshop:
            first, second = (workshop.lease(JobSpec(command="sleep 100")) for _ in range(2))
            workshop.runner.accept([first, second])
            await workshop.until(lambda: workshop.runner.returned)
            assert workshop.runner.returned == [Held(second.job, 1, 0)]
            assert workshop.runner.held() == [Held(first.job, 1, 0)]

    asyncio.run(go())


def test_what_a_job_leaves_in_its_workspace_is_measured(tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "cwd": str(tmp_path), "workspace": Workspace(path="w"), "learn": Learn(bucket="b"),
        "hooks": Hooks(on_exit=(Hook(cleanup=True),)),
    }  # fmt: skip
    write = "head -c 3000000 /dev/urandom > here; ln here again; cp here $TMPDIR"
    ends = run_jobs(
        tmp_path,
        [
            JobSpec(command=write, **fields),
            JobSpec(command="true", **fields),
            JobSpec(command=f"{write}; false", **fields),
        ],
    )
    assert [end.disk for end in ends] == [6, 0, 0]
    assert not list(tmp_path.glob("w*"))
