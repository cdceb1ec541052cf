"""The shapes of tables, models, notebooks, scripts and tasks under /v1."""

from datetime import datetime
from typing import Any

import msgspec


class DataView(msgspec.Struct):
    """An object. kind: dataset, model, notebook or script. job: that wrote it last, if one did."""

    kind: str
    name: str
    bucket: str
    format: str
    version: int
    created_at: datetime
    modified_at: datetime
    job: int | None


class DataList(msgspec.Struct):
    """A page of objects by name; total counts all. Names that begin with . or _ are left out."""

    objects: list[DataView]
    total: int
    offset: int


class ColumnView(msgspec.Struct):
    """A column of a table."""

    name: str
    dtype: str


class DatasetView(msgspec.Struct):
    """A table, or documents: then rows counts these. size: bytes stored.

    kind: pandas.dfrows, or python.data for documents.
    """

    name: str
    bucket: str
    kind: str
    rows: int
    size: int
    columns: list[ColumnView]
    version: int
    created_at: datetime
    modified_at: datetime


class SourceView(msgspec.Struct):
    """A table that a version was made from. role: datax or datay. select: its projection."""

    role: str
    name: str
    version: int
    select: str | None


class VersionView(msgspec.Struct):
    """One stored state of a model. action: what made it. job: that did, if one did."""

    name: str
    version: int
    commit: str
    tags: list[str]
    action: str
    job: int | None
    sources: list[SourceView]
    created_at: datetime


class VersionList(msgspec.Struct):
    """Versions, newest first."""

    versions: list[VersionView]


class RunView(msgspec.Struct):
    """A run of a notebook. run: unix seconds of its start, made unique; status: OK or ERROR."""

    run: int
    status: str
    message: str
    job: int | None
    started_at: datetime
    ended_at: datetime


class RunList(msgspec.Struct):
    """Runs, oldest first."""

    runs: list[RunView]


class DataTaskView(msgspec.Struct):
    """A task on data, done by a job. state: the job's. result: once it is complete.

    refused: it failed because of what was asked, as message says. run: of a notebook.
    """

    id: str
    job: int
    kind: str
    target: str
    state: str
    message: str
    refused: bool
    result: Any
    run: int | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
