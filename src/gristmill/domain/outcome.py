"""How an attempt ended, and what that means for its job."""

from random import Random
from typing import NamedTuple

import msgspec

from gristmill.domain.retry import RetryPolicy, backoff
from gristmill.domain.state import JobState, Trigger

NON_ZERO_EXIT = "command exited non-zero"
SIGNALLED = "command was ended by a signal"
COULD_NOT_START = "command failed to start"
OVER_MEMORY = "command used too much memory"
OVER_WALLTIME = "command used too much time"
TOO_MUCH_OUTPUT = "command wrote too much output"
CANCELLED_BY_USER = "cancelled by user"
CANCELLED_WITH_WORKFLOW = "cancelled with its workflow"
DEPENDENCY_FAILED = "what it depends on failed"
LOST = "lost contact with the agent"
AGENT_DIED = "the agent died"
IMPOSSIBLE = "resource requirements cannot be met"
QUEUE_TIMEOUT = "waited in the queue longer than allowed"
IMAGE_UNAVAILABLE = "container image is not available"
NO_CONTAINER_ENGINE = "no container engine on the node"
GANG_MEMBER_FAILED = "another member of the gang failed"
STOPPED_WITH_SERVER = "stopped with the server"
MOUNT_FAILED = "mounting of remote file system(s) failed"
CONTAINERS_UNREACHABLE = "could not interact with docker"
GOAL_REACHED = "goal reached"
UPLOAD_FAILED = "failed to upload files to remote file system"
ARTIFACT_DOWNLOAD_FAILED = "artifact could not be downloaded"
ARTIFACT_UNPACK_FAILED = "artifact could not be unpacked"
STAGE_OUT_MISSING = "output does not exist"
STAGE_OUT_UPLOAD_FAILED = "output could not be stored"
STAGE_OUT_PACK_FAILED = "output folder could not be packed"
DISK_FULL = "ran out of disk space"
BAD_WORKDIR = "working directory does not exist"

CANCEL_REASONS = {1: CANCELLED_BY_USER, 2: CANCELLED_WITH_WORKFLOW}
"""What ``cancel_requested`` of a job stands for when it is not 0."""

NEVER_RETRIED = frozenset({CANCELLED_BY_USER, BAD_WORKDIR, MOUNT_FAILED, CONTAINERS_UNREACHABLE})


class TaskResult(msgspec.Struct, array_like=True, frozen=True):
    """One task of an attempt: exit code (negative: signal), seconds, CPU seconds, KiB, repeats.

    exit_code: None when its image could not be had. pull_status: of its image, ``completed``,
    ``cached`` or ``failed``, empty without one; pull_seconds: -1 when nothing was fetched.
    image_digest: sha256 where it is known.
    """

    exit_code: int | None
    wall_seconds: float
    cpu_seconds: float
    peak_memory_kb: int
    retries: int = 0
    pull_status: str = ""
    pull_seconds: float = -1.0
    image_digest: str = ""


class StagedOutput(msgspec.Struct, array_like=True, frozen=True):
    """An output of a job. object: its name among the job's objects; size: bytes, -1: not stored."""

    name: str
    object: str
    size: int = -1
    folder: bool = False


class AttemptDetails(msgspec.Struct, array_like=True, frozen=True):
    """What is known about an attempt in a sandbox.

    stage_in, stage_out: seconds, -1 when there was nothing to do. cpus, memory, disk, nodes:
    what it was given, megabytes. cpu_clock: MHz. runtime: what ran its containers.
    """

    stage_in: float = -1.0
    stage_out: float = -1.0
    outputs: list[StagedOutput] = []
    cpus: float = 0.0
    memory: int = 0
    disk: int = 0
    nodes: int = 1
    cpu_vendor: str = ""
    cpu_model: str = ""
    cpu_clock: str = ""
    runtime: str = ""


class Verdict(NamedTuple):
    """What becomes of the job: its next state, the move, and when it may run again."""

    trigger: Trigger
    state: JobState
    delay: float


def judge(
    policy: RetryPolicy,
    *,
    succeeded: bool,
    exit_code: int | None,
    reason: str,
    cancel_requested: bool,
    retries_left: int,
    failures: int,
    random: Random,
) -> Verdict:
    """Decide what a finished attempt means for its job.

    failures: failed attempts including this one. A cancelled job whose command still
    succeeded counts as complete.
    """
    if succeeded:
        return Verdict(Trigger.SUCCEED, JobState.COMPLETE, 0.0)
    if cancel_requested:
        return Verdict(Trigger.CANCEL, JobState.CANCELLED, 0.0)
    if retries_left <= 0 or exit_code in policy.fatal_exit_codes or reason in NEVER_RETRIED:
        return Verdict(Trigger.FAIL_FINAL, JobState.BURIED, 0.0)
    delay = backoff(policy, failures, random)
    target = JobState.DELAYED if delay > 0 else JobState.READY
    return Verdict(Trigger.FAIL_RETRY, target, delay)
