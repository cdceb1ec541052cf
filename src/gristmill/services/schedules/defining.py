"""Schedules are made and changed one by one, by the same rules as those that a file declares."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gristmill.domain.cron import check_cron
from gristmill.domain.declared import LONGEST_JITTER, Every, Exclude
from gristmill.domain.errors import ConflictError, InvalidInputError, NotFoundError
from gristmill.domain.intervals import find_zone
from gristmill.store.database import Transaction
from gristmill.store.schedules import ScheduleRow, children_of, get_schedules

LONGEST_NAME = 255
LONGEST_TEXT = 4 << 20
MOST_UNITS = 1_000_000
MOST_FAILURES = 1_000_000
MOST_WINDOWS = 1_000
CATCH_UPS = ("skip", "one", "all")
UNITS = ("minute", "hour", "day", "month")


class ScheduleChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to set of a schedule. child_ids: exactly these have it as their parent afterwards.

    every: the whole interval; every_count, every_unit: its halves, where every is not given. With
    one half alone there is no rhythm yet.
    """

    name: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    template_id: int | UnsetType = UNSET
    pool_id: int | UnsetType = UNSET
    parent_id: int | UnsetType | None = UNSET
    child_ids: Sequence[int] | UnsetType = UNSET
    script: str | UnsetType = UNSET
    every: Every | UnsetType | None = UNSET
    every_count: int | UnsetType | None = UNSET
    every_unit: str | UnsetType | None = UNSET
    cron: str | UnsetType | None = UNSET
    timezone: str | UnsetType = UNSET
    jitter: float | UnsetType = UNSET
    catch_up: str | UnsetType = UNSET
    exclude: Sequence[Exclude] | UnsetType = UNSET
    run_on_all_workers: bool | UnsetType = UNSET
    run_children_on_error: bool | UnsetType = UNSET
    disable_after_failures: int | UnsetType | None = UNSET
    notify_text: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


_COLUMNS = (
    "name", "description", "template_id", "pool_id", "script", "cron", "timezone", "jitter",
    "catch_up", "run_on_all_workers", "run_children_on_error", "disable_after_failures", "enabled",
    "every_count", "every_unit",
)  # fmt: skip
_NEW: dict[str, Any] = {
    "name": "", "description": "", "template_id": None, "pool_id": None, "script": "",
    "cron": None, "timezone": "", "jitter": 0.0, "catch_up": "one", "run_on_all_workers": False,
    "run_children_on_error": False, "disable_after_failures": None, "enabled": True,
    "notify": "", "every_count": None, "every_unit": None, "first_run": None,
}  # fmt: skip


def create_schedule(tx: Transaction, change: ScheduleChange, first_run: float | None = None) -> int:
    """Add a schedule that no file declared; return its id."""
    values = _values({**_NEW, "first_run": first_run}, change)
    project = _check(tx, None, values)
    number: int = tx.must("insert_schedule", applied=False, **values)[0]
    _put_windows(tx, number, change)
    _put_family(tx, number, project, change)
    return number


def update_schedule(tx: Transaction, number: int, change: ScheduleChange) -> None:
    """Change a schedule."""
    row = get_schedules(tx, [number]).get(number)
    if row is None:
        raise NotFoundError(f"there is no schedule {number}")
    values = _values({name: getattr(row, name) for name in _NEW}, change)
    project = _check(tx, row, values)
    if values["enabled"] and not row.enabled:
        tx.run("forget_failures", id=number)
    tx.run("update_schedule", id=number, **values)
    _put_windows(tx, number, change)
    _put_family(tx, number, project, change)


def _values(values: dict[str, Any], change: ScheduleChange) -> dict[str, Any]:
    for name in _COLUMNS:
        if getattr(change, name) is not UNSET:
            values[name] = getattr(change, name)
    if change.notify_text is not UNSET:
        values["notify"] = change.notify_text
    if change.every is not UNSET:
        every = change.every
        values["every_count"] = every.count if every else None
        values["every_unit"] = every.unit if every else None
    # A schedule has one rhythm: giving one takes the place of the other.
    given = (change.every, change.every_count, change.every_unit)
    if any(one not in {UNSET, None} for one in given):
        if change.cron in {UNSET, None} and _has_interval(values):
            values["cron"] = None
    elif change.cron not in {UNSET, None}:
        values["every_count"] = values["every_unit"] = None
    return values


def _has_interval(values: dict[str, Any]) -> bool:
    return values["every_count"] is not None and values["every_unit"] is not None


def _check(tx: Transaction, row: ScheduleRow | None, values: dict[str, Any]) -> int:
    """Return the project. Raises InvalidInputError, ConflictError."""
    _check_texts(values)
    _check_rhythm(values)
    failures = values["disable_after_failures"]
    if failures is not None and not 0 <= failures <= MOST_FAILURES:
        raise InvalidInputError(
            f"must be from 0 to {MOST_FAILURES}, not {failures}", "disable_after_failures"
        )
    template, pool = values["template_id"], values["pool_id"]
    found = tx.one("find_template", id=template) if template is not None else None
    if found is None:
        raise _unknown("template", template)
    project: int = found[0]
    if pool is None or tx.one("find_pool", id=pool) is None:
        raise _unknown("pool", pool)
    if tx.one("find_project_pool", project_id=project, pool_id=pool) is None:
        raise InvalidInputError("is not a pool of the template's project", "pool_id")
    same = tx.one("find_schedule", template_id=template, name=values["name"])
    if same is not None and (row is None or same[0] != row.id):
        raise ConflictError(f"the template has a schedule {values['name']!r} already")
    return project


