"""Jobs whose task is a script: executed as a file, by the interpreter it names."""

import sys
from pathlib import Path

import pytest

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.job import JobSpec, Task, check_spec
from gristmill.domain.outcome import COULD_NOT_START
from gristmill.protocol.messages import Finished
from tests.agent.workshop import run_jobs


def _script(text: str, **fields: object) -> JobSpec:
    return JobSpec(tasks=(Task(script=text),), **fields)  # type: ignore[arg-type]


def _stdout(end: Finished) -> bytes:
    return end.stdout.data if end.stdout else b""


def test_a_script_is_run_by_the_interpreter_it_names(tmp_path: Path) -> None:
    python = f"#!{sys.executable}\nimport sys\nprint(sys.version_info[0], 'sné')\n"
    shell = "#!/bin/sh -e\nfalse\necho never\n"
    first, second = run_jobs(tmp_path, [_script(python), _script(shell)])
    assert (first.succeeded, _stdout(first).decode()) == (True, "3 sné\n")
    assert (second.exit_code, _stdout(second)) == (1, b"")


def test_a_script_without_an_interpreter_is_for_the_shell(tmp_path: Path) -> None:
    plain, empty = run_jobs(tmp_path, [_script("echo $((40 + 2))"), _script("")])
    assert _stdout(plain) == b"42\n"
    assert empty.succeeded


def test_an_interpreter_that_is_not_there_is_no_start(tmp_path: Path) -> None:
    (end,) = run_jobs(tmp_path, [_script("#!/no/such/interpreter\n")])
    assert (end.succeeded, end.reason) == (False, COULD_NOT_START)


def test_a_script_may_be_larger_than_an_argument(tmp_path: Path) -> None:
    long = "#!/bin/sh\n" + "# filler\n" * 100_000 + "echo end\n"
    (end,) = run_jobs(tmp_path, [_script(long)])
    assert _stdout(end) == b"end\n"


def test_merged_output_keeps_the_order_it_was_written_in(tmp_path: Path) -> None:
    text = "#!/bin/sh\necho one; echo two >&2; echo three; echo four >&2\n"
    (end,) = run_jobs(tmp_path, [_script(text, merge_output=True)])
    assert _stdout(end) == b"one\ntwo\nthree\nfour\n"
    assert end.stderr is None


def test_scripts_leave_no_descriptor_open_in_the_agent(tmp_path: Path) -> None:
    list_descriptors = "#!/bin/sh\nls /proc/$PPID/fd | wc -l\n"
    ends = run_jobs(tmp_path, [_script(list_descriptors) for _ in range(6)], cpus=1)
    counts = [int(_stdout(end)) for end in ends]
    assert max(counts) - min(counts) < len(ends) - 1


def test_a_task_is_one_thing_only() -> None:
    for task in (Task(script="x", command="y"), Task(script="x", argv=("y",)),
                 Task(script="x", image="busybox")):  # fmt: skip
        with pytest.raises(InvalidInputError):
            check_spec(JobSpec(tasks=(task,)))
