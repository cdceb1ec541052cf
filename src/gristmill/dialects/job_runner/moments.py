"""Moments on the wire: ISO 8601 without an offset, in the zone the server was given.

Inside, a moment is epoch seconds; whole microseconds survive the way there and back.
"""

import re
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEARS = range(1900, 9000)
"""Far enough from where calendars end that every zone has such a moment."""

_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)


def write_moment(moment: float | None, zone: ZoneInfo) -> str | None:
    """Return a moment as clients read it: ``2026-01-02T04:04:05.123456``."""
    if moment is None:
        return None
    return (EPOCH + timedelta(microseconds=round(moment * 1e6))).astimezone(zone).replace(
        tzinfo=None
    ).isoformat()  # fmt: skip


def read_moment(text: str, zone: ZoneInfo) -> float:
    """Return epoch seconds; text without an offset is local time. Raises ValueError."""
    found = _MOMENT.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    year, month, day, hour, minute, second, fraction, offset = found.groups()
    microsecond = int((fraction or "").ljust(6, "0")[:6])
    clock = (int(hour or 0), int(minute or 0), int(second or 0), microsecond)
    moment = datetime(int(year), int(month), int(day), *clock, tzinfo=_zone(offset, zone))
    if not YEARS.start <= moment.year < YEARS.stop:
        raise ValueError(text)
    return (moment - EPOCH) // timedelta(microseconds=1) / 1e6


def _zone(offset: str | None, zone: ZoneInfo) -> timezone | ZoneInfo:
    if offset is None:
        return zone
    if offset == "Z":
        return UTC
    digits = offset[1:].replace(":", "").ljust(4, "0")
    hours, minutes = int(digits[:2]), int(digits[2:])
    if hours > 23 or minutes > 59:
        raise ValueError(offset)
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(-ahead if offset[0] == "-" else ahead)
