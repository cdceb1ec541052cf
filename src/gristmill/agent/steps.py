"""A job as the list of commands an agent runs for it, one after another."""

import os
import shlex
from collections.abc import Mapping
from typing import NamedTuple

from gristmill.domain.job import MPI_KINDS, Hook, JobSpec, Task, TaskKind, tasks_of
from gristmill.domain.staging import fill
from gristmill.protocol.messages import GangPlace, Lease

REMOVE = "/bin/rm"
SHELLS = {"sh": "/bin/sh", "bash": "/bin/bash"}
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
LOOPBACK, ALONE_PORT = "127.0.0.1", 29_400
"""Where a rank without others is to meet them."""

_INHERITED = ("HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR")


class Step(NamedTuple):
    """One command. task: its number among the tasks, or None for a hook.

    words: what to execute; empty when a container image's own entrypoint is meant.
    kind, processes, app: as the task says. tee: a file that receives its output too.
    script: the text of a file that is executed instead.
    """

    task: int | None
    words: tuple[str, ...]
    image: str | None
    env: Mapping[str, str]
    workdir: str | None
    retries: int
    kind: TaskKind = "basic"
    processes: int | None = None
    app: str = ""
    tee: str | None = None
    script: str | None = None

    @property
    def removes(self) -> bool:
        """Whether it only removes a folder of the job."""
        return self.words[:1] == (REMOVE,)


def task_steps(spec: JobSpec, rank: int = 0) -> list[Step]:
    """Return the steps of a job's tasks on one of its nodes, sidecars first."""
    tasks = tasks_of(spec)
    steps = [
        _task_step(spec, number, task)
        for number, task in enumerate(tasks)
        if rank == 0 or not first_only(task)
    ]
    if len(steps) > 1 and any(step.kind == "sidecar" for step in steps):
        steps.sort(key=lambda step: step.kind != "sidecar")
    return steps


def first_only(task: Task) -> bool:
    """Whether only the first node of a gang runs the task itself."""
    return task.nodes == "first" or task.kind in MPI_KINDS


def _task_step(spec: JobSpec, number: int, task: Task) -> Step:
    words = task.argv
    if task.command is not None:
        words = (SHELLS[spec.shell], "-c", task.command)
    if task.script is not None:
        return Step(number, (), None, task.env, task.workdir, task.retries, script=task.script)
    image = task.image or spec.image
    if spec.tasks and (task.kind != "basic" or task.app or task.stdout is not None):
        return Step(
            number, words, image, task.env, task.workdir, task.retries,
            task.kind, task.processes, task.app, task.stdout,
        )  # fmt: skip
    return Step(number, words, image, task.env, task.workdir, task.retries)


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
    return Step(None, (REMOVE, "-rf", "--one-file-system", "--", folder), None, {}, "/", 0)


def _hooks(spec: JobSpec, *, succeeded: bool) -> tuple[Hook, ...]:
    first = spec.hooks.on_success if succeeded else spec.hooks.on_failure
    return first + spec.hooks.on_exit


def base_environment(own: Mapping[str, str]) -> dict[str, str]:
    """Return what every job inherits from the agent: who and where, no secrets."""
    environment = {name: own[name] for name in _INHERITED if name in own}
    environment["PATH"] = own.get("PATH", DEFAULT_PATH)
    return environment


def environment(
    base: Mapping[str, str], spec: JobSpec, lease: Lease, node: str, gpus: list[int], url: str
) -> dict[str, str]:
    """Return the variables of a member: what it inherits, what it is told, what it asked for.

    url: of the server.
    """
    variables = dict(base)
    variables["GRISTMILL_JOB_ID"] = str(lease.job)
    variables["GRISTMILL_ATTEMPT"] = str(lease.attempt)
    if lease.gang is not None:
        variables.update(_gang_environment(lease, lease.gang))
    if spec.distributed:
        variables.update(_rank_environment(lease, spec))
    if spec.resources.gpus or gpus:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, gpus))
    variables.update(lease.env)
    variables.update(spec.env)
    if spec.facts and not spec.sandbox:
        variables.update(_facts(spec, lease, url))
    variables["GRISTMILL_MEMBER"] = f"{node}/{lease.job}.{lease.attempt}.{lease.rank}"
    return variables


def _facts(spec: JobSpec, lease: Lease, url: str) -> dict[str, str]:
    """Return the facts of a job that has no sandbox: what is known of it without asking."""
    facts = {
        "job": str(lease.job),
        "node": str(lease.rank),
        "nodes": str(spec.resources.nodes),
        "url": url,
    }
    filled = {name: fill(template, facts) for name, template in spec.facts.items()}
    return {name: value for name, value in filled.items() if value is not None}


def _gang_environment(lease: Lease, gang: GangPlace) -> dict[str, str]:
    here = gang.hosts[lease.rank]
    return {
        "RANK": str(lease.rank),
        "WORLD_SIZE": str(gang.size),
        "LOCAL_RANK": str(_local_rank(lease.rank, gang)),
        "LOCAL_WORLD_SIZE": str(gang.hosts.count(here)),
        "MASTER_ADDR": gang.hosts[0],
        "MASTER_PORT": str(gang.port),
        "GRISTMILL_HOSTS": ",".join(gang.hosts),
    }


def _rank_environment(lease: Lease, spec: JobSpec) -> dict[str, str]:
    """Return what torchrun and mpirun tell a rank, besides where it stands in its gang."""
    gang = lease.gang or GangPlace(1, [LOOPBACK], ALONE_PORT)
    nodes = list(dict.fromkeys(gang.hosts))
    return {
        **_gang_environment(lease, gang),
        "GROUP_RANK": str(nodes.index(gang.hosts[lease.rank])),
        "GROUP_WORLD_SIZE": str(len(nodes)),
        "ROLE_NAME": "default",
        "ROLE_RANK": str(lease.rank),
        "ROLE_WORLD_SIZE": str(gang.size),
        "TORCHELASTIC_RESTART_COUNT": str(lease.attempt - 1),
        "TORCHELASTIC_MAX_RESTARTS": str(spec.retry.retries),
        "TORCHELASTIC_RUN_ID": str(lease.job),
        "OMPI_COMM_WORLD_RANK": str(lease.rank),
        "OMPI_COMM_WORLD_SIZE": str(gang.size),
        "OMPI_COMM_WORLD_LOCAL_RANK": str(_local_rank(lease.rank, gang)),
    }


def _local_rank(rank: int, gang: GangPlace) -> int:
    return gang.hosts[:rank].count(gang.hosts[rank])


def describe(step: Step) -> str:
    """Return the step as one line for messages."""
    if step.script is not None:
        return step.script.partition("\n")[0]
    return shlex.join(step.words) if step.words else f"entrypoint of {step.image}"


def resolve_home(path: str) -> str:
    """Expand a leading ``~`` to the home of whoever the agent runs as."""
    return os.path.expanduser(path)
