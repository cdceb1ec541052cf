"""How a filter compares: ``title__startswith=a``, ``id__in=1,2``, ``worker__isnull=true``."""

import operator
from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import re2

from gristmill.dialects.job_runner.errors import bad
from gristmill.dialects.job_runner.moments import read_moment, write_moment
from gristmill.dialects.job_runner.resources import Field
from gristmill.dialects.job_runner.uris import read_id, read_uri

Matches = Callable[[Any], bool]
Parse = Callable[[str], Any]

EXACT = "exact"
_BOOLEANS = {"true": True, "True": True, "1": True, "false": False, "False": False, "0": False}

_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    EXACT: operator.eq,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_PARTS = {"year": slice(0, 4), "month": slice(5, 7), "day": slice(8, 10)}
"""Of a moment as it is written."""

_DATES = frozenset({*_PARTS, "week_day"})
_PATTERNS = frozenset({"regex", "iregex"})
LOOKUPS = frozenset(
    {*_ORDER, *_TEXT, *(f"i{name}" for name in _TEXT), *_DATES, *_PATTERNS}
    | {"iexact", "in", "range", "isnull"}
)

LONGEST_PATTERN = 1000
_PATTERN_MEMORY = 1 << 20
"""Bytes a pattern may take once it is read: some grow large from little text."""


class Kind(NamedTuple):
    """How values of a field are read from text, and how they are written for text lookups."""

    parse: Parse
    write: Callable[[Any], str]


def make_matcher(
    name: str, field: Field, lookup: str, values: list[str], zone: ZoneInfo
) -> Matches:
    """Return the comparison with the last of the given values.

    What compares to nothing (null) fits only ``isnull``. Raises RefusedError naming the filter.
    """
    kind, text = _kind(name, field, zone), values[-1]
    if lookup == "isnull":
        wanted = _boolean(name, text)
        return lambda value: (value is None) == wanted
    return _unless_null(_comparison(name, field, kind, lookup, values))


def _comparison(name: str, field: Field, kind: Kind, lookup: str, values: list[str]) -> Matches:
    text = values[-1]
    if lookup == "in":
        chosen = {kind.parse(part) for part in ",".join(values).split(",")}
        return lambda value: value in chosen
    if lookup == "range":
        low, comma, high = text.partition(",")
        if not comma:
            raise bad(name, "a range is two values with a comma between them")
        least, most = kind.parse(low), kind.parse(high)
        return lambda value: bool(least <= value <= most)
    if lookup in _ORDER:
        compare, operand = _ORDER[lookup], kind.parse(text)
        return lambda value: bool(compare(value, operand))
    if lookup in _DATES:
        return _part(name, field, kind, lookup, text)
    if lookup in _PATTERNS:
        pattern = _pattern(name, lookup, text)
        return lambda value: pattern.search(kind.write(value)) is not None
    return _as_text(kind, lookup, text)


def _part(name: str, field: Field, kind: Kind, lookup: str, text: str) -> Matches:
    if field.type != "datetime" or not (text.isascii() and text.isdigit() and len(text) < 5):
        raise bad(name, f"{lookup} is a number, and only of dates")
    number = int(text)
    if lookup == "week_day":
        return lambda value: _week_day(kind.write(value)) == number
    part = _PARTS[lookup]
    return lambda value: int(kind.write(value)[part]) == number


def _week_day(written: str) -> int:
    """Return the day of the week, from 1 for Sunday to 7 for Saturday."""
    return date.fromisoformat(written[:10]).isoweekday() % 7 + 1


def _pattern(name: str, lookup: str, text: str) -> Any:
    """Return a regular expression that is searched for in time linear in the text."""
    options = re2.Options()
    options.case_sensitive = lookup == "regex"
    options.max_mem, options.log_errors = _PATTERN_MEMORY, False
    if len(text) > LONGEST_PATTERN:
        raise bad(name, f"a pattern has at most {LONGEST_PATTERN} characters")
    try:
        return re2.compile(text, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise bad(name, f"{text[:40]!r} is no regular expression of RE2: {error}") from None


def _as_text(kind: Kind, lookup: str, text: str) -> Matches:
    if lookup == "iexact":
        folded = text.casefold()
        return lambda value: kind.write(value).casefold() == folded
    if lookup in _TEXT:
        compare = _TEXT[lookup]
        return lambda value: bool(compare(kind.write(value), text))
    compare, folded = _TEXT[lookup[1:]], text.casefold()
    return lambda value: bool(compare(kind.write(value).casefold(), folded))


def _unless_null(matches: Matches) -> Matches:
    return lambda value: value is not None and matches(value)


def _kind(name: str, field: Field, zone: ZoneInfo) -> Kind:
    if field.type == "string":
        return Kind(str, str)
    if field.type == "boolean":
        return Kind(lambda text: _boolean(name, text), str)
    if field.type == "datetime":
        return Kind(lambda text: _moment(name, text, zone), lambda at: write_moment(at, zone) or "")
    if field.type == "related":
        return Kind(lambda text: _related(name, field, text), str)
    return Kind(lambda text: _integer(name, text), str)


def _boolean(name: str, text: str) -> bool:
    if text not in _BOOLEANS:
        raise bad(name, f"{text[:40]!r} is neither true nor false")
    return _BOOLEANS[text]


def _moment(name: str, text: str, zone: ZoneInfo) -> float:
    try:
        return read_moment(text, zone)
    except ValueError:
        raise bad(name, f"{text[:40]!r} is not a date and time") from None


def _related(name: str, field: Field, text: str) -> int:
    return read_uri(name, text, field.to) if "/" in text else _integer(name, text)


def _integer(name: str, text: str) -> int:
    number = 0 if text == "0" else read_id(text)
    if number is None:
        raise bad(name, f"{text[:40]!r} is not a whole number")
    return number
