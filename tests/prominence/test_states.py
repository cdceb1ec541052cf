"""The words for where a job stands, and why."""

import msgspec
import pytest

from gristmill.dialects.prominence.states import never_submitted, standing
from gristmill.domain import outcome
from gristmill.domain.state import JobState
from gristmill.store.jobs import JobHead

S = JobState
BURIED = [
    (outcome.NON_ZERO_EXIT, "completed", None),
    (outcome.SIGNALLED, "completed", None),
    (outcome.OVER_WALLTIME, "killed", "Walltime limit exceeded"),
    (outcome.OVER_MEMORY, "killed", "Job used too much memory"),
    (outcome.IMPOSSIBLE, "failed", "No matching resources"),
    (outcome.QUEUE_TIMEOUT, "failed", "Maximum time queued was exceeded"),
    (outcome.IMAGE_UNAVAILABLE, "failed", "Container image pull failed"),
    (outcome.NO_CONTAINER_ENGINE, "failed", "Container image pull failed"),
    (outcome.ARTIFACT_DOWNLOAD_FAILED, "failed", "Artifact download failed"),
    (outcome.ARTIFACT_UNPACK_FAILED, "failed", "Artifact uncompress failed"),
    (outcome.MOUNT_FAILED, "failed", "Unable to mount storage volume"),
    (outcome.STAGE_OUT_MISSING, "failed", "Stageout failed due to no such file or directory"),
    (outcome.STAGE_OUT_UPLOAD_FAILED, "failed", "Unable to stageout output to object storage"),
    (outcome.STAGE_OUT_PACK_FAILED, "failed", "Stageout failed due to tarball creation failed"),
    (outcome.LOST, "failed", "Job was evicted"),
    (outcome.AGENT_DIED, "failed", "Job was evicted"),
    (outcome.STOPPED_WITH_SERVER, "failed", "Job was evicted"),
    (outcome.COULD_NOT_START, "failed", "Unable to execute task(s)"),
    (outcome.BAD_WORKDIR, "failed", "Unable to execute task(s)"),
    ("something new", "failed", "Unable to execute task(s)"),
    (None, "failed", "Unable to execute task(s)"),
]
BY_USER = "Job deleted by user"
WITH_WORKFLOW = "Job part of a workflow which was deleted by user"
OTHERS = [
    (S.WAITING, None, 0, "pending", None),
    (S.DELAYED, outcome.NON_ZERO_EXIT, 0, "pending", None),
    (S.READY, None, 0, "pending", None),
    (S.RESERVED, None, 0, "pending", None),
    (S.RUNNING, None, 0, "running", None),
    (S.LOST, outcome.LOST, 0, "pending", None),
    (S.COMPLETE, None, 0, "completed", None),
    (S.CANCELLED, outcome.CANCELLED_BY_USER, 0, "deleted", BY_USER),
    (S.CANCELLED, outcome.CANCELLED_WITH_WORKFLOW, 0, "deleted", WITH_WORKFLOW),
    (S.RUNNING, None, 1, "deleted", BY_USER),
    (S.RESERVED, None, 2, "deleted", WITH_WORKFLOW),
    (S.LOST, outcome.LOST, 1, "deleted", BY_USER),
    (S.COMPLETE, None, 1, "deleted", BY_USER),
]


def head(state: JobState, reason: str | None, cancel_requested: int = 0) -> JobHead:
    """Return a head of which only this much matters."""
    fields: dict[str, object] = {field.name: None for field in msgspec.structs.fields(JobHead)}
    fields |= {"state": state, "reason": reason, "cancel_requested": cancel_requested}
    return JobHead(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(("reason", "status", "text"), BURIED)
def test_why_a_job_was_given_up(reason: str | None, status: str, text: str | None) -> None:
    assert standing(head(S.BURIED, reason)) == (status, text)


@pytest.mark.parametrize(("state", "reason", "asked", "status", "text"), OTHERS)
def test_every_other_state(
    state: JobState, reason: str | None, asked: int, status: str, text: str | None
) -> None:
    assert standing(head(state, reason, asked)) == (status, text)


def test_every_state_is_covered() -> None:
    assert {state for state, *_ in OTHERS} | {S.BURIED} == set(S)


def test_what_was_given_up_before_it_could_start_is_hidden() -> None:
    assert never_submitted(head(S.CANCELLED, outcome.DEPENDENCY_FAILED))
    assert not never_submitted(head(S.CANCELLED, outcome.CANCELLED_BY_USER))
    assert not never_submitted(head(S.READY, None))
