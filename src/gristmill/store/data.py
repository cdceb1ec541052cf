"""Tables, models, notebooks, scripts, their tasks and their blobs, in rows."""

from typing import Any, NamedTuple

import msgspec

from gristmill.store.database import Transaction

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.decode


class Place(NamedTuple):
    """Whose objects, and in which bucket; '' is the default one."""

    owner: int
    bucket: str


class ObjectRow(NamedTuple):
    """An object. manifest: what it consists of, by its kind. Times: epoch seconds."""

    id: int
    format: str
    version: int
    manifest: dict[str, Any]
    job: int | None
    created: float
    modified: float


class NamedRow(NamedTuple):
    """An object in a listing."""

    name: str
    format: str
    version: int
    manifest: dict[str, Any]
    job: int | None
    created: float
    modified: float


class VersionRow(NamedTuple):
    """One stored state of a model. sources: the tables it was made from."""

    number: int
    commit: str
    path: str
    size: int
    action: str
    job: int | None
    sources: list[dict[str, Any]]
    created: float


class RunRow(NamedTuple):
    """One run of a notebook. stamp: unix seconds of its start, made unique."""

    stamp: int
    status: str
    message: str
    path: str
    job: int | None
    started: float
    ended: float


class TaskRow(NamedTuple):
    """Work that a job does. effect: what its end changes. state: of the job, once it ended."""

    id: str
    job: int
    bucket: str
    kind: str
    target: str
    object: int | None
    effect: dict[str, Any]
    note: bytes
    state: int | None
    message: str
    refused: bool
    created: float
    ended: float | None


def find_object(tx: Transaction, place: Place, kind: str, name: str) -> ObjectRow | None:
    """Return the object of that name."""
    row = tx.one("find_data_object", owner=place.owner, bucket=place.bucket, kind=kind, name=name)
    return ObjectRow._make((*row[:3], _decode(row[3]), *row[4:])) if row else None


def list_objects(
    tx: Transaction, place: Place, kind: str, *, limit: int, offset: int
) -> list[NamedRow]:
    """Return a page of the objects that are not hidden, by name."""
    rows = tx.all(
        "list_data_objects",
        owner=place.owner,
        bucket=place.bucket,
        kind=kind,
        limit=limit,
        offset=offset,
    )
    return [NamedRow._make((*row[:3], _decode(row[3]), *row[4:])) for row in rows]


def list_names(tx: Transaction, place: Place, kind: str, *, after: str, limit: int) -> list[str]:
    """Return the next names of objects that are not hidden; after: '' for the first ones."""
    words = {"owner": place.owner, "bucket": place.bucket, "kind": kind}
    return [row[0] for row in tx.all("list_data_names", **words, after=after, limit=limit)]


def count_objects(tx: Transaction, place: Place, kind: str) -> int:
    """Return how many objects are not hidden, from a counter."""
    row = tx.one("get_data_count", owner=place.owner, bucket=place.bucket, kind=kind)
    return int(row[0]) if row else 0


def insert_object(
    tx: Transaction,
    place: Place,
    kind: str,
    name: str,
    form: str,
    manifest: object,
    *,
    now: float,
    job: int | None = None,
) -> int:
    """Add an object at version 1; return its id."""
    hidden = name.startswith((".", "_"))
    if not hidden:
        _count(tx, place, kind, 1)
    number: int = tx.must(
        "insert_data_object",
        owner=place.owner,
        bucket=place.bucket,
        kind=kind,
        name=name,
        hidden=int(hidden),
        format=form,
        version=1,
        manifest=encode(manifest),
        job=job,
        now=now,
    )[0]
    return number


def update_object(
    tx: Transaction,
    number: int,
    form: str,
    version: int,
    manifest: object,
    *,
    now: float,
    job: int | None = None,
) -> bool:
    """Change an object; False when it is gone."""
    row = tx.one(
        "update_data_object",
        id=number,
        format=form,
        version=version,
        manifest=encode(manifest),
        job=job,
        now=now,
    )
    return row is not None


def delete_object(tx: Transaction, place: Place, kind: str, name: str, number: int) -> None:
    """Forget an object with its versions, tags and runs."""
    for statement in ("delete_data_versions", "delete_data_tags", "delete_data_runs"):
        tx.run(statement, object=number)
    tx.run("delete_data_object", id=number)
    if not name.startswith((".", "_")):
        _count(tx, place, kind, -1)


