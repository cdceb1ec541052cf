"""Times as MLBench writes and reads them; ours are microseconds since 1970."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

MICRO = 1_000_000
_LENGTH = len("2018-08-03T09:21:44.331823Z")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION_AT = len("2018-08-03T09:21:44")
_FIRST_SECOND = int((datetime.min.replace(tzinfo=UTC) - _EPOCH).total_seconds())
_LAST_SECOND = int((datetime.max.replace(microsecond=0, tzinfo=UTC) - _EPOCH).total_seconds())
_DATE = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.(\d+))?\s*(Z|[+-]\d\d:?\d\d)?)?\Z", re.ASCII
)


def write(at: int) -> str:
    """Return the time with six digits of fraction, in UTC."""
    seconds, micros = divmod(at, MICRO)
    if not _FIRST_SECOND <= seconds <= _LAST_SECOND:
        seconds, micros = (_LAST_SECOND, MICRO - 1) if at > 0 else (_FIRST_SECOND, 0)
    return f"{_second(seconds)}.{micros:06d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    """Return a time without its fraction: what comes together is often of the same second."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat(timespec="seconds")[:_FRACTION_AT]


def write_seconds(at: float | None) -> str | None:
    """Return a time given in seconds."""
    return None if at is None else write(round(at * MICRO))


def read_usual(text: str, now: float) -> int | None:
    """Return the time of a text as ``write`` makes it, or now for none; None for any other."""
    if not text:
        return round(now * MICRO)
    if len(text) != _LENGTH or text[-1] != "Z" or text[10] != "T" or text[19] != ".":
        return None
    try:
        since = datetime.fromisoformat(text) - _EPOCH
    except ValueError:
        return None
    return (since.days * 86_400 + since.seconds) * MICRO + since.microseconds


def read(text: str) -> int | None:
    """Return microseconds since 1970, None when this is no time; without a zone it is UTC."""
    found = _DATE.match(text.strip())
    if found is None:
        return None
    day, time, fraction, zone = found.groups()
    zone = "+00:00" if zone in {None, "Z"} else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{time or '00:00'}{zone}")
    except ValueError:
        return None
    since = moment - _EPOCH
    micros = int((fraction or "")[:6].ljust(6, "0"))
    return (since.days * 86_400 + since.seconds) * MICRO + micros
