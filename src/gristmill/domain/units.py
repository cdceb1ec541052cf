"""Durations and sizes as people write them, to seconds and megabytes."""

import math
import re

from gristmill.domain.errors import InvalidInputError

_DURATION_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_GO_UNITS = frozenset({"ns", "us", "µs", "μs", "ms", "s", "m", "h"})
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([a-zµμ]+)", re.ASCII)
_SIZE = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([A-Za-z]*)\s*", re.ASCII)
_SIZE_UNITS = {
    f"{letter}{tail}": 1024**power
    for power, letter in enumerate(("", "k", "m", "g", "t", "p", "e"))
    for tail in ("", "b", "ib")
    if letter or tail != "ib"
}
LONGEST = 1e12
"""Seconds and megabytes beyond this are a mistake, not a wish."""


def parse_duration(text: str, *, go: bool = False) -> float:
    """Turn ``1h30m``, ``90s`` or ``2d`` into seconds; a bare number is seconds.

    go: accept only what Go's time.ParseDuration does (no days, no bare number but 0).
    Raises InvalidInputError.
    """
    stripped = text.strip()
    if stripped == "0":
        return 0.0
    bare = _bare_number(stripped)
    if bare is not None and not go:
        return bare
    seconds, end = 0.0, 0
    while match := _PART.match(stripped, end):
        unit = match.group(2)
        if unit not in _DURATION_UNITS or (go and unit not in _GO_UNITS):
            raise InvalidInputError(f"unknown unit {unit!r} in duration {text!r}")
        seconds += float(match.group(1)) * _DURATION_UNITS[unit]
        end = match.end()
    if end == 0 or end != len(stripped):
        raise InvalidInputError(f"{text!r} is not a duration such as 30s, 1h30m or 1.5h")
    return _bounded(seconds, text)


def parse_size_mb(text: str) -> int:
    """Turn ``1G``, ``512 MiB`` or ``1.5gb`` into whole megabytes, rounding down.

    All units are powers of 1024 and a unit is required. Raises InvalidInputError.
    """
    match = _SIZE.fullmatch(text)
    unit = match.group(2).lower() if match else ""
    if not match or unit not in _SIZE_UNITS or not unit:
        raise InvalidInputError(
            f"{text!r} is not a size such as 512M, 3G or 1.5GiB (a unit is required)"
        )
    return int(_bounded(float(match.group(1)) * _SIZE_UNITS[unit] / 1024**2, text))


def format_duration(seconds: float) -> str:
    """Write seconds for people: ``0.4s``, ``12s``, ``3m05s``, ``2h10m``, ``3d04h``."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def format_size_mb(megabytes: float) -> str:
    """Write megabytes for people: ``512M``, ``1.5G``."""
    value = float(megabytes)
    for unit in "MGTPE":
        if value < 1024 or unit == "E":
            return (
                f"{value:.0f}{unit}" if value >= 10 or value == int(value) else f"{value:.1f}{unit}"
            )
        value /= 1024
    raise AssertionError(megabytes)


def _bare_number(text: str) -> float | None:
    if "_" in text or not text.isascii():
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return _bounded(value, text)


def _bounded(value: float, text: str) -> float:
    if not math.isfinite(value) or not 0 <= value <= LONGEST:
        raise InvalidInputError(f"{text!r} is out of range")
    return value
