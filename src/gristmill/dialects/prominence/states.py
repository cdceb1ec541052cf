"""The words for where a job stands, and why."""

from typing import NamedTuple, Protocol

from gristmill.domain import outcome
from gristmill.domain.state import HELD, TERMINAL, JobState

PENDING, RUNNING = "pending", "running"
COMPLETED, FAILED, KILLED, DELETED = "completed", "failed", "killed", "deleted"
ENDED = frozenset({COMPLETED, FAILED, KILLED, DELETED})

BY_USER = "Job deleted by user"
WITH_WORKFLOW = "Job part of a workflow which was deleted by user"
_CANCELLED_WITH_WORKFLOW = 2
"""What a job's ``cancel_requested`` is while the end of the whole workflow was asked for."""

_EXITED = frozenset({outcome.NON_ZERO_EXIT, outcome.SIGNALLED})
_KILLS = {
    outcome.OVER_WALLTIME: "Walltime limit exceeded",
    outcome.OVER_MEMORY: "Job used too much memory",
}
_FAILURES = {
    outcome.IMPOSSIBLE: "No matching resources",
    outcome.QUEUE_TIMEOUT: "Maximum time queued was exceeded",
    outcome.IMAGE_UNAVAILABLE: "Container image pull failed",
    outcome.NO_CONTAINER_ENGINE: "Container image pull failed",
    outcome.ARTIFACT_DOWNLOAD_FAILED: "Artifact download failed",
    outcome.ARTIFACT_UNPACK_FAILED: "Artifact uncompress failed",
    outcome.MOUNT_FAILED: "Unable to mount storage volume",
    outcome.STAGE_OUT_MISSING: "Stageout failed due to no such file or directory",
    outcome.STAGE_OUT_UPLOAD_FAILED: "Unable to stageout output to object storage",
    outcome.STAGE_OUT_PACK_FAILED: "Stageout failed due to tarball creation failed",
    outcome.LOST: "Job was evicted",
    outcome.AGENT_DIED: "Job was evicted",
    outcome.STOPPED_WITH_SERVER: "Job was evicted",
}
UNABLE = "Unable to execute task(s)"
NOTHING_FITS = "No matching resources currently available"


class Head(Protocol):
    """What is looked at of a job."""

    state: JobState
    reason: str | None
    cancel_requested: int


class Standing(NamedTuple):
    """A status and its reason; None where there is nothing to say."""

    status: str
    reason: str | None = None


def standing(head: Head) -> Standing:
    """Return where a job stands; one that is to be ended counts as deleted at once."""
    if head.cancel_requested and head.state in HELD | TERMINAL:
        together = head.cancel_requested == _CANCELLED_WITH_WORKFLOW
        return Standing(DELETED, WITH_WORKFLOW if together else BY_USER)
    if head.state is JobState.CANCELLED:
        together = head.reason == outcome.CANCELLED_WITH_WORKFLOW
        return Standing(DELETED, WITH_WORKFLOW if together else BY_USER)
    if head.state is JobState.COMPLETE:
        return Standing(COMPLETED)
    if head.state is JobState.BURIED:
        return _buried(head.reason or "")
    return Standing(RUNNING if head.state is JobState.RUNNING else PENDING)


def _buried(reason: str) -> Standing:
    """Tell a failure from tasks that ran to their end with an exit code that is not 0."""
    if reason in _EXITED:
        return Standing(COMPLETED)
    if reason in _KILLS:
        return Standing(KILLED, _KILLS[reason])
    return Standing(FAILED, _FAILURES.get(reason, UNABLE))


def never_submitted(head: Head) -> bool:
    """Whether a job of a workflow was given up before it could start: clients never see it."""
    return head.state is JobState.CANCELLED and head.reason == outcome.DEPENDENCY_FAILED
