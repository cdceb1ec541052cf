"""Between the core's values and the shapes of /v1: pure functions."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gristmill.containers.images import Image
from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.job import JobSpec, tasks_of
from gristmill.domain.objects import StoredObject
from gristmill.domain.outcome import TaskResult
from gristmill.domain.resources import CPU_SHARES, Capacity
from gristmill.domain.state import BY_WORD, JobState
from gristmill.native import wire
from gristmill.protocol.messages import Stream
from gristmill.services.queue.registry import LiveAgent
from gristmill.services.queue.views import AttemptView, Listed
from gristmill.store.agents import AgentRow

COMMAND_SHOWN = 200
"""Characters of the command in a listing."""

Sizes = Mapping[tuple[int, int, int], int]
Hostnames = Mapping[int, str]


def moment(seconds: float | None) -> datetime | None:
    """Turn epoch seconds into a UTC time."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def object_view(stored: StoredObject) -> wire.ObjectView:
    """Write a stored object out."""
    return wire.ObjectView(stored.name, stored.size, stored.sha256, _moment(stored.modified_at))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def parse_states(words: Sequence[str]) -> tuple[JobState, ...]:
    """Turn words, each possibly a comma list, into states. Raises InvalidInputError."""
    states = []
    for word in ",".join(words).split(","):
        if word and word not in BY_WORD:
            raise InvalidInputError(
                f"{word[:40]!r} is not a state: choose from {', '.join(BY_WORD)}", "state"
            )
        if word:
            states.append(BY_WORD[word])
    return tuple(dict.fromkeys(states))


def parse_ids(words: Sequence[str]) -> tuple[int, ...]:
    """Turn words, each possibly a comma list, into job ids. Raises InvalidInputError."""
    ids = []
    for word in ",".join(words).split(","):
        if not word.isascii() or not word.isdigit() or not 1 <= len(word) <= 18:
            raise InvalidInputError(f"{word[:40]!r} is not a job's id", "ids")
        ids.append(int(word))
    return tuple(dict.fromkeys(ids))


