"""What clients are answered, as JSON Schema."""

from gristmill.dialects.prominence.openapi_descriptions import (
    JOB_PROPERTIES,
    TEXT,
    Json,
    array,
    exact,
    reference,
    whole,
)
from gristmill.dialects.prominence.openapi_workflows import WORKFLOW_PROPERTIES
from gristmill.dialects.prominence.states import (
    COMPLETED,
    DELETED,
    ENDED,
    FAILED,
    PENDING,
    RUNNING,
)

NUMBER: Json = {"type": "number"}
COUNT = whole(0)
ID = whole(1, text="unique over jobs and workflows together")
MOMENT: Json = {"type": "integer", "description": "Unix seconds"}
SECONDS: Json = {"type": "number", "description": "seconds"}

EVENTS = exact({"createTime": MOMENT, "startTime": MOMENT, "endTime": MOMENT}, "createTime")
TASK_RESULT = exact(
    {
        "exitCode": {"type": "integer"},
        "retries": COUNT,
        "imagePullStatus": {"enum": ["completed", "cached", "failed"]},
        "imagePullTime": SECONDS,
        "imageSha256": TEXT,
        "wallTimeUsage": SECONDS,
        "cpuTimeUsage": SECONDS,
        "maxResidentSetSizeKB": COUNT,
    }
)
EXECUTION = exact(
    {
        "site": TEXT,
        "maxMemoryUsageKB": COUNT,
        "retries": whole(1),
        "stageInTime": SECONDS,
        "stageOutTime": SECONDS,
        "provisionedResources": exact(
            {"cpus": NUMBER, "memory": NUMBER, "disk": NUMBER, "nodes": whole(1)},
            "cpus", "memory", "disk", "nodes",
        ),
        "cpu": exact({"vendor": TEXT, "model": TEXT, "clock": TEXT}, "vendor", "model", "clock"),
        "runtimeVersion": {"type": "object", "additionalProperties": TEXT},
        "commands": array(exact({"time": MOMENT, "command": TEXT}, "time", "command")),
        "tasks": array(reference("TaskResult")),
    }
)  # fmt: skip
_OUTPUTS = array(
    exact(
        {"name": TEXT, "url": {**TEXT, "description": "empty until it is there"}, "size": COUNT},
        "name",
        "url",
    )
)
_STATUS: Json = {"enum": [PENDING, RUNNING, *sorted(ENDED)]}
_SHORT_JOB: dict[str, Json] = {
    "id": ID,
    "name": TEXT,
    "status": _STATUS,
    "statusReason": TEXT,
    "tasks": JOB_PROPERTIES["tasks"],
    "events": reference("Events"),
    "parameters": {
        "type": "object",
        "additionalProperties": {"type": ["string", "number"]},
        "description": "of an instance that a factory made",
    },
}
_ALWAYS = ("id", "name", "status", "tasks", "events")
SHORT_JOB = exact(_SHORT_JOB, *_ALWAYS)
JOB = exact(
    {
        **JOB_PROPERTIES,
        **_SHORT_JOB,
        "outputFiles": _OUTPUTS,
        "outputDirs": _OUTPUTS,
        "execution": reference("Execution"),
    },
    *_ALWAYS,
    "resources",
)
PROGRESS = exact(
    dict.fromkeys(("total", "done", "failed", "queued", "waiting"), COUNT),
    "total", "done", "failed", "queued", "waiting",
)  # fmt: skip
_SHORT_WORKFLOW: dict[str, Json] = {
    "id": ID,
    "name": TEXT,
    "status": {"enum": [PENDING, RUNNING, COMPLETED, FAILED, DELETED]},
    "statusReason": TEXT,
    "events": reference("Events"),
    "progress": reference("Progress"),
}
SHORT_WORKFLOW = exact(_SHORT_WORKFLOW, "id", "name", "status", "events", "progress")
WORKFLOW = exact(
    {**WORKFLOW_PROPERTIES, **_SHORT_WORKFLOW},
    "id", "name", "status", "events", "progress", "jobs",
)  # fmt: skip
ERROR = exact({"error": {"type": "string", "minLength": 1}}, "error")
OBJECT = exact(
    {"name": TEXT, "size": COUNT, "lastModified": {**TEXT, "description": "an HTTP date"}},
    "name", "size", "lastModified",
)  # fmt: skip
_USED: Json = {
    "type": "object",
    "additionalProperties": exact(
        {"numberOfJobs": COUNT, "cpuTime": NUMBER, "wallTime": NUMBER},
        "numberOfJobs", "cpuTime", "wallTime",
    ),
    "description": "by name; times in hours",
}  # fmt: skip
USAGE = exact({"usage": exact({"users": _USED, "groups": _USED}, "users", "groups")}, "usage")
_SIZE = exact({"cpus": COUNT, "memory": {**COUNT, "description": "GB"}}, "cpus", "memory")
EXISTING = exact(
    {
        "existing": array(
            exact({"capacity": _SIZE, "free": _SIZE, "site": TEXT}, "capacity", "free", "site")
        )
    },
    "existing",
)
LOGIN = exact(
    {
        "verification_uri": TEXT,
        "verification_uri_complete": TEXT,
        "user_code": TEXT,
        "device_code": TEXT,
        "expires_in": COUNT,
        "interval": COUNT,
    },
    "verification_uri", "user_code", "device_code", "expires_in",
)  # fmt: skip
REPLIES: dict[str, Json] = {
    "Error": ERROR,
    "Created": exact({"id": ID}, "id"),
    "Nothing": exact({}),
    "Location": exact({"url": {**TEXT, "description": "signed, for a limited time"}}, "url"),
    "Events": EVENTS,
    "TaskResult": TASK_RESULT,
    "Execution": EXECUTION,
    "Progress": PROGRESS,
    "ShortJob": SHORT_JOB,
    "Job": JOB,
    "ShortWorkflow": SHORT_WORKFLOW,
    "Workflow": WORKFLOW,
    "Object": OBJECT,
    "Usage": USAGE,
    "Existing": EXISTING,
    "Login": LOGIN,
    "Client": exact({"client_id": TEXT, "client_secret": TEXT}, "client_id", "client_secret"),
    "Token": exact({"access_token": TEXT, "token_type": TEXT, "expires_in": COUNT}, "access_token"),
    "Unhealthy": exact({"errors": TEXT}, "errors"),
}
