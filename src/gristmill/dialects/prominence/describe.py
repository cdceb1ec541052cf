"""A job as clients see it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from gristmill.dialects.prominence import stored
from gristmill.dialects.prominence.states import (
    ENDED,
    NOTHING_FITS,
    PENDING,
    Standing,
    standing,
)
from gristmill.dialects.prominence.translate import MB_A_GB
from gristmill.domain.outcome import AttemptDetails, TaskResult
from gristmill.domain.state import JobState
from gristmill.services.queue.views import AttemptView, Listed

Json = dict[str, Any]


class Facts(NamedTuple):
    """What is known beside a job's own row.

    now: epoch seconds. sites: of agents, by number. fits: whether a job can be placed at all.
    output_url: from a job's id and an output's object to where it can be fetched.
    """

    now: float
    sites: Mapping[int, str]
    fits: Callable[[Listed], bool]
    output_url: Callable[[int, str], str]


def description_of(job: Listed) -> Json:
    """Return what was submitted, as its owner may see it."""
    data = job.row.dialect_data
    if data is None and job.place is not None:
        data = job.place.data
    return stored.shown(data) if data is not None else {"tasks": [], "resources": {}}


def name_of(job: Listed, description: Json) -> str:
    """Return a job's name; for one of a workflow, the path through that."""
    name: str = description.get("name", "")
    place = job.place
    if place is None:
        return name
    parts = [place.workflow_name, place.node]
    if place.instance is not None:
        parts.append(str(place.instance))
    return "/".join(parts)


def short(job: Listed, facts: Facts) -> Json:
    """Return a job as lists show it."""
    return _short(job, description_of(job), facts)


def detailed(
    job: Listed,
    attempts: Sequence[AttemptView],
    commands: Sequence[tuple[float, Sequence[str]]],
    facts: Facts,
) -> Json:
    """Return all there is about a job. commands: what was run inside it, with the times."""
    description = description_of(job)
    found = _short(job, description, facts)
    last = _last(attempts)
    view = {**description, **found}
    details = last[0].details if last else None
    for key, folder in (("outputFiles", False), ("outputDirs", True)):
        if key in description:
            view[key] = _outputs(job, description[key], details, facts, folder=folder)
    execution = _execution(job, last, commands, facts)
    if execution:
        view["execution"] = execution
    return view


def _short(job: Listed, description: Json, facts: Facts) -> Json:
    where = _standing(job, facts)
    view: Json = {
        "id": job.row.head.id,
        "name": name_of(job, description),
        "status": where.status,
        "tasks": description["tasks"],
        "events": _events(job, where.status, facts.now),
    }
    if where.reason is not None:
        view["statusReason"] = where.reason
    if job.place is not None and job.place.instance is not None:
        view["parameters"] = job.place.parameters
    return view


def _standing(job: Listed, facts: Facts) -> Standing:
    found = standing(job.row.head)
    if found.status == PENDING and job.row.head.state is JobState.READY and not facts.fits(job):
        return Standing(PENDING, NOTHING_FITS)
    return found


def _events(job: Listed, status: str, now: float) -> dict[str, int]:
    head = job.row.head
    events = {"createTime": int(head.created_at)}
    if head.started_at is not None:
        events["startTime"] = int(head.started_at)
    if status in ENDED:
        # What is deleted while it runs counts as ended before its processes are gone.
        ended = head.state in {JobState.BURIED, JobState.COMPLETE, JobState.CANCELLED}
        events["endTime"] = int(head.ended_at if ended and head.ended_at is not None else now)
    return events


def _last(attempts: Sequence[AttemptView]) -> list[AttemptView]:
    """Return the nodes of the last attempt, the first node first."""
    if not attempts:
        return []
    number = max(attempt.number for attempt in attempts)
    return sorted(
        (attempt for attempt in attempts if attempt.number == number),
        key=lambda attempt: attempt.rank,
    )


def _outputs(
    job: Listed,
    names: Sequence[str],
    details: AttemptDetails | None,
    facts: Facts,
    *,
    folder: bool,
) -> list[Json]:
    kept = {
        output.name: output
        for output in (details.outputs if details is not None else ())
        if output.folder == folder and output.size >= 0
    }
    staging = job.row.spec.staging
    asked: Sequence[str] = names
    if staging is not None:
        # Of an instance, the description still has the names with their parameters in them.
        asked = staging.output_dirs if folder else staging.output_files
    found: list[Json] = []
    for name, path in zip(names, asked, strict=True):
        output = kept.get(path)
        if output is None:
            found.append({"name": name, "url": ""})
        else:
            url = facts.output_url(job.row.head.id, output.object)
            found.append({"name": name, "url": url, "size": output.size})
    return found


def _execution(
    job: Listed,
    nodes: Sequence[AttemptView],
    commands: Sequence[tuple[float, Sequence[str]]],
    facts: Facts,
) -> Json:
    if not nodes:
        return {}
    first, head = nodes[0], job.row.head
    execution: Json = {}
    if first.agent_id in facts.sites:
        execution["site"] = facts.sites[first.agent_id]
    tasks = [_task(result) for result in first.tasks]
    if tasks:
        execution["tasks"] = tasks
        execution["maxMemoryUsageKB"] = _peak_kb(nodes)
    if head.starts > 1:
        execution["retries"] = head.starts - 1
    if first.details is not None:
        execution.update(_details(first.details))
    if commands:
        execution["commands"] = [
            {"time": int(at), "command": " ".join(words)} for at, words in commands
        ]
    return execution


def _peak_kb(nodes: Sequence[AttemptView]) -> int:
    sampled = max((node.peak_memory or 0 for node in nodes), default=0) * 1024
    measured = max((task.peak_memory_kb for node in nodes for task in node.tasks), default=0)
    return max(sampled, measured)


def _task(result: TaskResult) -> Json:
    """Return one task; of one whose image could not be had, only what is known of that."""
    view: Json = {}
    if result.pull_status:
        view["imagePullStatus"] = result.pull_status
        if result.pull_seconds >= 0:
            view["imagePullTime"] = result.pull_seconds
        if result.image_digest:
            view["imageSha256"] = result.image_digest
    if result.exit_code is None:
        return view
    return {
        **view,
        "exitCode": result.exit_code,
        "retries": result.retries,
        "wallTimeUsage": result.wall_seconds,
        "cpuTimeUsage": result.cpu_seconds,
        "maxResidentSetSizeKB": result.peak_memory_kb,
    }


def _details(details: AttemptDetails) -> Json:
    view: Json = {
        "provisionedResources": {
            "cpus": _whole(details.cpus),
            "memory": _whole(details.memory / MB_A_GB),
            "disk": _whole(details.disk / MB_A_GB),
            "nodes": details.nodes,
        }
    }
    if details.stage_in >= 0:
        view["stageInTime"] = details.stage_in
    if details.stage_out >= 0:
        view["stageOutTime"] = details.stage_out
    if details.cpu_model:
        view["cpu"] = {
            "vendor": details.cpu_vendor,
            "model": details.cpu_model,
            "clock": details.cpu_clock,
        }
    if details.runtime:
        name, _, version = details.runtime.partition(" ")
        view["runtimeVersion"] = {name: version}
    return view


def _whole(value: float) -> int | float:
    return int(value) if value == int(value) else round(value, 3)
