"""A checked job description in the core's terms."""

import math
import posixpath
import re
import shlex
from typing import Any

import msgspec

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.validation.tasks import MPI, SIDECAR
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.job import JobSpec, Task, check_spec
from gristmill.domain.resources import Resources
from gristmill.domain.retry import RetryPolicy
from gristmill.domain.staging import (
    OBJECT_SCHEME,
    Artifact,
    Credential,
    Input,
    Staging,
    Storage,
)

MB_A_GB = 1024
DEFAULT_DISK_GB = 10
DEFAULT_WALLTIME_MINUTES = 720
HIGHEST_PRIORITY = 1_000_000
LONGEST_LABEL_NAME, MOST_LABELS = 128, 100
MOST_CHOICES = 10_000
FACTS = {
    "PROMINENCE_CPUS": "{cpus}",
    "PROMINENCE_MEMORY": "{memory_gb}",
    "PROMINENCE_NODES": "{nodes}",
    "PROMINENCE_NODE_NUM": "{node}",
    "PROMINENCE_TASK_NUM": "{task}",
    "PROMINENCE_JOB_ID": "{job}",
    "PROMINENCE_WORKFLOW_ID": "{workflow}",
    "PROMINENCE_URL": "{url}/api/v1",
    "PROMINENCE_TOKEN": "{token}",
}
SUBSTITUTED = ("PROMINENCE_JOB_ID", "PROMINENCE_WORKFLOW_ID")
_WIRE_NAMES = (
    ("staging.", ""),
    ("output_files", "outputFiles"),
    ("output_dirs", "outputDirs"),
    (".argv", ".cmd"),
    (".name", ".filename"),
    ("credential", "imagePullCredential"),
)
_ARCHIVES = (".tar", ".tgz", ".simg", ".sif")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_URL = re.compile(r"[a-z][a-z0-9+.\-]*://", re.IGNORECASE)
_PLACE = re.compile(r" - at `\$?(.*?)`$", re.DOTALL)


def spec_of(job: dict[str, Any], project: str = "") -> JobSpec:
    """Return the spec of a job whose description was checked.

    project: what it is accounted to. Raises RefusedError for what the core cannot take.
    """
    policies: dict[str, Any] = job.get("policies", {})
    spec = JobSpec(
        name=_CONTROL.sub(" ", job.get("name", "")),
        labels=indexed_labels(job.get("labels", {})),
        project=project,
        priority=min(policies.get("priority", 0), HIGHEST_PRIORITY),
        resources=_resources(job["resources"]),
        tasks=tuple(_task(task, policies) for task in job["tasks"]),
        retry=RetryPolicy(
            retries=policies.get("maximumRetries", 0), delay=0.0, fatal_exit_codes=()
        ),
        sandbox=True,
        staging=_staging(job),
        storage=_storage(job["storage"]) if "storage" in job else (),
        facts=FACTS,
        substitute=SUBSTITUTED,
        notify=bool(job.get("notifications")),
        stays_listed=policies.get("leaveInQueue", False),
        **_failures(policies),
        **_queueing(policies),
    )
    return _checked(spec)


def indexed_labels(labels: dict[str, str]) -> dict[str, str]:
    """Return the labels by which the core finds a job; it has room for so many and so long."""
    short = [(key, value) for key, value in labels.items() if len(key) <= LONGEST_LABEL_NAME]
    return dict(short[:MOST_LABELS])


def _failures(policies: dict[str, Any]) -> dict[str, Any]:
    misspelled = policies.get("ignoreTaskTailures", False)
    return {
        "ignore_task_failures": policies.get("ignoreTaskFailures", misspelled),
        "nonzero_succeeds": policies.get("reportJobSuccessOnTaskFailure", False),
    }


def _queueing(policies: dict[str, Any]) -> dict[str, Any]:
    minutes = policies.get("maximumTimeInQueue", 0)
    placement = policies.get("placement", {})
    return {
        "queue_timeout": minutes * 60.0 if minutes > 0 else None,
        "fail_unmatched": minutes == 0,
        "require": _places(placement.get("requirements", {})),
        "prefer": _places(placement.get("preferences", {})),
    }


