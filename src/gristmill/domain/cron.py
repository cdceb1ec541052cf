"""The five fields of a cron line: whether they can be read, and when they come next."""

import re
from datetime import datetime
from functools import lru_cache

from cronsim import CronSim, CronSimError

from gristmill.domain.errors import InvalidInputError

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of week", 0, 7, {name: number for number, name in enumerate(_DAYS)}),
)
_ANY_TIME = datetime(2000, 1, 1)
_ITEM = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/([0-9]{1,4}))?", re.ASCII)


def check_cron(line: str) -> None:
    """Raise InvalidInputError unless line is five cron fields: ``30 3 * * mon-fri``.

    A day that no month has, such as the 30th of February, is refused too.
    """
    words = line.split()
    if len(words) != len(_FIELDS):
        raise InvalidInputError(
            f"{line!r} has {len(words)} fields, a cron line has five: "
            "minute, hour, day of month, month, day of week"
        )
    for word, (name, lowest, highest, names) in zip(words, _FIELDS, strict=True):
        for item in word.split(","):
            if not _fits(item, lowest, highest, names):
                raise InvalidInputError(
                    f"{item!r} is no {name} of a cron line ({lowest} to {highest}, "
                    "a range such as 1-5, or * with a step such as */10)"
                )
    if cron_after(line, _ANY_TIME) is None:
        raise InvalidInputError(f"{line!r} names a day that never comes")


def cron_after(line: str, after: datetime) -> datetime | None:
    """Return the first time after the given one, in its time zone; None when none ever comes.

    A time that the clock skips comes right after the gap, one that it shows twice the first time.
    """
    try:
        return next(CronSim(_lower(line), after))
    except (CronSimError, StopIteration, OverflowError):
        return None


@lru_cache(maxsize=1024)
def _lower(line: str) -> str:
    return " ".join(line.lower().split())


def _fits(item: str, lowest: int, highest: int, names: dict[str, int]) -> bool:
    match = _ITEM.fullmatch(item)
    if match is None:
        return False
    first, last, step = match.groups()
    if step is not None and int(step) == 0:
        return False
    if first is None:
        return True
    start = _number(first, names)
    end = _number(last, names) if last is not None else start
    if start is None or end is None:
        return False
    return lowest <= start <= end <= highest


def _number(word: str, names: dict[str, int]) -> int | None:
    if word.isdecimal() and len(word) <= 2:
        return int(word)
    return names.get(word.lower())
