"""What Litestar cannot tell from a handler: conflicts, and bodies that it reads itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Example,
    OpenAPIMediaType,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
)

from gristmill.native.wire import ErrorReply
from gristmill.services.queue.submit import MOST_JOBS

Responses = Mapping[int, ResponseSpec]


def _error(description: str) -> ResponseSpec:
    return ResponseSpec(ErrorReply, generate_examples=False, description=description)


CONFLICT: Responses = {409: _error("Its state does not allow the change.")}

OUTPUT_HEADERS = [
    ResponseHeader(
        name="Gristmill-Next-Offset",
        documentation_only=True,
        description="Where the next read goes on; not with follow.",
    ),
    ResponseHeader(
        name="Gristmill-Ended",
        documentation_only=True,
        description="true when nothing will follow what exists now; not with follow.",
    ),
]

ONE_JOB = {
    "command": "python3 train.py --epochs 10",
    "name": "train",
    "group": "first try",
    "resources": {"cpus": 2, "memory": 4096, "walltime": 3600},
    "retry": {"retries": 2},
}


def _reference(name: str) -> Reference:
    return Reference(ref=f"#/components/schemas/{name}")


def _body(
    schema: Schema | Reference, examples: Mapping[str, Any], media_type: str = "application/json"
) -> RequestBody:
    shown: dict[str, Example | Reference] = {
        name: Example(value=value) for name, value in examples.items()
    }
    content = OpenAPIMediaType(schema=schema, examples=shown)
    return RequestBody(content={media_type: content}, required=True)


def _taking(
    schema: Schema | Reference, examples: Mapping[str, Any], media_type: str = "application/json"
) -> type[Operation]:
    """Return the kind of operation that takes this body."""
    body = _body(schema, examples, media_type)

    @dataclass
    class Taking(Operation):
        def __post_init__(self) -> None:
            self.request_body = body

    return Taking


_JOB = _reference("JobSpec")
_JOBS = Schema(type=OpenAPIType.ARRAY, items=_JOB, max_items=MOST_JOBS)

JOB_OR_JOBS = _taking(
    Schema(any_of=[_JOB, _JOBS]),
    {"one": ONE_JOB, "many": [{"command": "echo first"}, {"command": "echo second"}]},
)
CHOICE = _taking(
    _reference("JobChoice"), {"by id": {"ids": [1, 2]}, "by group": {"group": "first try"}}
)
COMMAND_BODY = _taking(_reference("Command"), {"look around": {"argv": ["ls", "-l"]}})
SNAPSHOT_BODY = _taking(_reference("SnapshotWish"), {"a folder": {"path": "results"}})
WORKFLOW_BODY = _taking(
    _reference("WorkflowSpec"),
    {
        "a sweep": {
            "name": "scan",
            "jobs": {
                "point": {"command": "python3 point.py --energy $energy"},
                "plot": {"command": "python3 plot.py"},
            },
            "after": {"plot": ["point"]},
            "factories": [
                {
                    "type": "sweep",
                    "jobs": ["point"],
                    "parameters": [{"name": "energy", "start": 1, "end": 2, "step": 0.1}],
                }
            ],
        }
    },
)
IMAGE_BODY = _taking(
    _reference("NewImage"),
    {"archive": {"name": "busybox", "path": "/srv/images/busybox.tar"}},
)
TOKEN_BODY = _taking(
    _reference("NewToken"),
    {"a month": {"user": "alice", "scopes": ["read", "write"], "expires": "30d"}},
)
_POINT = _reference("PointBody")
POINTS_BODY = _taking(
    Schema(any_of=[_POINT, Schema(type=OpenAPIType.ARRAY, items=_POINT)]),
    {
        "of a job": {"job": 17, "name": "loss", "value": 0.25},
        "of a source": [{"source": "sensor", "name": "temperature", "value": "21.5"}],
    },
)
OBJECT_BODY = _taking(_reference("NewObject"), {"a file": {"name": "data.csv"}})
VALUE_BODY = _taking(
    Schema(type=OpenAPIType.STRING, description="the value, at most 16000 bytes"),
    {"a word": "ready"},
    "application/octet-stream",
)
NEW_SCHEDULE = _taking(
    _reference("NewSchedule"),
    {
        "nightly": {
            "project": "etl",
            "template": "bash",
            "pool": "default",
            "name": "nightly",
            "script": "echo hello",
            "cron": "0 3 * * *",
            "timezone": "Europe/Amsterdam",
        }
    },
)
SCHEDULE_FIELDS = _taking(
    _reference("ScheduleFields"), {"hourly": {"every": {"count": 1, "unit": "hour"}}}
)
MANUAL_RUN = _taking(_reference("NewManualRun"), {"alone": {"chains": False}})
FIRST_RUN = _taking(_reference("FirstRun"), {"at a time": {"at": "2026-01-01T03:00:00Z"}})
PERIOD = _taking(
    _reference("Period"),
    {"a day": {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T23:59:59Z"}},
)
YAML_TEXT = _taking(
    Schema(type=OpenAPIType.OBJECT, description="what is to be, by kind"),
    {"a user": {"users": [{"name": "alice"}]}},
    "application/yaml",
)
