"""The query of a list: which of its parameters filter, by what, and which are refused."""

from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from gristmill.dialects.job_runner.errors import RefusedError, bad
from gristmill.dialects.job_runner.exchange import Pairs
from gristmill.dialects.job_runner.lookups import EXACT, LOOKUPS, Matches, make_matcher
from gristmill.dialects.job_runner.resources import RESOURCES, THROUGH, Field, Resource
from gristmill.dialects.job_runner.uris import read_id

ORDER = "order_by"
PROJECT = "project_id"
OF_PROJECT = frozenset({"worker_pool", "worker", "job_template", "job", "run"})
"""Resources whose lists can be narrowed to one project."""


class Condition(NamedTuple):
    """What must hold of the field at the end of the path, such as ``job``, ``title``."""

    path: tuple[str, ...]
    matches: Matches


class Filters(NamedTuple):
    """What a list is narrowed to. project: an id, None for any."""

    conditions: Sequence[Condition]
    project: int | None


def read_filters(resource: Resource, query: Pairs, zone: ZoneInfo) -> Filters:
    """Return the filters of a list's query; names that are no field are passed over.

    Raises RefusedError for what cannot be filtered by, and for values that make no sense.
    """
    values: dict[str, list[str]] = {}
    for name, value in query:
        values.setdefault(name, []).append(value)
    if ORDER in values:
        raise bad(ORDER, "lists have one order, which cannot be changed")
    project = values.pop(PROJECT, None) if resource.key in OF_PROJECT else None
    conditions = [
        condition
        for name, given in values.items()
        if (condition := _condition(resource, name, given, zone)) is not None
    ]
    return Filters(conditions, None if project is None else _project(project[-1]))


def _project(text: str) -> int:
    number = 0 if text == "0" else read_id(text)
    if number is None:
        raise bad(PROJECT, f"{text[:40]!r} is not a whole number")
    return number


def _condition(
    resource: Resource, name: str, values: list[str], zone: ZoneInfo
) -> Condition | None:
    steps = name.split("__")
    field = resource.field(steps[0])
    if field is None:
        return None
    path, field, lookup = _walk(resource, field, name, steps)
    return Condition(path, make_matcher(name, field, lookup, values, zone))


def _walk(
    resource: Resource, field: Field, name: str, steps: list[str]
) -> tuple[tuple[str, ...], Field, str]:
    """Follow relations as far as filters lead."""
    allowed = resource.filtering.get(field.name)
    path = [field.name]
    rest = steps[1:]
    while allowed is not None and rest and rest[0] not in LOOKUPS:
        step = RESOURCES[field.to].field(rest[0]) if allowed == THROUGH and field.to else None
        if step is None:
            raise _not_allowed(resource, name)
        allowed = RESOURCES[field.to].filtering.get(step.name)
        field, rest = step, rest[1:]
        path.append(step.name)
    lookup = rest[0] if rest else EXACT
    if allowed is None or len(rest) > 1 or (allowed == EXACT and lookup != EXACT):
        raise _not_allowed(resource, name)
    return tuple(path), field, lookup


def _not_allowed(resource: Resource, name: str) -> RefusedError:
    known = ", ".join(resource.filtering) or "nothing"
    return bad(name[:80], f"a list of {resource.key} cannot be filtered so; it can by: {known}")
