"""Memory and time as wr's clients write them, with the errors they know."""

import re

from gristmill.dialects.wr.errors import RefusedError, bad_job
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.units import parse_duration, parse_size_mb

_NOT_POSITIVE = (
    "byte quantity must be a positive integer with a unit of measurement "
    "like M, MB, MiB, G, GiB, or GB"
)
_MEMORY = re.compile(r"\s*[0-9]*\.?[0-9]*\s*([BKMGTPE]|[KMGTPE]I?B)\s*", re.IGNORECASE)
_ALL_ZERO = re.compile(r"[\s0.]*[A-Za-z\s]*")
_BARE = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)+")
_UNIT = re.compile(r"[0-9.]+([^0-9.]+)")
_UNITS = frozenset({"ns", "us", "µs", "μs", "ms", "s", "m", "h"})


def memory_mb(text: str) -> int:
    """Turn ``1.5G`` into whole megabytes, rounding down. Raises RefusedError."""
    if not _MEMORY.fullmatch(text) or _ALL_ZERO.fullmatch(text):
        raise _wrong_memory(text)
    try:
        return parse_size_mb(text)
    except InvalidInputError:
        raise _wrong_memory(text) from None


def _wrong_memory(text: str) -> RefusedError:
    return bad_job(f"memory value ({text[:80]}) was not specified correctly: {_NOT_POSITIVE}")


def seconds(text: str) -> float:
    """Turn Go's ``1h30m`` into seconds. Raises RefusedError."""
    unsigned = text.removeprefix("+")
    value: float | None
    try:
        value = parse_duration(unsigned, go=True)
    except InvalidInputError:
        value = None
    if value is None or unsigned != unsigned.strip():
        raise _wrong_time(text, _why_not(unsigned, text))
    return value


def _wrong_time(text: str, why: str) -> RefusedError:
    return bad_job(f"time value ({text[:80]}) was not specified correctly: {why}")


def _why_not(unsigned: str, text: str) -> str:
    quoted = f'"{text[:80]}"'
    if _BARE.fullmatch(unsigned):
        return f"time: missing unit in duration {quoted}"
    unknown = next((unit for unit in _UNIT.findall(unsigned) if unit not in _UNITS), None)
    if unknown is not None and not unsigned.startswith("-"):
        return f'time: unknown unit "{unknown[:80]}" in duration {quoted}'
    return f"time: invalid duration {quoted}"
