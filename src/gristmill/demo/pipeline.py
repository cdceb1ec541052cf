"""The demo's jobs as they are submitted, and what must have become of them."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from gristmill.client import JobSpec, Resources, RetryPolicy, Task
from gristmill.demo import words

SHORT, WORDS, TROUBLE = "short", "words", "trouble"
"""The groups the jobs are reported under."""

SHORT_JOBS = 500
CHUNKS = 200
PIPELINE_JOBS = CHUNKS + 3

SMALL = Resources(cpus=1, memory=128)
FIRST_EXIT = 3
"""What the flaky job's first attempt ends with."""

_FLAKY = f"test -e tried || {{ touch tried; echo not yet; exit {FIRST_EXIT}; }}; echo done"

_STUBBORN = """\
trap '' TERM HUP INT
(
  (setsid sh -c 'echo $$ > runaway.pid; while :; do sleep 1; done' &)
)
echo $$ > stubborn.pid
while :; do sleep 1; done
"""
"""Ignores being asked to end, and so does its grandchild in a session of its own."""


def short_jobs() -> list[JobSpec]:
    """Jobs that do nothing, to see how fast nothing is done."""
    return [JobSpec(command="true", group=SHORT, resources=SMALL)] * SHORT_JOBS


def word_jobs(root: str, folder: Path) -> list[JobSpec]:
    """Split the sources below root, count the chunks side by side, merge, plot.

    Each step waits for the group of the step before it.
    """
    return [
        _step("split", ["split", root, str(folder), str(CHUNKS)], after=()),
        *(
            _step("count", ["count", str(folder), str(number)], after=("split",))
            for number in range(CHUNKS)
        ),
        _step("merge", ["merge", str(folder), str(CHUNKS)], after=("count",)),
        _step("plot", ["plot", str(folder)], after=("merge",)),
    ]


def _step(name: str, arguments: Sequence[str], after: tuple[str, ...]) -> JobSpec:
    script = [sys.executable, "-I", "-S", words.__file__]
    return JobSpec(
        name=name,
        group=WORDS,
        tasks=(Task(argv=(*script, *arguments)),),
        resources=SMALL,
        retry=RetryPolicy(retries=1),
        dep_groups=(name,),
        after_groups=after,
    )


def flaky_job(folder: Path) -> JobSpec:
    """Make a job that fails once and then works."""
    return JobSpec(
        name="flaky",
        group=TROUBLE,
        command=f"cd {shlex.quote(str(folder))}; {_FLAKY}",
        resources=SMALL,
        retry=RetryPolicy(retries=2, delay=0.2),
        priority=1,
    )


def stubborn_job(folder: Path) -> JobSpec:
    """Make a job that does not end when asked, and a descendant that ran away from it."""
    return JobSpec(
        name="stubborn",
        group=TROUBLE,
        command=f"cd {shlex.quote(str(folder))}\n{_STUBBORN}",
        resources=Resources(cpus=0, memory=64),
        priority=1,
    )