def parse_labels(pairs: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Turn ``key=value`` texts into pairs. Raises InvalidInputError."""
    labels = []
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise InvalidInputError(f"{pair[:80]!r} is not KEY=VALUE", "label")
        labels.append((key, value))
    return tuple(labels)


def parse_dialect(word: str | None) -> Dialect | None:
    """Turn a dialect's word into the dialect. Raises InvalidInputError."""
    if word is None:
        return None
    for dialect in Dialect:
        if dialect.word == word:
            return dialect
    known = ", ".join(dialect.word for dialect in Dialect)
    raise InvalidInputError(f"{word[:40]!r} is not a dialect: choose from {known}", "dialect")


def command_text(spec: JobSpec) -> str:
    """Return the first task as text, for people."""
    task = tasks_of(spec)[0]
    image = task.image or spec.image or ""
    text = task.command or " ".join(task.argv) or task.script or image
    return text if len(text) <= COMMAND_SHOWN else text[: COMMAND_SHOWN - 1] + "…"


def job_view(listed: Listed, hostnames: Hostnames) -> wire.JobView:
    """Return a job at a glance."""
    return wire.JobView(**_job_fields(listed, hostnames))


def _job_fields(listed: Listed, hostnames: Hostnames) -> dict[str, Any]:
    row, words, place = listed.row, listed.words, listed.place
    head, spec = row.head, row.spec
    return {
        "id": head.id,
        "name": row.name,
        "group": words.group,
        "state": head.state.word,
        "owner": words.owner,
        "project": words.project,
        "dialect": Dialect(head.dialect).word,
        "priority": head.priority,
        "labels": spec.labels,
        "command": command_text(spec),
        "resources": _resources(spec),
        "created_at": _moment(head.created_at),
        "ready_at": moment(head.ready_at),
        "started_at": moment(head.started_at),
        "ended_at": moment(head.ended_at),
        "exit_code": head.exit_code,
        "reason": head.reason or "",
        "attempts": head.starts,
        "retries_left": head.retries_left,
        "agent": head.agent_id,
        "hostname": hostnames.get(head.agent_id) if head.agent_id is not None else None,
        "key": row.key,
        "workflow": place.workflow if place else None,
        "node": place.node if place else None,
        "instance": place.instance if place else None,
    }


def _resources(spec: JobSpec) -> wire.ResourcesView:
    wanted = spec.resources
    return wire.ResourcesView(
        wanted.cpus, wanted.memory, wanted.disk, wanted.gpus, wanted.nodes, wanted.walltime
    )


def job_detail(
    listed: Listed, attempts: Sequence[AttemptView], sizes: Sizes, hostnames: Hostnames, why: str
) -> wire.JobDetail:
    """Return a job with all that is known of it."""
    current = [view for view in attempts if view.number == listed.row.head.attempt]
    first = current[0] if current else None
    return wire.JobDetail(
        **_job_fields(listed, hostnames),
        pid=first.pid if first else None,
        cwd=first.cwd if first else listed.row.spec.cwd,
        peak_memory=max((view.peak_memory or 0 for view in current), default=0) or None,
        cpu_seconds=sum(view.cpu_seconds or 0.0 for view in current) if current else None,
        spec=listed.row.spec,
        history=[_attempt(view, sizes, hostnames) for view in attempts],
        why=why,
    )


def _attempt(view: AttemptView, sizes: Sizes, hostnames: Hostnames) -> wire.AttemptView:
    return wire.AttemptView(
        number=view.number,
        rank=view.rank,
        agent=view.agent_id,
        hostname=hostnames.get(view.agent_id),
        pid=view.pid,
        cwd=view.cwd,
        started_at=moment(view.started_at),
        ended_at=moment(view.ended_at),
        exit_code=view.exit_code,
        reason=view.reason or "",
        message=view.message or "",
        peak_memory=view.peak_memory or None,
        cpu_seconds=view.cpu_seconds,
        tasks=[wire.task_view(result) for result in _tasks(view)],
        stdout_size=sizes.get((view.number, view.rank, Stream.STDOUT.value), 0),
        stderr_size=sizes.get((view.number, view.rank, Stream.STDERR.value), 0),
    )


def _tasks(view: AttemptView) -> list[TaskResult]:
    """Return the tasks' results; that of a single task is the attempt's, and not stored apart."""
    if view.tasks or view.exit_code is None or view.started_at is None or view.ended_at is None:
        return view.tasks
    return [
        TaskResult(
            view.exit_code,
            view.ended_at - view.started_at,
            view.cpu_seconds or 0.0,
            (view.peak_memory or 0) * 1024,
        )
    ]


def capacity_view(capacity: Capacity) -> wire.CapacityView:
    """Return amounts with cpus as cores."""
    return wire.CapacityView(
        capacity.cpu_shares / CPU_SHARES, capacity.memory, capacity.disk, capacity.gpus
    )


def agent_view(row: AgentRow, live: LiveAgent | None, running: int, seen: float) -> wire.AgentView:
    """Return an agent as people see it. seen: epoch seconds of its last word."""
    state = row.state
    if live is None and state in {"online", "draining"}:
        state = "offline"
    return wire.AgentView(
        id=row.id,
        name=row.node,
        hostname=row.hostname,
        state=state,
        capacity=capacity_view(row.capacity),
        free=capacity_view(live.free) if live is not None and live.free is not None else None,
        running=running,
        pools=list(live.pools) if live is not None else row.pools or ["default"],
        labels=row.labels,
        runtimes=row.runtimes,
        notes=row.notes,
        last_seen_at=_moment(seen),
    )


def image_view(image: Image) -> wire.ImageView:
    """Return an image as people see it."""
    return wire.ImageView(
        name=image.name,
        digest=image.digest,
        size=image.size,
        entrypoint=list(image.entrypoint),
        command=list(image.cmd),
        workdir=image.workdir,
        created_at=_moment(image.created_at),
        source=image.source,
        notes=list(image.notes),
    )
