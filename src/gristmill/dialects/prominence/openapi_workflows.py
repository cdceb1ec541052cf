"""The description of a workflow, as JSON Schema."""

from collections.abc import Mapping
from typing import Any

from gristmill.dialects.prominence.openapi_descriptions import (
    FLAG,
    JOB_PROPERTIES,
    NAME,
    TEXT,
    Json,
    array,
    exact,
    exactly_one,
    notifications,
    reference,
    whole,
)
from gristmill.dialects.prominence.validation.factories import LARGEST_NUMBER, SWEEPS
from gristmill.dialects.prominence.validation.workflow import MOST_RETRIES, WORKFLOW_FINISHED

WORKFLOW_JOB = exact(
    {**JOB_PROPERTIES, "name": {**NAME, "pattern": r"^[A-Za-z0-9\-_./ ]+$"}},
    "name",
    "resources",
    "tasks",
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
    **exactly_one("step", "number"),
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
    "notifications": notifications(WORKFLOW_FINISHED),
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
WORKFLOW_DESCRIPTIONS: dict[str, Json] = {
    "WorkflowDescription": WORKFLOW,
    "WorkflowJob": WORKFLOW_JOB,
    "WorkflowPolicies": WORKFLOW_POLICIES,
    "Factory": FACTORY,
    "OlderFactory": OLDER_FACTORY,
}
