"""From a job of the core to its status: pure functions."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from gristmill.dialects.wr.behaviours import without_pipefail
from gristmill.dialects.wr.translate import DEFAULT_CWD, MB_A_GB, read_extra
from gristmill.dialects.wr.wire import ZERO_TIME, Number, Status, number
from gristmill.domain import outcome
from gristmill.domain.job import JobSpec
from gristmill.domain.state import HELD, PENDING, JobState
from gristmill.services.queue.glances import Glance, LastAttempt
from gristmill.services.queue.views import Listed

NEVER_EXITED = -1
NOT_UPLOADED = -2
NOWHERE = ("", "")

WORDS = {
    JobState.WAITING: "dependent",
    JobState.DELAYED: "delayed",
    JobState.READY: "ready",
    JobState.RESERVED: "reserved",
    JobState.RUNNING: "running",
    JobState.LOST: "lost",
    JobState.BURIED: "buried",
    JobState.COMPLETE: "complete",
    JobState.CANCELLED: "deleted",
}

LIVE = frozenset(JobState) - {JobState.COMPLETE, JobState.CANCELLED}
RUNNING = frozenset({JobState.RESERVED, JobState.RUNNING})
FAILED = LIVE - HELD
"""Where a job may be after a failed attempt."""

DELETABLE = LIVE - {JobState.RUNNING}
_BY_WORD = {word: frozenset({state}) for state, word in WORDS.items() if word != "deleted"} | {
    "running": RUNNING,
    "reserved": RUNNING,
    "deletable": DELETABLE,
}

_REASONS = {
    outcome.SIGNALLED: "command exited non-zero",
    outcome.OVER_MEMORY: "command used too much RAM",
    outcome.CANCELLED_BY_USER: "killed by user request",
    outcome.LOST: "lost contact with runner",
    outcome.AGENT_DIED: "lost contact with runner",
    outcome.STOPPED_WITH_SERVER: "runner received a signal to stop",
}
_OF_EXIT_CODE = {
    126: "command permission problem",
    127: "command not found",
    128: "command invalid exit code",
}


class Seen(NamedTuple):
    """What else a status shows. now: epoch seconds. outputs: stdout and stderr of jobs, by id.

    hosts: name and address of agents, by number.
    environment: what every command inherits, None when it is not asked for.
    """

    now: float
    hosts: Mapping[int, tuple[str, str]]
    outputs: Mapping[int, tuple[str, str]] = {}
    environment: Mapping[str, str] | None = None


def states_of(word: str) -> frozenset[JobState] | None:
    """Return the states a filter selects, None for a word that is no filter."""
    return _BY_WORD.get(word)


def as_added(glance: Glance, first: int | None) -> Glance:
    """Return a job that has just been added as it was then, though it may have begun by now.

    first: ids from it on are those that were added.
    """
    head = glance.job.row.head
    if first is None or head.id < first or head.state in PENDING:
        return glance
    fresh = msgspec.structs.replace(
        head,
        state=JobState.READY,
        failures=0,
        agent_id=None,
        started_at=None,
        ended_at=None,
        exit_code=None,
        reason=None,
    )
    row = msgspec.structs.replace(glance.job.row, head=fresh)
    return glance._replace(job=glance.job._replace(row=row), attempt=None, before=None)


def status(glance: Glance, seen: Seen, group: str | None = None, word: str | None = None) -> Status:
    """Return a job's status. group: the one it was asked for by. word: instead of its state."""
    listed, attempt, before, similar = glance
    head, spec = listed.row.head, listed.row.spec
    # Where and how long are told of the attempt before until the next is known to have begun.
    place = attempt or before
    extra = read_extra(listed.row.dialect_data)
    expected = listed.expected
    host, address = seen.hosts.get(place.agent_id, NOWHERE) if place else NOWHERE
    output = seen.outputs.get(head.id, ("", ""))
    return Status(
        key=listed.row.key or "",
        rep_group=listed.words.group if group is None else group,
        dep_groups=spec.dep_groups or None,
        dependencies=spec.after_groups or None,
        cmd=without_pipefail(spec.command or ""),
        state=word or WORDS[head.state],
        cwd=_folder(spec, attempt),
        cwd_base=spec.cwd or DEFAULT_CWD,
        home_changed=extra.home_changed or bool(spec.workspace and spec.workspace.home),
        behaviours=extra.behaviours,
        mounts=extra.mounts,
        monitor_docker=extra.monitor_docker,
        expected_ram=expected.memory,
        expected_time=number(expected.seconds),
        requested_disk=math.ceil(expected.disk / MB_A_GB),
        other_requests=extra.other_requests or None,
        cores=number(spec.resources.cpus),
        peak_ram=(attempt.peak_memory or 0) if attempt is not None else 0,
        exited=_exited(listed, attempt),
        exit_code=_exit_code(listed),
        fail_reason=_reason(glance),
        pid=(attempt.pid or 0) if attempt is not None else 0,
        host=host if attempt is not None else "",
        host_id="",
        host_ip=address,
        wall_time=_wall_time(listed, attempt, seen.now),
        cpu_time=_cpu_time(attempt, before),
        started=_moment(attempt.started_at if attempt is not None else None),
        ended=_ended(listed, attempt),
        std_err=output[1],
        std_out=output[0],
        env=_environment(spec, seen.environment),
        attempts=head.starts,
        similar=similar,
    )


