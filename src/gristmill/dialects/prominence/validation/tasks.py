"""The containers a job runs."""

import shlex
from typing import Any

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.validation.common import check_keys, check_object, is_integer
from gristmill.dialects.prominence.validation.resources import most_cpus

MPI = frozenset({"openmpi", "mpich", "intelmpi"})
SIDECAR = "sidecar"
TYPES = frozenset({"basic", SIDECAR}) | MPI
RUNTIMES = frozenset({"singularity", "udocker"})
MOST_TASKS = 1_000
_KEYS = (
    "image", "runtime", "cmd", "env", "app", "workdir", "procsPerNode", "type",
    "imagePullCredential", "imageSha256", "stdout",
)  # fmt: skip
_PROCESSES = "number of processes per node"


def check_tasks(value: object, resources: dict[str, Any]) -> None:
    """Refuse tasks; resources: the job's, already checked."""
    if not isinstance(value, list):
        raise bad("an array of tasks must be provided")
    if len(value) > MOST_TASKS:
        raise bad(f"a job cannot contain more than {MOST_TASKS} tasks")
    for task in value:
        _check_task(check_object(task, "each task"), resources)
    if all(task.get("type") == SIDECAR for task in value):
        raise bad("a job cannot contain only sidecar tasks")


def _check_task(task: dict[str, Any], resources: dict[str, Any]) -> None:
    check_keys(task, _KEYS, "task")
    if not _is_text(task.get("image")):
        raise bad("each task must specify a container image")
    if "imagePullCredential" in task:
        _check_credential(task["imagePullCredential"])
    _check_runtime(task)
    if "env" in task:
        _check_environment(task["env"])
    _check_app(task)
    if "procsPerNode" in task:
        _check_processes(task["procsPerNode"], most_cpus(resources))
    if "cmd" in task:
        _check_command(task["cmd"])
    _check_type(task)
    for key in ("workdir", "imageSha256", "stdout"):
        if key in task and not _is_text(task[key]):
            raise bad(f"{key} must be a string")


def _check_credential(value: object) -> None:
    known = isinstance(value, dict) and set(value) <= {"username", "token"}
    if not (known and isinstance(value, dict) and _has_login(value)):
        raise bad("a username and token must be specified in the image pull credential")


def _has_login(value: dict[str, Any]) -> bool:
    return _is_text(value.get("username")) and _is_text(value.get("token"))


def _check_runtime(task: dict[str, Any]) -> None:
    if "runtime" not in task:
        raise bad("a container runtime must be defined")
    if not isinstance(task["runtime"], str) or task["runtime"] not in RUNTIMES:
        raise bad("the container runtime must be either udocker or singularity")


def _check_environment(value: object) -> None:
    if not isinstance(value, dict):
        raise bad("environment variables must be defined as a dict")
    for name, text in value.items():
        if not name or "=" in name or "\0" in name:
            raise bad(f'environment variable name "{name[:80]}" is invalid')
        if isinstance(text, dict | list):
            raise bad(f'the value of environment variable "{name[:80]}" must be a string')


def _check_app(task: dict[str, Any]) -> None:
    if "app" not in task:
        return
    if task["runtime"] != "singularity":
        raise bad("app is only supported by Singularity")
    if not isinstance(task["app"], str):
        raise bad("app must be a string")


def _check_processes(value: Any, cpus: int) -> None:
    if not is_integer(value):
        raise bad(f"{_PROCESSES} must be an integer")
    if value < 1:
        raise bad(f"{_PROCESSES} must be at least 1")
    if value > cpus:
        raise bad(f"{_PROCESSES} must be less than number of CPU cores per node")


def _check_command(value: object) -> None:
    if not isinstance(value, str):
        raise bad("cmd must be a string")
    try:
        shlex.split(value)
    except ValueError as error:
        raise bad(f"cmd cannot be split into words: {error}") from error


def _check_type(task: dict[str, Any]) -> None:
    kind = task.get("type", "basic")
    if not isinstance(kind, str) or kind not in TYPES:
        raise bad("invalid task type")
    if kind in MPI:
        command = task.get("cmd", "").strip()
        if command.startswith("mpirun "):
            raise bad(
                "it is not necessary to include mpirun in the cmd if an MPI flavour has been "
                "specified"
            )
        if not command:
            raise bad("A command to execute must be specified for MPI jobs")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
