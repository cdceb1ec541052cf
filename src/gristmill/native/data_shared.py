"""What the routes of tables, models, notebooks, scripts and tasks have in common."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.params import PathParameter, QueryParameter

from gristmill.domain.errors import ConflictError, InvalidInputError
from gristmill.domain.identity import Identity
from gristmill.domain.state import JobState
from gristmill.native import data_wire as wire
from gristmill.services.data.models import Version
from gristmill.services.data.place import Place, Stored, check_bucket
from gristmill.services.data.tasks import DataTask
from gristmill.services.house import House

NO_LIMIT = 1 << 40
"""Bytes of a body; the server's setting max_body comes first."""

MOST_A_PAGE = 1000
JSON = "application/json"

Key = Annotated[str, PathParameter(description="a name, which may hold '/'; then an action")]
Bucket = Annotated[
    str, QueryParameter(max_length=128, description="whose objects are meant; else the default")
]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_A_PAGE)]
Offset = Annotated[int, QueryParameter(ge=0, le=1_000_000_000)]
Wait = Annotated[
    float, QueryParameter(ge=0, le=1200, description="seconds to wait for the end; 0: do not")
]


def place_of(who: Identity, bucket: str) -> Place:
    """Return whose objects are meant. Raises InvalidInputError."""
    check_bucket(bucket)
    return Place(who.user, bucket)


def split_key(key: str, actions: Collection[str]) -> tuple[str, str]:
    """Return the name and the action that a path ends with; '' for none."""
    name = key.removeprefix("/")
    front, _, last = name.rpartition("/")
    if front and last in actions:
        return front, last
    return name, ""


def moment(seconds: float) -> datetime:
    """Return epoch seconds as a time of UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def maybe(seconds: float | None) -> datetime | None:
    """Return epoch seconds as a time, if there are any."""
    return None if seconds is None else moment(seconds)


class _Written(Response[Any]):
    """A reply whose bytes are sent as they are."""

    def render(self, content: Any, media_type: str, enc_hook: Any = None) -> Any:  # noqa: ARG002
        return content


def written(body: bytes | bytearray, media_type: str = JSON) -> Response[Any]:
    """Return what somebody else has written; what was read into memory is not copied."""
    return _Written(body, media_type=media_type)


def view(stored: Stored) -> wire.DataView:
    """Show an object."""
    return wire.DataView(
        stored.kind, stored.name, stored.bucket, stored.format, stored.version,
        moment(stored.created), moment(stored.modified), stored.job,
    )  # fmt: skip


async def listing(
    house: House, who: Identity, kind: str, bucket: str, limit: int, offset: int
) -> wire.DataList:
    """Show a page of the caller's objects of a kind, by name. Raises InvalidInputError."""
    found = await house.data.core.list(place_of(who, bucket), kind, limit, offset)
    return wire.DataList([view(each) for each in found.objects], found.total, offset)


def version_view(version: Version) -> wire.VersionView:
    """Show one state of a model."""
    sources = [
        wire.SourceView(each["role"], each["name"], each["version"], each["select"])
        for each in version.sources
    ]
    return wire.VersionView(
        version.name, version.number, version.commit, list(version.tags), version.action,
        version.job, sources, moment(version.created),
    )  # fmt: skip


def task_view(task: DataTask) -> wire.DataTaskView:
    """Show a task, with its result when it is complete."""
    return wire.DataTaskView(
        task.id, task.job, task.kind, task.target, task.state.word, task.message, task.refused,
        msgspec.Raw(task.result) if task.result else None, task.detail.get("stamp"),
        moment(task.created), maybe(task.started), maybe(task.ended),
    )  # fmt: skip


async def task_reply(
    house: House, place: Place, task: DataTask, wait: float
) -> Response[wire.DataTaskView]:
    """Show a task after its end or after wait seconds: 202 while it goes on.

    Raises what it failed for: InvalidInputError, ConflictError.
    """
    if wait > 0:
        task = await house.data.tasks.wait(place, task.id, wait)
    if wait <= 0 or task.ended is None:
        return Response(task_view(task), status_code=202, media_type=JSON)
    if task.state is JobState.COMPLETE:
        return Response(task_view(task), status_code=200, media_type=JSON)
    if task.refused:
        raise InvalidInputError(task.message, task.detail.get("field") or "data")
    raise ConflictError(f"task {task.id} is {task.state.word}: {task.message}")
