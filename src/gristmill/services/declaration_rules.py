"""What must hold between declared objects, whichever of them the file names."""

from collections import defaultdict
from typing import Any

from gristmill.domain.declared import Project, Schedule
from gristmill.domain.errors import InvalidInputError
from gristmill.services.declaration_plan import Plan, Slot, alive

Parents = dict[int, Slot[Schedule]]
"""By the id() of the child's slot, for new schedules have no id yet."""


def check_plan(plan: Plan) -> Parents:
    """Return the parent of every schedule that has one.

    Raises InvalidInputError, with line and field where the file is to blame.
    """
    _check_required(plan)
    _check_references(plan)
    _check_api_keys(plan)
    _check_pools_of_schedules(plan)
    parents = _find_parents(plan)
    _check_cycles(plan, parents)
    return parents


def _check_required(plan: Plan) -> None:
    for worker in plan.workers:
        _require(worker, "api_key")
    for schedule in plan.schedules:
        _require(schedule, "template", "pool")


def _require(slot: Slot[Any], *fields: str) -> None:
    for field in fields:
        if slot.entry is not None and not getattr(slot.after, field):
            raise slot.entry.error("is missing, and has no default", field)


def _check_references(plan: Plan) -> None:
    pools = {pool.name for _, pool in alive(plan.pools)}
    projects = {project.name for _, project in alive(plan.projects)}
    templates = {(one.project, one.name) for _, one in alive(plan.templates)}
    for worker_slot, worker in alive(plan.workers):
        _require_pools(worker_slot, worker.pools, pools)
    for project_slot, project in alive(plan.projects):
        _require_pools(project_slot, project.pools, pools)
    for template_slot, template in alive(plan.templates):
        if template.project not in projects:
            raise _unknown(template_slot, "project", "project", template.project)
    for schedule_slot, schedule in alive(plan.schedules):
        if schedule.project not in projects:
            raise _unknown(schedule_slot, "project", "project", schedule.project)
        if (schedule.project, schedule.template) not in templates:
            raise _unknown(schedule_slot, "template", "template", schedule.template)
        if schedule.pool not in pools:
            raise _unknown(schedule_slot, "pool", "pool", schedule.pool)


def _require_pools(slot: Slot[Any], names: tuple[str, ...], pools: set[str]) -> None:
    for name in names:
        if name not in pools:
            raise _unknown(slot, "pools", "pool", name)


def _unknown(slot: Slot[Any], field: str, kind: str, name: str) -> InvalidInputError:
    if slot.entry is None:
        return InvalidInputError(
            f"cannot prune {kind} {name!r}, {slot.label} needs it: name it in the file, "
            f"or change {slot.label} first",
            "prune",
        )
    of_project = "" if kind in ("pool", "project") else " in its project"
    steps: tuple[str | int, ...] = (field,) if field in slot.entry.given else ()
    return slot.entry.error(
        f"there is no {kind} {name!r}{of_project}: declare it under {kind}s", *steps
    )


def _check_api_keys(plan: Plan) -> None:
    owners: dict[str, Slot[Any]] = {}
    for slot, worker in alive(plan.workers):
        if not worker.api_key:
            continue
        other = owners.setdefault(worker.api_key, slot)
        if other is not slot:
            named, holder = (slot, other) if slot.entry is not None else (other, slot)
            assert named.entry is not None
            raise named.entry.error(f"is already the key of {holder.label}", "api_key")


def _check_pools_of_schedules(plan: Plan) -> None:
    projects: dict[str, tuple[Slot[Project], Project]] = {
        project.name: (slot, project) for slot, project in alive(plan.projects)
    }
    for slot, schedule in alive(plan.schedules):
        project_slot, project = projects[schedule.project]
        if schedule.pool in project.pools:
            continue
        if slot.entry is not None:
            raise slot.entry.error(
                f"project {project.name!r} has no pool {schedule.pool!r}: add it to the pools "
                "of the project",
                "pool",
            )
        if project_slot.changed and project_slot.entry is not None:
            raise project_slot.entry.error(
                f"must keep {schedule.pool!r}: {slot.label} uses it", "pools"
            )


def _find_parents(plan: Plan) -> Parents:
    named: dict[tuple[str, str], list[Slot[Schedule]]] = defaultdict(list)
    for slot, schedule in alive(plan.schedules):
        named[schedule.project, schedule.name].append(slot)
    parents: Parents = {}
    for slot, schedule in alive(plan.schedules):
        if schedule.parent is None:
            continue
        found = named[schedule.project, schedule.parent]
        if not found:
            raise _unknown(slot, "parent", "schedule", schedule.parent)
        same = slot.before is not None and slot.before.parent == schedule.parent
        if len(found) > 1 and slot.entry is not None and not same:
            raise slot.entry.error(
                f"several schedules of the project are named {schedule.parent!r}", "parent"
            )
        parents[id(slot)] = found[0]
    return parents


def _check_cycles(plan: Plan, parents: Parents) -> None:
    sound: set[int] = set()
    for slot, _ in alive(plan.schedules):
        path: dict[int, Slot[Schedule]] = {}
        here: Slot[Schedule] | None = slot
        while here is not None and id(here) not in sound:
            if id(here) in path:
                raise _cycle(list(path.values()))
            path[id(here)] = here
            here = parents.get(id(here))
        sound |= path.keys()


def _cycle(path: list[Slot[Schedule]]) -> InvalidInputError:
    """Blame the file: what was stored before had no ring."""
    for slot in path:
        if slot.entry is not None and slot.after is not None and "parent" in slot.entry.given:
            return slot.entry.error(
                f"{slot.after.parent!r} is a descendant of this schedule, or itself", "parent"
            )
    return InvalidInputError(f"{path[0].label} would be its own ancestor", "parent")
