"""The description of a job, as JSON Schema; limits and words come from what checks them."""

from collections.abc import Mapping
from typing import Any

from gristmill.dialects.prominence.validation.common import MOST_NAME
from gristmill.dialects.prominence.validation.job import JOB_FINISHED
from gristmill.dialects.prominence.validation.policies import (
    FLAGS,
    JOB_RETRIES,
    MOST_MINUTES_IN_QUEUE,
)
from gristmill.dialects.prominence.validation.resources import (
    MOST_CPUS,
    MOST_GB,
    MOST_MINUTES,
    MOST_NODES,
)
from gristmill.dialects.prominence.validation.storage import KINDS, Kind
from gristmill.dialects.prominence.validation.tasks import MOST_TASKS, MPI, RUNTIMES, TYPES

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
_BASE64 = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
FILLED: Json = {"type": "string", "pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"}
PRINTED: Json = {
    "type": "string",
    "pattern": r"^[^\u0000-\u001f\u007f]*[!-~][^\u0000-\u001f\u007f]*$",
}


def reference(name: str) -> Json:
    """Return where a schema of the document stands."""
    return {"$ref": f"#/components/schemas/{name}"}


def exact(properties: Mapping[str, Json], *required: str, **more: Any) -> Json:
    """Return an object that has no other keys than these."""
    shape: Json = {"type": "object", "properties": dict(properties), **more}
    if required:
        shape["required"] = list(required)
    return {**shape, "additionalProperties": False}


def array(items: Json, **more: Any) -> Json:
    """Return an array."""
    return {"type": "array", "items": items, **more}


def whole(least: int, most: int | None = None, text: str = "") -> Json:
    """Return a whole number."""
    shape: Json = {"type": "integer", "minimum": least}
    if most is not None:
        shape["maximum"] = most
    return {**shape, "description": text} if text else shape


def _pair(text: str) -> Json:
    return array(whole(1, MOST_CPUS), minItems=2, maxItems=2, description=text)


def _gigabytes(text: str) -> Json:
    return {"type": "number", "exclusiveMinimum": 0, "maximum": MOST_GB, "description": text}


def exactly_one(*keys: str) -> Json:
    """Return what has one of the keys."""
    return {"oneOf": [{"required": [key]} for key in keys]}


def _cores(key: str) -> Json:
    others = {"cpus": {"const": 1}, "cpusRange": False, "cpusOptions": False}
    return {
        "required": [key],
        "properties": {other: shape for other, shape in others.items() if other != key},
    }


