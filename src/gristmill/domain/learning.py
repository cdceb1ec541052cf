"""What a kind of work really needs, learned from what it used.

Jobs of one bucket are expected to need alike. For each resource the distinct observed values are
kept; the advice is a high one of them, not thrown off by a few outliers.
"""

import math
from bisect import insort
from collections.abc import Sequence
from enum import IntEnum

FEW = 5
"""Up to so many observations the largest is the advice; of more, as many are outliers."""

MANY = 100
OUTLIER_SHARE = 0.05
"""Of more than MANY observations, this share at the top counts as outliers."""

LARGE_MEMORY = 8192
HOUR = 3600.0


class Resource(IntEnum):
    """What is learned. The numbers are stored; never renumber."""

    MEMORY = 1
    DISK = 2
    TIME = 3


ROUNDING = {Resource.MEMORY: 100, Resource.DISK: 100, Resource.TIME: 1}
"""Megabytes and seconds to which advice is rounded up."""


class Override(IntEnum):
    """How a request and the advice come together."""

    ADVICE = 0
    LARGER = 1
    REQUEST = 2


def observe(values: list[int], value: int) -> bool:
    """Insert a value into the sorted distinct values; return whether it was new."""
    if value in values:
        return False
    insort(values, value)
    return True


def advise(values: Sequence[int], rounding: int) -> int | None:
    """Return the advice from sorted distinct values, None when there are none."""
    count = len(values)
    if count == 0:
        return None
    largest = values[-1]
    if count <= FEW:
        chosen = largest
    elif count <= MANY:
        chosen = values[count - FEW - 1]
    else:
        chosen = values[count - math.floor(OUTLIER_SHARE * count) - 1]
    if largest - chosen < rounding:
        chosen = largest
    return math.ceil(max(chosen, rounding) / rounding) * rounding


def settle(request: int, advice: int | None, override: Override, *, given: bool = True) -> int:
    """Return what to reckon with. given: whether the request was made or is a default."""
    if advice is None:
        return request
    if override is Override.REQUEST and given:
        return request
    if override is Override.LARGER:
        return max(request, advice)
    return advice


def raised_memory(peak: int, now: int) -> int:
    """Return the megabytes to try next after memory ran out."""
    factor = 1.3 if peak > LARGE_MEMORY else 2.0
    wanted = max(math.ceil(peak * factor), peak + 1000)
    return max(now, math.ceil(wanted / 100) * 100)


def raised_time(last: float, now: float) -> float:
    """Return the seconds to expect next after time ran out."""
    return max(now, last + HOUR)


def raised_disk(peak: int, now: int) -> int:
    """Return the megabytes of disk to try next after disk ran out."""
    return max(now, math.ceil(peak * 1.3))
