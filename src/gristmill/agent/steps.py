"""A job as the list of commands an agent runs for it, one after another."""

import os
import shlex
from collections.abc import Mapping
from typing import NamedTuple

from gristmill.domain.job import Hook, JobSpec, Task, tasks_of
from gristmill.protocol.messages import Lease

SHELLS = {"sh": "/bin/sh", "bash": "/bin/bash"}
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INHERITED = ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR")


class Step(NamedTuple):
    """One command. task: its number among the tasks, or None for a hook.

    words: what to execute; empty when a container image's own entrypoint is meant.
    script: the text of a file that is executed instead.
    """

    task: int | None
    words: tuple[str, ...]
    image: str | None
    env: Mapping[str, str]
    workdir: str | None
    retries: int
    script: str | None = None


def task_steps(spec: JobSpec) -> list[Step]:
    """Return the steps of a job's tasks."""
    return [_task_step(spec, number, task) for number, task in enumerate(tasks_of(spec))]


def _task_step(spec: JobSpec, number: int, task: Task) -> Step:
    words = task.argv
    if task.command is not None:
        words = (SHELLS[spec.shell], "-c", task.command)
    image = None if task.script is not None else task.image or spec.image
    return Step(number, words, image, task.env, task.workdir, task.retries, task.script)


def hook_steps(spec: JobSpec, *, succeeded: bool, folder: str | None) -> list[Step]:
    """Return the commands of the hooks that this outcome calls for.

    folder: what a cleanup removes; None when the job has no folder of its own.
    """
    steps = []
    for hook in _hooks(spec, succeeded=succeeded):
        if hook.run is not None:
            steps.append(Step(None, (SHELLS[spec.shell], "-c", hook.run), None, {}, None, 0))
        if hook.cleanup and folder is not None:
            steps.append(removal(folder))
    return steps


def removal(folder: str) -> Step:
    """Return the step that removes a folder: in a process, for it may hold a million files."""
    return Step(None, ("/bin/rm", "-rf", "--one-file-system", "--", folder), None, {}, "/", 0)


def _hooks(spec: JobSpec, *, succeeded: bool) -> tuple[Hook, ...]:
    first = spec.hooks.on_success if succeeded else spec.hooks.on_failure
    return first + spec.hooks.on_exit


def base_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return what every job inherits from the agent: who and where, no secrets."""
    environment = {name: own[name] for name in _INHERITED if name in own}
    environment["PATH"] = own.get("PATH", DEFAULT_PATH)
    return environment


def environment(
    base: Mapping[str, str], spec: JobSpec, lease: Lease, node: str, gpus: list[int]
) -> dict[str, str]:
    """Return the variables of a member: what it inherits, what it is told, what it asked for."""
    variables = dict(base)
    variables["GRISTMILL_JOB_ID"] = str(lease.job)
    variables["GRISTMILL_ATTEMPT"] = str(lease.attempt)
    if lease.gang is not None:
        variables.update(_gang_environment(lease))
    if spec.resources.gpus or gpus:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, gpus))
    variables.update(lease.env)
    variables.update(spec.env)
    variables["GRISTMILL_MEMBER"] = f"{node}/{lease.job}.{lease.attempt}.{lease.rank}"
    return variables


def _gang_environment(lease: Lease) -> dict[str, str]:
    gang = lease.gang
    assert gang is not None
    here = gang.hosts[lease.rank]
    return {
        "RANK": str(lease.rank),
        "WORLD_SIZE": str(gang.size),
        "LOCAL_RANK": str(gang.hosts[: lease.rank].count(here)),
        "LOCAL_WORLD_SIZE": str(gang.hosts.count(here)),
        "MASTER_ADDR": gang.hosts[0],
        "MASTER_PORT": str(gang.port),
        "GRISTMILL_HOSTS": ",".join(gang.hosts),
    }


def describe(step: Step) -> str:
    """Return the step as one line for messages."""
    if step.script is not None:
        return step.script.partition("\n")[0]
    return shlex.join(step.words) if step.words else f"entrypoint of {step.image}"


def resolve_home(path: str) -> str:
    """Expand a leading ``~`` to the home of whoever the agent runs as."""
    return os.path.expanduser(path)