def _folder(spec: JobSpec, attempt: LastAttempt | None) -> str:
    """Return the folder of the attempt from cwd on, empty where it runs in cwd itself."""
    if spec.workspace is None or attempt is None or not attempt.cwd:
        return ""
    at = attempt.cwd.rfind(f"/{spec.workspace.path}")
    return attempt.cwd[at:] if at >= 0 else ""


def _exited(listed: Listed, attempt: LastAttempt | None) -> bool:
    if attempt is None or listed.row.head.state in HELD:
        return False
    return attempt.started_at is not None


def _exit_code(listed: Listed) -> int:
    head = listed.row.head
    if head.state in HELD:
        return NEVER_EXITED
    if head.exit_code == 0 and head.reason == outcome.UPLOAD_FAILED:
        return NOT_UPLOADED
    if head.exit_code is not None:
        return head.exit_code if head.exit_code >= 0 else NEVER_EXITED
    # Cut off, killed or lost: it began and has no exit code.
    return NEVER_EXITED if head.started_at is not None else 0


def _reason(glance: Glance) -> str:
    """Return why the last attempt failed, also while another one runs."""
    head, before = glance.job.row.head, glance.before
    if head.state is JobState.COMPLETE:
        return ""
    if head.reason:
        return _worded(head.reason, head.exit_code)
    if head.state not in HELD or before is None:
        return ""
    return _worded(before.reason or outcome.LOST, before.exit_code)


def _worded(reason: str, exit_code: int | None) -> str:
    if reason == outcome.NON_ZERO_EXIT:
        return _OF_EXIT_CODE.get(exit_code or 0, reason)
    return _REASONS.get(reason, reason)


def _cpu_time(attempt: LastAttempt | None, before: LastAttempt | None) -> Number:
    for known in (attempt, before):
        if known is not None and known.cpu_seconds is not None:
            return number(known.cpu_seconds)
    return 0


def _wall_time(listed: Listed, attempt: LastAttempt | None, now: float) -> Number:
    if attempt is None or attempt.started_at is None:
        return 0
    end = attempt.ended_at or listed.row.head.ended_at or now
    return number(max(0.0, end - attempt.started_at))


def _ended(listed: Listed, attempt: LastAttempt | None) -> int:
    head = listed.row.head
    if head.state is JobState.LOST:
        return _moment(head.ended_at)
    if attempt is None:
        return ZERO_TIME
    return _moment(attempt.ended_at)


def _moment(seconds: float | None) -> int:
    return ZERO_TIME if seconds is None else math.floor(seconds)


def _environment(spec: JobSpec, base: Mapping[str, str] | None) -> list[str] | None:
    if base is None:
        return None
    return [f"{name}={value}" for name, value in {**base, **spec.env}.items()]


def by_run(glance: Glance) -> tuple[float, float]:
    """Return what complete jobs are sorted by: when they began, and when they ended."""
    head = glance.job.row.head
    return head.started_at or 0.0, head.ended_at or 0.0