def _places(wish: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    labels = {"site": wish.get("sites"), "region": wish.get("regions")}
    return {label: tuple(names) for label, names in labels.items() if names}


def _resources(wish: dict[str, Any]) -> Resources:
    least, choices = _cores(wish)
    nodes = wish.get("nodes", 1)
    if "totalCpusRange" in wish:
        nodes, least, choices = _spread(wish["totalCpusRange"], least, choices)
    per_cpu = megabytes(wish["memoryPerCpu"]) if "memoryPerCpu" in wish else None
    memory = math.ceil(per_cpu * least) if per_cpu is not None else megabytes(wish["memory"])
    return Resources(
        cpus=float(least),
        cpu_choices=tuple(map(float, choices[-MOST_CHOICES:])),
        memory=memory,
        memory_per_cpu=per_cpu,
        disk=wish.get("disk", DEFAULT_DISK_GB) * MB_A_GB,
        nodes=nodes,
        walltime=wish.get("walltime", DEFAULT_WALLTIME_MINUTES) * 60.0,
    )


def megabytes(gigabytes: float) -> int:
    """Return gigabytes as whole megabytes, at least one."""
    return max(1, round(gigabytes * MB_A_GB))


def _cores(wish: dict[str, Any]) -> tuple[int, list[int]]:
    """Return the least number of cores a node, and the other numbers that will do."""
    if "cpusRange" in wish:
        least, most = wish["cpusRange"]
        return least, list(range(least + 1, most + 1))
    if "cpusOptions" in wish:
        least, most = wish["cpusOptions"]
        return least, [most] if most > least else []
    return wish["cpus"], []


def _spread(total: list[int], least: int, choices: list[int]) -> tuple[int, int, list[int]]:
    """Return how many nodes share a total number of cores, and the cores of each."""
    nodes = math.ceil(total[1] / (choices[-1] if choices else least))
    enough = [
        cores
        for cores in (least, *choices)
        if nodes * cores >= total[0] and nodes * cores <= total[1]
    ]
    if not enough:
        enough = [choices[-1] if choices else least]
    return nodes, enough[0], enough[1:]


def _task(task: dict[str, Any], policies: dict[str, Any]) -> Task:
    kind = task.get("type", "basic")
    everywhere = policies.get("runSerialTasksOnAllNodes", False)
    credential = task.get("imagePullCredential")
    return Task(
        argv=tuple(shlex.split(task.get("cmd", ""))),
        image=object_url(task["image"]) if names_object(task["image"]) else task["image"],
        env={
            "PROMINENCE_CONTAINER_RUNTIME": task["runtime"],
            **{name: text(value) for name, value in task.get("env", {}).items()},
        },
        workdir=task.get("workdir"),
        retries=0 if kind == SIDECAR else policies.get("maximumTaskRetries", 0),
        kind=kind,
        processes=task.get("procsPerNode") if kind in MPI else None,
        nodes="all" if everywhere or kind in MPI else "first",
        app=task.get("app", ""),
        stdout=task.get("stdout"),
        credential=Credential(**credential) if credential else None,
    )


def text(value: Any) -> str:
    """Return a JSON scalar as an environment variable holds it."""
    return "" if value is None else str(value)


def names_object(image: str) -> bool:
    """Whether an image is the name of an uploaded object."""
    if image.startswith(OBJECT_SCHEME):
        return True
    outside = image.startswith("/") or _URL.match(image)
    return not outside and any(suffix in image for suffix in _ARCHIVES)


def is_url(address: str) -> bool:
    """Whether an artifact is fetched from elsewhere, and not an uploaded object."""
    return bool(_URL.match(address)) and not address.startswith(OBJECT_SCHEME)


def object_url(name: str) -> str:
    """Return the core's address of an object; a name with a slash begins with its group."""
    return f"{OBJECT_SCHEME}{name}" if "/" in name else f"{OBJECT_SCHEME}/{name}"


def _staging(job: dict[str, Any]) -> Staging | None:
    staging = Staging(
        artifacts=tuple(_artifact(each) for each in job.get("artifacts", ())),
        inputs=tuple(
            Input(
                name=posixpath.basename(each["filename"]),
                content="".join(each["content"].split()),
                executable=each.get("executable", False),
            )
            for each in job.get("inputs", ())
        ),
        output_files=tuple(job.get("outputFiles", ())),
        output_dirs=tuple(job.get("outputDirs", ())),
    )
    return staging if staging != Staging() else None


def _artifact(artifact: dict[str, Any]) -> Artifact:
    directory, _, inside = artifact.get("mountpoint", "").partition(":")
    url = artifact["url"]
    return Artifact(
        url=url if is_url(url) else object_url(url),
        directory=directory,
        inside=inside,
        executable=artifact.get("executable", False),
    )


def _storage(storage: dict[str, Any]) -> tuple[Storage, ...]:
    kind = storage["type"]
    details = storage[kind]
    return (
        Storage(
            kind=kind,
            url=details.get("provider") or details.get("url") or "",
            username=details.get("app-username") or details.get("username") or "",
            secret=details.get("token") or details.get("app-password") or details.get("password"),
            inside=storage["mountpoint"],
            default=storage.get("default", False),
        ),
    )


def _checked(spec: JobSpec) -> JobSpec:
    """Return the spec once all the core's own limits are known to be kept."""
    try:
        checked = msgspec.convert(msgspec.to_builtins(spec), JobSpec)
        check_spec(checked)
    except msgspec.ValidationError as error:
        raise bad(_explain(str(error))) from error
    except InvalidInputError as error:
        raise bad(f"{_wire_name(error.field)}: {error}") from error
    return checked


def _explain(problem: str) -> str:
    place = _PLACE.search(problem)
    if place is None:
        return problem
    return f"{_wire_name(place.group(1).lstrip('.'))}: {problem[: place.start()]}"


def _wire_name(field: str) -> str:
    """Return what clients call a field of the core's."""
    for ours, theirs in _WIRE_NAMES:
        field = field.replace(ours, theirs)
    return field
