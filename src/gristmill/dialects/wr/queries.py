"""The query string: read strictly, and as the defaults of a POST's jobs."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from gristmill.dialects.wr.errors import RefusedError, bad_job
from gristmill.dialects.wr.requests import explain, lenient
from gristmill.dialects.wr.wire import JobRequest

T = TypeVar("T")
_HEX = frozenset(b"0123456789abcdefABCDEF")
_TEXTS = (
    "cwd", "rep_grp", "req_grp", "monitor_docker", "memory", "time", "cloud_flavor", "cloud_os",
    "cloud_username", "cloud_script", "cloud_config_files",
)  # fmt: skip
_LISTS = ("dep_grps", "deps", "env")
_FLAGS = ("cwd_matters", "change_home", "rerun")
_INTEGERS = ("disk", "override", "priority", "retries", "cloud_ram")
_STRUCTURES = ("mounts", "on_failure", "on_success", "on_exit")
_ZERO_TIME = frozenset({"0", "0s"})


class Query:
    """Parameters by name; of one given twice the first counts."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def get(self, name: str) -> str:
        """Return a value, empty when it is not given."""
        return self._values.get(name, "")

    def has(self, name: str) -> bool:
        """Whether the parameter is there at all."""
        return name in self._values

    def flag(self, name: str) -> bool:
        """Whether the value is literally ``true``."""
        return self._values.get(name) == "true"


def parse_query(text: bytes) -> Query:
    """Decode a query string. Raises RefusedError."""
    values: dict[str, str] = {}
    for part in text.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            values.setdefault(_unescape(name), _unescape(value))
    return Query(values)


def _unescape(text: bytes) -> str:
    if b";" in text:
        raise _unreadable("invalid semicolon separator in query")
    first, *escaped = text.replace(b"+", b" ").split(b"%")
    decoded = bytearray(first)
    for piece in escaped:
        if len(piece) < 2 or not _HEX.issuperset(piece[:2]):
            raise _unreadable(f'invalid URL escape "%{piece[:2].decode("latin-1")}"')
        decoded.append(int(piece[:2], 16))
        decoded += piece[2:]
    try:
        return decoded.decode()
    except UnicodeDecodeError:
        raise _unreadable("invalid UTF-8 in query") from None


def _unreadable(why: str) -> RefusedError:
    return RefusedError(400, f"form parsing error: {why}")


def limit_of(query: Query) -> int | None:
    """Return how many similar jobs to show, None for all. Raises RefusedError."""
    text = query.get("limit")
    if not text:
        return None
    value = _integer(text)
    if value is None:
        raise RefusedError(400, f"limit value ({text[:80]}) is not an integer")
    return value if value > 0 else None


def job_defaults(query: Query) -> JobRequest:
    """Return what holds for the jobs that do not say otherwise. Raises RefusedError."""
    fields: dict[str, Any] = {}
    for name in _TEXTS:
        fields[name] = query.get(name) or None
    for name in _LISTS:
        fields[name] = [item for item in query.get(name).split(",") if item] or None
    for name in _FLAGS:
        fields[name] = query.flag(name) or None
    for name in _INTEGERS:
        if query.has(name):
            fields[name] = _integer(query.get(name)) or 0
    if query.has("cpus"):
        fields["cpus"] = max(0.0, _float(query.get("cpus")))
    for name in _STRUCTURES:
        if query.get(name):
            fields[name] = _structure(name, query.get(name))
    if query.get("time") in _ZERO_TIME:
        fields["time"] = None
    return _converted(fields)


def _converted(fields: Mapping[str, Any]) -> JobRequest:
    try:
        return msgspec.convert(fields, JobRequest)
    except msgspec.ValidationError as error:
        raise bad_job(explain(error)) from error


def _integer(text: str) -> int | None:
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        return None
    return int(text)


def _float(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if value == value and abs(value) != float("inf") else 0.0


def _structure(name: str, text: str) -> Any:
    """Read JSON text; some clients escape it twice."""
    value = _tried(_json, text)
    if value is None:
        value = _tried(_json, _tried(_unescape_text, text))
    if value is None:
        raise bad_job(f"{name} value ({text[:200]}) is not a JSON array")
    return lenient({name: value})[name]


def _tried(work: Callable[[str], T], text: str | None) -> T | None:
    if text is None:
        return None
    try:
        return work(text)
    except (msgspec.DecodeError, RefusedError, RecursionError):
        return None


def _json(text: str) -> list[Any]:
    return msgspec.json.decode(text, type=list[Any])


def _unescape_text(text: str) -> str:
    return _unescape(text.encode())