NAME: Json = {"type": "string", "maxLength": MOST_NAME, "pattern": r"^[A-Za-z0-9\-_./\s]*$"}
LABELS: Json = {
    "type": "object",
    "propertyNames": {"pattern": "^[A-Za-z0-9]+$", "maxLength": MOST_NAME},
    "additionalProperties": {
        "type": "string",
        "pattern": r"^[A-Za-z0-9_./\-]+$",
        "maxLength": MOST_NAME,
    },
}
RESOURCES = exact(
    {
        "nodes": whole(1, MOST_NODES, "1 unless totalCpusRange is given"),
        "cpus": whole(1, MOST_CPUS, "cores per node; 1 may stand beside a range"),
        "cpusRange": _pair("least and most cores per node"),
        "cpusOptions": _pair("the second if it can be had, else the first"),
        "totalCpusRange": _pair("least and most cores of all nodes together"),
        "memory": _gigabytes("GB per node"),
        "memoryPerCpu": _gigabytes("GB per core"),
        "disk": whole(1, MOST_GB, "GB; 10 when left out"),
        "walltime": whole(1, MOST_MINUTES, "minutes; 720 when left out"),
    },
    allOf=[
        {"oneOf": [_cores("cpus"), _cores("cpusRange"), _cores("cpusOptions")]},
        exactly_one("memory", "memoryPerCpu"),
    ],
)
TASK = exact(
    {
        "image": {**PRINTED, "description": "a name, a path, a URL, or a stored object"},
        "runtime": {"type": "string", "enum": sorted(RUNTIMES)},
        "cmd": {**FILLED, "description": "split into words as a shell would; there is no shell"},
        "env": {
            "type": "object",
            "propertyNames": {"pattern": r"^[^=\u0000]+$"},
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        },
        "app": {**PRINTED, "description": "singularity only"},
        "workdir": FILLED,
        "procsPerNode": whole(1, MOST_CPUS, "at most the cores of a node"),
        "type": {"type": "string", "enum": sorted(TYPES), "description": "basic by default"},
        "imagePullCredential": exact({"username": PRINTED, "token": PRINTED}, "username", "token"),
        "imageSha256": FILLED,
        "stdout": {**FILLED, "description": "a file that is given the output too"},
    },
    "image",
    "runtime",
    allOf=[
        {
            "if": {"required": ["app"]},
            "then": {"properties": {"runtime": {"const": "singularity"}}},
        },
        {
            "if": {"required": ["type"], "properties": {"type": {"enum": sorted(MPI)}}},
            "then": {"required": ["cmd"]},
        },
    ],
)
_PLACES = exact(dict.fromkeys(("sites", "regions"), array({"type": "string", "minLength": 1})))
PLACEMENT = exact(dict.fromkeys(("requirements", "preferences"), _PLACES))
POLICIES = exact(
    {
        **dict.fromkeys(FLAGS, FLAG),
        "maximumRetries": whole(1, JOB_RETRIES),
        "maximumTaskRetries": whole(1, JOB_RETRIES),
        "maximumTimeInQueue": whole(-1, MOST_MINUTES_IN_QUEUE, "minutes; -1: for ever"),
        "maximumIdleTimePerResource": whole(1, MOST_MINUTES_IN_QUEUE),
        "placement": reference("Placement"),
        "priority": whole(0),
        "autoScalingType": {"enum": [None, "none", "dedicated", "shared"]},
    }
)
ARTIFACT = exact(
    {
        "url": FILLED,
        "mountpoint": {"type": "string", "pattern": "^[^/:]+:/[^:]*$"},
        "executable": FLAG,
    },
    "url",
)
INPUT = exact(
    {
        "filename": {"type": "string", "pattern": r"^[^\u0000]*[^\u0000/.]$"},
        "content": {"type": "string", "contentEncoding": "base64", "pattern": _BASE64},
        "executable": FLAG,
    },
    "filename",
    "content",
)
PATHS = array(FILLED)


def _storage(name: str, kind: Kind) -> Json:
    filled: Json = {"type": "string", "minLength": 1}
    needed = [key for key, _ in kind.needed]
    details = exact({**dict.fromkeys(needed, filled), **dict.fromkeys(kind.options, TEXT)}, *needed)
    return exact(
        {
            "type": {"const": name},
            "mountpoint": {"type": ["string", "null"], "pattern": "^/"},
            "default": FLAG,
            name: details,
        },
        "type",
        "mountpoint",
        name,
    )


STORAGE: Json = {"oneOf": [_storage(name, kind) for name, kind in KINDS.items()]}


def notifications(event: str) -> Json:
    """Return who may be told of an event, and how."""
    mail = exact({"event": {"const": event}, "type": {"const": "email"}}, "event", "type")
    return array(mail)


JOB_PROPERTIES: dict[str, Json] = {
    "name": NAME,
    "labels": reference("Labels"),
    "tasks": array(reference("Task"), minItems=1, maxItems=MOST_TASKS),
    "resources": reference("Resources"),
    "policies": reference("Policies"),
    "notifications": notifications(JOB_FINISHED),
    "inputs": array(reference("Input")),
    "artifacts": array(reference("Artifact")),
    "outputFiles": PATHS,
    "outputDirs": PATHS,
    "storage": reference("Storage"),
}
JOB = exact(JOB_PROPERTIES, "resources", "tasks")
JOB_DESCRIPTIONS: dict[str, Json] = {
    "JobDescription": JOB,
    "Labels": LABELS,
    "Resources": RESOURCES,
    "Task": TASK,
    "Policies": POLICIES,
    "Placement": PLACEMENT,
    "Artifact": ARTIFACT,
    "Input": INPUT,
    "Storage": STORAGE,
}
