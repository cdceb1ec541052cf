"""What clients submit, as JSON Schema; limits and words come from what checks them."""

from collections.abc import Mapping
from typing import Any

from gristmill.dialects.prominence.validation.common import MOST_NAME
from gristmill.dialects.prominence.validation.factories import LARGEST_NUMBER, SWEEPS
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
from gristmill.dialects.prominence.validation.tasks import MOST_TASKS, RUNTIMES, TYPES
from gristmill.dialects.prominence.validation.workflow import MOST_RETRIES, WORKFLOW_FINISHED

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
FLAG: Json = {"type": "boolean"}
FILLED: Json = {"type": "string", "pattern": r"\S"}


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


def _exactly_one(*keys: str) -> Json:
    return {"oneOf": [{"required": [key]} for key in keys]}


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
        {"anyOf": [{"required": [key]} for key in ("cpus", "cpusRange", "cpusOptions")]},
        _exactly_one("memory", "memoryPerCpu"),
    ],
)
TASK = exact(
    {
        "image": {**FILLED, "description": "a name, a path, a URL, or a stored object"},
        "runtime": {"type": "string", "enum": sorted(RUNTIMES)},
        "cmd": {**TEXT, "description": "split into words as a shell would; there is no shell"},
        "env": {
            "type": "object",
            "propertyNames": {"pattern": r"^[^=\u0000]+$"},
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
        },
        "app": {**TEXT, "description": "singularity only"},
        "workdir": FILLED,
        "procsPerNode": whole(1, MOST_CPUS, "at most the cores of a node"),
        "type": {"type": "string", "enum": sorted(TYPES), "description": "basic by default"},
        "imagePullCredential": exact({"username": FILLED, "token": FILLED}, "username", "token"),
        "imageSha256": FILLED,
        "stdout": {**FILLED, "description": "a file that is given the output too"},
    },
    "image",
    "runtime",
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
        "filename": {"type": "string", "minLength": 1},
        "content": {"type": "string", "contentEncoding": "base64"},
        "executable": FLAG,
    },
    "filename",
    "content",
)
PATHS = array({"type": "string", "minLength": 1})


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


def _notifications(event: str) -> Json:
    mail = exact({"event": {"const": event}, "type": {"const": "email"}}, "event", "type")
    return array(mail)


JOB_PROPERTIES: dict[str, Json] = {
    "name": NAME,
    "labels": reference("Labels"),
    "tasks": array(reference("Task"), minItems=1, maxItems=MOST_TASKS),
    "resources": reference("Resources"),
    "policies": reference("Policies"),
    "notifications": _notifications(JOB_FINISHED),
    "inputs": array(reference("Input")),
    "artifacts": array(reference("Artifact")),
    "outputFiles": PATHS,
    "outputDirs": PATHS,
    "storage": reference("Storage"),
}
JOB = exact(JOB_PROPERTIES, "resources", "tasks")
WORKFLOW_JOB = exact(
    {**JOB_PROPERTIES, "name": {**NAME, "minLength": 1}}, "name", "resources", "tasks"
)
_NUMBER: Json = {"type": "number", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}
_VARIABLE: Json = {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$", "maxLength": 128}
_RANGE: Json = {
    "type": "object",
    "properties": {
        "name": _VARIABLE,
        "start": _NUMBER,
        "end": _NUMBER,
        "step": {**_NUMBER, "not": {"const": 0}},
        "number": whole(1, LARGEST_NUMBER, "of values, evenly spaced, both ends included"),
    },
    "required": ["name", "start", "end"],
    **_exactly_one("step", "number"),
}
_SERIES: Json = {
    "type": "object",
    "properties": {
        "name": _VARIABLE,
        "values": array({"anyOf": [TEXT, _NUMBER]}, minItems=1),
    },
    "required": ["name", "values"],
}


def _factory(words: tuple[str, ...], properties: Mapping[str, Json], **needed: Any) -> Json:
    return {
        "type": "object",
        "properties": {"type": {"enum": list(words)}, **properties},
        **needed,
    }


_KINDS: tuple[Json, ...] = (
    _factory(SWEEPS, {"parameters": array(_RANGE, minItems=1)}, required=["type", "parameters"]),
    _factory(("zip",), {"parameters": array(_SERIES, minItems=1)}, required=["type", "parameters"]),
    _factory(
        ("repeat",),
        {"number": whole(1), "num": whole(1)},
        required=["type"],
        anyOf=[{"required": ["number"]}, {"required": ["num"]}],
    ),
)
FACTORY: Json = {
    "oneOf": [
        {
            **kind,
            "properties": {
                "name": TEXT,
                "jobs": array(TEXT, minItems=1, description="names of jobs"),
                **kind["properties"],
            },
            "required": ["name", "jobs", *kind["required"]],
        }
        for kind in _KINDS
    ]
}
OLDER_FACTORY: Json = {
    "type": "object",
    "properties": {
        "type": {"enum": [*SWEEPS, "zip", "repeat"]},
        "parameters": {"type": ["array", "null"]},
        "parameterSets": {"type": ["array", "null"]},
    },
    "required": ["type"],
    "description": "one factory over all jobs, as older descriptions have it",
}
WORKFLOW_PROPERTIES: dict[str, Json] = {
    "name": NAME,
    "labels": reference("Labels"),
    "jobs": array(reference("WorkflowJob"), minItems=1, description="with unique names"),
    "dependencies": {
        "type": "object",
        "additionalProperties": array(TEXT),
        "description": "from the name of a job to the names of those that wait for its success",
    },
    "factories": array(reference("Factory")),
    "factory": reference("OlderFactory"),
    "policies": reference("WorkflowPolicies"),
    "notifications": _notifications(WORKFLOW_FINISHED),
}
WORKFLOW = exact(WORKFLOW_PROPERTIES, "jobs")
WORKFLOW_POLICIES = exact(
    {
        "maximumRetries": whole(1, MOST_RETRIES),
        "maximumReruns": whole(1, MOST_RETRIES),
        "placement": reference("Placement"),
        "leaveInQueue": FLAG,
    }
)
DESCRIPTIONS: dict[str, Json] = {
    "JobDescription": JOB,
    "WorkflowDescription": WORKFLOW,
    "WorkflowJob": WORKFLOW_JOB,
    "Labels": LABELS,
    "Resources": RESOURCES,
    "Task": TASK,
    "Policies": POLICIES,
    "Placement": PLACEMENT,
    "WorkflowPolicies": WORKFLOW_POLICIES,
    "Artifact": ARTIFACT,
    "Input": INPUT,
    "Storage": STORAGE,
    "Factory": FACTORY,
    "OlderFactory": OLDER_FACTORY,
}
