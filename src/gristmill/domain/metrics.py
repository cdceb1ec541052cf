"""Metric points: what they are, and how many become few."""

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import msgspec

Source = Annotated[str, msgspec.Meta(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]*\Z")]
"""Who a series belongs to: ``job:17``, or a name of the owner's choice."""

SeriesName = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[^\x00]*\Z")]
Moment = Annotated[int, msgspec.Meta(ge=-(1 << 62), le=1 << 62)]
"""Microseconds since 1970."""

JOB = "job:"


class Point(NamedTuple):
    """One measurement. at: microseconds since 1970. value: text, as it was sent."""

    at: int
    value: str
    metadata: str = ""
    cumulative: bool = False


class NewPoint(NamedTuple):
    """A point and the series it goes to."""

    source: str
    name: str
    point: Point


def number(text: str) -> float | None:
    """Return the number that a value spells, None when it is none."""
    if "_" in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def group_size(points: int, groups: int) -> int:
    """Return how many consecutive points become one so that at most groups remain; 1: none."""
    if groups < 1 or points <= groups:
        return 1
    return -(-points // groups)


def spell(value: float) -> str:
    """Return the text of a mean."""
    return repr(value)


def mean(values: Sequence[float]) -> float:
    """Return the mean; of infinities of both signs, nan."""
    try:
        return math.fsum(values) / len(values)
    except (OverflowError, ValueError):
        return sum(values) / len(values)


def job_of(source: str) -> int | None:
    """Return the job whose source this is, None for another source."""
    digits = source.removeprefix(JOB)
    if digits == source or not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        return None
    return int(digits) if str(int(digits)) == digits else None


def source_of_job(job: int) -> str:
    """Return the name of a job's source."""
    return f"{JOB}{job}"