def _unknown(kind: str, number: int | None) -> InvalidInputError:
    text = "is missing" if number is None else f"there is no {kind} {number}"
    return InvalidInputError(text, f"{kind}_id")


def _check_texts(values: dict[str, Any]) -> None:
    if not values["name"].strip():
        raise InvalidInputError("must not be empty", "name")
    limits = {"name": LONGEST_NAME, "timezone": LONGEST_NAME}
    for name in ("name", "description", "script", "notify", "timezone"):
        longest = limits.get(name, LONGEST_TEXT)
        field = "notify_text" if name == "notify" else name
        if len(values[name]) > longest:
            raise InvalidInputError(f"is longer than {longest} characters", field)
        if "\0" in values[name] or not _encodable(values[name]):
            raise InvalidInputError("holds a character that cannot be stored", field)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_rhythm(values: dict[str, Any]) -> None:
    count, unit, cron = values["every_count"], values["every_unit"], values["cron"]
    if _has_interval(values) and cron is not None:
        raise InvalidInputError("give either every or cron, not both", "cron")
    if (count is not None and not 1 <= count <= MOST_UNITS) or unit not in {None, *UNITS}:
        raise InvalidInputError(
            f"must be from 1 to {MOST_UNITS} of {', '.join(UNITS)}, not {count} {unit}", "every"
        )
    if cron is not None:
        try:
            check_cron(cron)
        except InvalidInputError as error:
            raise InvalidInputError(str(error), "cron") from error
    if values["timezone"]:
        find_zone(values["timezone"])
    if not 0 <= values["jitter"] <= LONGEST_JITTER:
        raise InvalidInputError(f"must be from 0 to {LONGEST_JITTER:g} seconds", "jitter")
    if values["catch_up"] not in CATCH_UPS:
        raise InvalidInputError(f"must be one of {', '.join(CATCH_UPS)}", "catch_up")


def _put_windows(tx: Transaction, number: int, change: ScheduleChange) -> None:
    windows = change.exclude
    if windows is UNSET:
        return
    if len(windows) > MOST_WINDOWS:
        raise InvalidInputError(f"at most {MOST_WINDOWS} windows", "exclude")
    for window in windows:
        if window.start > window.end:
            raise InvalidInputError(
                f"from {window.start} comes after to {window.end}: "
                "a window over midnight is written as two",
                "exclude",
            )
    tx.run("delete_schedule_excludes", schedule_id=number)
    tx.many(
        "insert_schedule_excludes",
        [(number, place, one.start, one.end, one.note) for place, one in enumerate(windows)],
    )


def _put_family(tx: Transaction, number: int, project: int, change: ScheduleChange) -> None:
    if change.parent_id is not UNSET:
        if change.parent_id is not None:
            _check_relative(tx, change.parent_id, project, "parent_id")
            _check_line(tx, number, change.parent_id, "parent_id")
        tx.run("set_schedule_parent", id=number, parent_id=change.parent_id)
    if change.child_ids is not UNSET:
        wanted = list(dict.fromkeys(change.child_ids))
        for child, _ in children_of(tx, [number])[number]:
            if child not in wanted:
                tx.run("set_schedule_parent", id=child, parent_id=None)
        for child in wanted:
            _check_relative(tx, child, project, "child_ids")
            _check_line(tx, child, number, "child_ids")
            tx.run("set_schedule_parent", id=child, parent_id=number)
    if change.template_id is not UNSET:
        _check_family_stays(tx, number, project)


def _check_relative(tx: Transaction, number: int, project: int, field: str) -> None:
    row = get_schedules(tx, [number]).get(number)
    if row is None:
        raise InvalidInputError(f"there is no schedule {number}", field)
    if row.project_id != project:
        raise InvalidInputError(f"schedule {number} belongs to another project", field)


def _check_line(tx: Transaction, child: int, parent: int, field: str) -> None:
    """Raise InvalidInputError when the child is the parent or an ancestor of it."""
    here: int | None = parent
    while here is not None:
        if here == child:
            raise InvalidInputError(
                f"schedule {child} is the parent itself or comes before it", field
            )
        row = get_schedules(tx, [here]).get(here)
        here = row.parent_id if row else None


def _check_family_stays(tx: Transaction, number: int, project: int) -> None:
    row = get_schedules(tx, [number])[number]
    relatives = [child for child, _ in children_of(tx, [number])[number]]
    if row.parent_id is not None:
        relatives.append(row.parent_id)
    for relative in relatives:
        _check_relative(tx, relative, project, "template_id")
