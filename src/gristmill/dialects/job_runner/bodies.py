"""The body of a POST, PUT or PATCH: a JSON object, each known field checked by its type."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from gristmill.dialects.job_runner.errors import RefusedError, bad
from gristmill.dialects.job_runner.exchange import Request
from gristmill.dialects.job_runner.moments import read_moment
from gristmill.dialects.job_runner.resources import Field, FieldType, Resource
from gristmill.dialects.job_runner.uris import read_uri

LARGEST_INTEGER = (1 << 31) - 1
MOST_RELATIONS = 10_000
LONGEST_SHOWN = 80
CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "us-ascii": "ascii", "ascii": "ascii",
            "iso-8859-1": "latin-1", "latin-1": "latin-1"}  # fmt: skip
ANY_TEXT = frozenset({"content"})
"""Fields that hold whatever a program printed, null characters included."""

_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9_-]+)\"?", re.IGNORECASE)

Fields = Mapping[str, Any]


def read_object(request: Request) -> dict[str, Any]:
    """Return the body as it came. Raises RefusedError."""
    try:
        document = msgspec.json.decode(_text(request))
    except (msgspec.DecodeError, ValueError) as error:
        raise RefusedError(400, f"the body is not JSON: {error}") from error
    except RecursionError:
        raise RefusedError(400, "the body is nested too deeply") from None
    if not isinstance(document, dict):
        raise RefusedError(400, 'the body must be a JSON object, such as {"pid": 42}')
    return document


def _text(request: Request) -> str:
    content_type = request.text(b"content-type") or "application/json"
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise bad("Content-Type", f"{content_type[:LONGEST_SHOWN]!r} is not application/json")
    found = _CHARSET.search(content_type)
    charset = CHARSETS.get(found.group(1).lower()) if found else "utf-8"
    if charset is None:
        raise bad("Content-Type", f"the charset is none of {', '.join(CHARSETS)}")
    return request.body.decode(charset)


def read_fields(resource: Resource, document: Mapping[str, Any], zone: ZoneInfo) -> Fields:
    """Return the fields that may be written, by name: moments as epoch seconds, relations as ids.

    Unknown fields are left out. Raises RefusedError naming the field.
    """
    return {
        field.name: _read(field, document[field.name], zone)
        for field in resource.fields
        if field.written and field.name in document
    }


def require(resource: Resource, fields: Fields) -> None:
    """Raise RefusedError unless everything is there that a new object needs."""
    for field in resource.fields:
        if field.required and field.name not in fields:
            raise bad(field.name, "is missing")


def _read(field: Field, value: Any, zone: ZoneInfo) -> Any:
    if value is None:
        if not field.nullable:
            raise bad(field.name, "must not be null")
        return () if field.many else None
    if field.many:
        return _many(field, value)
    if field.type == "related":
        return read_uri(field.name, value, field.to)
    if field.type == "datetime":
        return _moment(field.name, value, zone)
    return _READERS[field.type](field.name, value)


def _many(field: Field, value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or len(value) > MOST_RELATIONS:
        raise bad(field.name, f"must be a list of at most {MOST_RELATIONS} URIs")
    return tuple(dict.fromkeys(read_uri(field.name, one, field.to) for one in value))


def _moment(name: str, value: Any, zone: ZoneInfo) -> float:
    try:
        return read_moment(value, zone)
    except (ValueError, TypeError, AttributeError):
        raise bad(name, f"{_shown(value)} is not a date and time") from None


def _string(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise bad(name, f"{_shown(value)} is not a string")
    if "\x00" in value and name not in ANY_TEXT:
        raise bad(name, "must not hold a null character")
    return value


def _integer(name: str, value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise bad(name, f"{_shown(value)} is not a whole number")
    if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        raise bad(name, f"{_shown(value)} is too large")
    return value


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise bad(name, f"{_shown(value)} is neither true nor false")
    return value


_READERS: dict[FieldType, Callable[[str, Any], Any]] = {
    "string": _string,
    "integer": _integer,
    "boolean": _boolean,
}


def _shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()[:LONGEST_SHOWN]
