"""The shapes of requests and replies; the API document is made from them."""

from typing import Any

import msgspec


class Message(msgspec.Struct):
    """What went wrong."""

    message: str


class InvalidPayload(msgspec.Struct):
    """What is wrong with a body, by field."""

    errors: dict[str, str]
    message: str


class Meta(msgspec.Struct):
    """Where a page stands in its list. next, previous: the paths of its neighbours."""

    limit: int
    next: str | None
    offset: int
    previous: str | None
    total_count: int


class DatasetKind(msgspec.Struct):
    """A dataset by its kind and name."""

    kind: str
    name: str


class DatasetListed(msgspec.Struct):
    """A dataset in a list, without its content."""

    data: DatasetKind
    resource_uri: str
    dtypes: None = None
    index: None = None
    name: None = None
    orient: None = None


class DatasetPage(msgspec.Struct):
    """A page of datasets."""

    meta: Meta
    objects: list[DatasetListed]


class Index(msgspec.Struct):
    """The labels of rows."""

    type: str
    values: list[Any]


class DatasetContent(msgspec.Struct):
    """A dataset's rows, in an orient of pandas over positions; index holds the true labels.

    Of python.data, data is the list of documents, and there are neither dtypes nor index.
    """

    data: Any
    dtypes: dict[str, str] | None
    index: Index | None
    name: str
    orient: str
    resource_uri: str


class DatasetBody(msgspec.Struct):
    """Rows to be written. append: after those there are, which is so unless it is false.

    kind: python.data when data is a document and no table.
    """

    data: Any
    dtypes: dict[str, str] | None = None
    orient: str | None = None
    index: Index | None = None
    name: str | None = None
    append: bool = True
    kind: str | None = None


class Named(msgspec.Struct):
    """A body of which the name alone is looked at here."""

    name: str


class ModelCard(msgspec.Struct):
    """An object as lists show it. created: as ``2016-01-16 22:05:06.192000``."""

    bucket: str
    created: str
    kind: str
    name: str


class Signature(msgspec.Struct, omit_defaults=True):
    """What a service is given and answers, as JSON schemas; which action a method stands for."""

    X: dict[str, Any] | None = None
    Y: dict[str, Any] | None = None
    actions: dict[str, str] = {}


class ModelBody(msgspec.Struct):
    """A model to be made: steps of [class, arguments] or [name, class, arguments]."""

    name: str
    pipeline: list[list[Any]]
    signature: Signature | None = None


class ModelCreated(msgspec.Struct):
    """A new model, or a new version of one."""

    model: ModelCard


class ModelListed(msgspec.Struct):
    """A model in a list."""

    model: ModelCard
    resource_uri: str


class ModelPage(msgspec.Struct):
    """A page of models."""

    meta: Meta
    objects: list[ModelListed]


class Metadata(msgspec.Struct):
    """What is known of an object."""

    name: str
    kind: str
    created: str
    modified: str
    bucket: str


class ModelMetadata(msgspec.Struct):
    """What is known of a model."""

    model: str
    result: Metadata
    resource_uri: str


class VersionListed(msgspec.Struct):
    """A stored version of a model. commit: 40 hex digits."""

    commit: str
    tags: list[str]
    created: str


class VersionPage(msgspec.Struct):
    """Versions, newest first."""

    meta: Meta
    objects: list[VersionListed]


class InlineBody(msgspec.Struct):
    """Rows for a model: columns of values, or rows. shape: of each cell of the one column."""

    data: Any = None
    columns: list[str] | None = None
    shape: list[int] | None = None


class ActionBody(msgspec.Struct):
    """What is looked at here of the body of a model's action."""

    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    parameters: dict[str, Any] | None = None
    classes: list[Any] | None = None


class ActionReply(msgspec.Struct):
    """What a model answered. model: as it was asked for, with the version."""

    datax: str | None
    datay: str | None
    result: Any
    model: str
    resource_uri: str


class JobRun(msgspec.Struct):
    """A run of a notebook. status: OK or ERROR."""

    status: str
    ts: str
    message: str
    results: str


class JobView(msgspec.Struct, omit_defaults=True):
    """A notebook. job_runs: status by unix seconds; job_results: names of executed copies.

    Before the first run they are [] and {}.
    """

    job_runs: Any
    job_results: Any
    name: str
    created: str
    job: str
    runs: list[JobRun]
    resource_uri: str
    content: Any = None
    source_job: str | None = None


class JobPage(msgspec.Struct):
    """A page of notebooks."""

    meta: Meta
    objects: list[JobView]


class JobBody(msgspec.Struct):
    """A notebook to be stored: code of one cell, or content in nbformat 4."""

    code: str | None = None
    content: Any = None


class JobExport(msgspec.Struct):
    """A notebook as a page of HTML."""

    content: str
    name: str


class ScriptListed(msgspec.Struct):
    """A script."""

    script: ModelCard
    resource_uri: str


class ScriptPage(msgspec.Struct):
    """A page of scripts."""

    meta: Meta
    objects: list[ScriptListed]


class ScriptBody(msgspec.Struct):
    """A script to be stored: text that defines run(om, *args, **kwargs)."""

    code: str
    signature: Signature | None = None


class ScriptResult(msgspec.Struct):
    """What the worker says of a run; times in epoch seconds."""

    result: msgspec.Raw
    runtimes: float
    started: float
    ended: float
    args: msgspec.Raw
    kwargs: msgspec.Raw


class ScriptReply(msgspec.Struct, omit_defaults=True):
    """What a script returned. runtimes: seconds. args, kwargs: in a task's response."""

    script: str
    result: Any
    runtimes: float
    started: str
    ended: str
    resource_uri: str
    args: Any = None
    kwargs: Any = None


class Accepted(msgspec.Struct):
    """A task was made; Location leads to its result. The key asked for is there by its kind."""

    result: str
    resource_uri: str
    task_id: str


class TaskReply(msgspec.Struct, omit_defaults=False):
    """A task. response: what the call would have answered; status: in Celery's words."""

    response: Any
    status: str
    task_id: str


class TaskStatus(msgspec.Struct):
    """A task's status, and why it failed if it did."""

    task_id: str
    status: str
    message: str
    response: None = None


class Config(msgspec.Struct):
    """The caller's own settings."""

    data: dict[str, str]
    resource_uri: str


class ConfigPage(msgspec.Struct):
    """A list of one."""

    meta: Meta
    objects: list[Config]


class Ping(msgspec.Struct):
    """The time."""

    ping: str
