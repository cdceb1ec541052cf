"""What a list is asked for."""

from enum import Enum
from typing import NamedTuple

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.exchange import Query, whole
from gristmill.dialects.prominence.states import PENDING, RUNNING

_STATUSES = {"idle": PENDING, PENDING: PENDING, RUNNING: RUNNING}


class Selection(Enum):
    """Which part of everything there is."""

    CURRENT = "current"
    ENDED = "ended"
    ALL = "all"


class Filter(NamedTuple):
    """One list's parameters.

    most: how many of the ended ones, None for all of them. ids: these alone, whatever became of
    them; with of_workflow, the jobs of these workflows. status: one of the active statuses.
    """

    selection: Selection
    most: int | None
    ids: tuple[int, ...] | None
    of_workflow: bool
    status: str | None
    name: str | None
    labels: tuple[tuple[str, str], ...]
    detail: bool


def parse_filter(query: Query) -> Filter:
    """Read the query string. Raises RefusedError."""
    selection = Selection.CURRENT
    if "all" in query:
        selection = Selection.ALL
    elif query.first("completed") == "true":
        selection = Selection.ENDED
    number = query.integer("num", 1)
    ids = parse_ids(query.first("id"), "id") if query.first("id") else None
    of_workflow = ids is not None and query.first("workflow") == "true"
    unlimited = number < 0 or of_workflow
    return Filter(
        selection=selection,
        most=None if unlimited else number,
        ids=ids,
        of_workflow=of_workflow,
        status=_status(query),
        name=query.first("name") or None,
        labels=tuple(map(_label, query.every("constraint"))),
        detail="detail" in query,
    )


def parse_ids(text: str, name: str) -> tuple[int, ...]:
    """Return a comma list of ids. Raises RefusedError."""
    return tuple(dict.fromkeys(whole(part.strip(), name) for part in text.split(",")))


def _status(query: Query) -> str | None:
    if "status" not in query:
        return None
    status = _STATUSES.get(query.first("status"))
    if status is None:
        raise bad("invalid status specified")
    return status


def _label(constraint: str) -> tuple[str, str]:
    key, separator, value = constraint.partition("=")
    if not separator or "=" in value:
        raise bad("Invalid constraint")
    return key, value
