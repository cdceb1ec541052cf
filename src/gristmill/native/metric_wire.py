"""The shapes of /v1/metrics."""

from datetime import datetime

import msgspec

from gristmill.domain.job import JobId
from gristmill.domain.metrics import SeriesName, Source


class PointBody(msgspec.Struct, forbid_unknown_fields=True):
    """One point. Give job or source. at: ISO 8601, or seconds since 1970; absent for now."""

    name: SeriesName
    value: str | int | float
    job: JobId | None = None
    source: Source | None = None
    at: datetime | float | None = None
    metadata: str = ""
    cumulative: bool = False


class Recorded(msgspec.Struct):
    """How many points are on disk now."""

    recorded: int


class PointView(msgspec.Struct):
    """One point; the value is the text that was sent, or a mean."""

    at: datetime
    value: str
    metadata: str
    cumulative: bool


class SeriesView(msgspec.Struct):
    """Points by series."""

    source: str
    series: dict[str, list[PointView]]


class SourcesView(msgspec.Struct):
    """Names of sources."""

    sources: list[str]


class NamesView(msgspec.Struct):
    """Names of the series of a source."""

    source: str
    names: list[str]