def _count(tx: Transaction, place: Place, kind: str, change: int) -> None:
    tx.run("add_data_count", owner=place.owner, bucket=place.bucket, kind=kind, change=change)


def version_of(tx: Transaction, number: int) -> int | None:
    """Return the version of the object with this id, None when it is gone."""
    row = tx.one("get_data_object_version", id=number)
    return int(row[0]) if row else None


def insert_version(tx: Transaction, number: int, row: VersionRow) -> None:
    """Add a version of a model."""
    tx.run(
        "insert_data_version",
        object=number,
        number=row.number,
        commit=row.commit,
        path=row.path,
        size=row.size,
        action=row.action,
        job=row.job,
        sources=encode(row.sources),
        now=row.created,
    )


def find_version(
    tx: Transaction,
    number: int,
    *,
    at: int | None = None,
    commit: str | None = None,
    tag: str | None = None,
) -> VersionRow | None:
    """Return a version by number, by commit or by tag."""
    if at is not None:
        row = tx.one("find_data_version", object=number, number=at)
    elif commit is not None:
        row = tx.one("find_data_version_by_commit", object=number, commit=commit)
    else:
        row = tx.one("find_data_version_by_tag", object=number, tag=tag)
    return _version(row) if row else None


def list_versions(tx: Transaction, number: int) -> list[VersionRow]:
    """Return every version, newest first."""
    return [_version(row) for row in tx.all("list_data_versions", object=number)]


def _version(row: tuple[Any, ...]) -> VersionRow:
    return VersionRow._make((*row[:6], _decode(row[6]), row[7]))


def put_tag(tx: Transaction, number: int, tag: str, version: int) -> None:
    """Let a tag name a version."""
    tx.run("put_data_tag", object=number, tag=tag, number=version)


def tags_of(tx: Transaction, number: int) -> dict[int, list[str]]:
    """Return the tags by version number."""
    tags: dict[int, list[str]] = {}
    for tag, version in tx.all("list_data_tags", object=number):
        tags.setdefault(version, []).append(tag)
    return tags


def insert_run(tx: Transaction, number: int, run: RunRow) -> None:
    """Add a run of a notebook."""
    tx.run("insert_data_run", object=number, **run._asdict())


def list_runs(tx: Transaction, number: int) -> list[RunRow]:
    """Return the runs of a notebook, oldest first."""
    return [RunRow(*row) for row in tx.all("list_data_runs", object=number)]


def find_run(tx: Transaction, number: int, stamp: int) -> RunRow | None:
    """Return one run."""
    row = tx.one("find_data_run", object=number, stamp=stamp)
    return RunRow(*row) if row else None


def insert_task(tx: Transaction, owner: int, row: TaskRow) -> None:
    """Add a task that is about to be done."""
    tx.run(
        "insert_data_task",
        id=row.id,
        job=row.job,
        owner=owner,
        bucket=row.bucket,
        kind=row.kind,
        target=row.target,
        object=row.object,
        effect=encode(row.effect),
        note=row.note,
        now=row.created,
    )


def find_task(tx: Transaction, owner: int, task: str) -> TaskRow | None:
    """Return a task of this owner."""
    row = tx.one("find_data_task", owner=owner, id=task)
    return _task(row) if row else None


def find_task_of_job(tx: Transaction, job: int) -> TaskRow | None:
    """Return the task that a job does."""
    row = tx.one("find_data_task_of_job", job=job)
    return _task(row) if row else None


def _task(row: tuple[Any, ...]) -> TaskRow:
    effect, note = _decode(row[6]), bytes(row[7])
    return TaskRow._make((*row[:6], effect, note, *row[8:10], bool(row[10]), *row[11:]))


def close_task(
    tx: Transaction, task: str, *, state: int, message: str, refused: bool, now: float
) -> None:
    """Say how a task ended."""
    tx.run("close_data_task", id=task, state=state, message=message, refused=int(refused), now=now)


def put_blob(
    tx: Transaction, path: str, *, dead: bool, now: float, task: str | None = None
) -> None:
    """Note a blob that is being written, or is no longer wanted."""
    tx.run("put_data_blob", path=path, dead=int(dead), now=now, task=task)


def keep_blob(tx: Transaction, path: str) -> None:
    """Forget a note: something durable refers to the blob now."""
    tx.run("delete_data_blob", path=path)
