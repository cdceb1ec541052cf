"""A workflow as it is kept, and as clients see it."""

from collections.abc import Callable
from typing import Any

import msgspec

from gristmill.dialects.prominence import stored
from gristmill.dialects.prominence.states import (
    COMPLETED,
    DELETED,
    FAILED,
    PENDING,
    RUNNING,
)
from gristmill.domain.workflow import WorkflowState
from gristmill.services.keyring import SecretBox
from gristmill.services.workflows.views import ListedWorkflow

Json = dict[str, Any]

STATUSES = {
    WorkflowState.PENDING: PENDING,
    WorkflowState.RUNNING: RUNNING,
    WorkflowState.COMPLETED: COMPLETED,
    WorkflowState.FAILED: FAILED,
    WorkflowState.CANCELLED: DELETED,
}
BY_USER = "Workflow deleted by user"
_REASONS = {WorkflowState.FAILED: "", WorkflowState.CANCELLED: BY_USER}

_encode = msgspec.json.Encoder().encode
_decode: Callable[[bytes], dict[str, msgspec.Raw]] = msgspec.json.Decoder(
    dict[str, msgspec.Raw]
).decode
_decode_jobs = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder().decode


def kept_jobs(workflow: Json, box: SecretBox, owner: str) -> dict[str, bytes]:
    """Return what is kept of each job of a checked description, by name."""
    return {job["name"]: stored.keep(job, box, owner) for job in workflow["jobs"]}


def kept_workflow(workflow: Json, jobs: dict[str, bytes]) -> bytes:
    """Return what is kept of a checked description."""
    parts = [msgspec.Raw(jobs[job["name"]]) for job in workflow["jobs"]]
    return _encode({**workflow, "jobs": parts})


def submitted(data: bytes, box: SecretBox, owner: str) -> Json:
    """Return a description so that it can be submitted again."""
    return _opened(data, lambda job: stored.submitted(job, box, owner))


def shown(data: bytes) -> Json:
    """Return a description as its owner may see it."""
    return _opened(data, stored.shown)


def wants_mail(data: bytes) -> bool:
    """Whether the submitter asked to be told of the end."""
    return bool(_decode_any(_decode(data).get("notifications", msgspec.Raw(b"[]"))))


def stays_listed(data: bytes) -> bool:
    """Whether the submitter asked to keep the workflow in the queue after its end."""
    policies = _decode_any(_decode(data).get("policies", msgspec.Raw(b"{}")))
    return bool(policies.get("leaveInQueue"))


def short(one: ListedWorkflow) -> Json:
    """Return a workflow as lists show it."""
    row = one.row
    events = {"createTime": int(row.created_at)}
    if row.started_at is not None:
        events["startTime"] = int(row.started_at)
    if row.ended_at is not None:
        events["endTime"] = int(row.ended_at)
    view: Json = {
        "id": row.id,
        "name": row.name,
        "status": STATUSES[row.state],
        "events": events,
        "progress": {
            "total": row.total,
            "done": row.done,
            "failed": row.failed,
            "queued": row.queued,
            "waiting": row.waiting,
        },
    }
    if row.state in _REASONS:
        view["statusReason"] = _REASONS[row.state]
    return view


def detailed(one: ListedWorkflow, data: bytes | None) -> Json:
    """Return all there is about a workflow."""
    description = shown(data) if data is not None else {"jobs": []}
    view = {**description, **short(one)}
    if "name" in description:
        view["name"] = description["name"]
    return view


def _opened(data: bytes, open_job: Callable[[bytes], Json]) -> Json:
    parts = _decode(data)
    jobs = [open_job(bytes(job)) for job in _decode_jobs(parts["jobs"])]
    return {**{key: _decode_any(part) for key, part in parts.items()}, "jobs": jobs}
