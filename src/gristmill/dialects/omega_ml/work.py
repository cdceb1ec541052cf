"""Tasks: made by calls, waited for or handed to the client, and told of later."""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec

from gristmill.dialects.omega_ml import wire
from gristmill.dialects.omega_ml.calls import Call
from gristmill.dialects.omega_ml.errors import RefusedError, refused
from gristmill.dialects.omega_ml.keys import spellings
from gristmill.domain.errors import NotFoundError
from gristmill.domain.state import JobState
from gristmill.services.data.place import Place
from gristmill.services.data.tasks import DataTask
from gristmill.services.house import House

_STATUSES = {
    JobState.COMPLETE: "SUCCESS",
    JobState.BURIED: "FAILURE",
    JobState.CANCELLED: "REVOKED",
    JobState.RUNNING: "STARTED",
    JobState.LOST: "FAILURE",
}
_RETRY, _PENDING = "RETRY", "PENDING"
SERVICE = "service"
"""The resource of which a script may choose the status of a refusal."""

OF_SCRIPTS = "script"
"""The field that workers blame for whatever a script raises; its own words are enough."""

LOST = "the agent that works on it is silent; if it comes back, so does the task"


class Note(msgspec.Struct, omit_defaults=True):
    """What a task must know of its call. rule: the action that serve rules judge it by."""

    resource: str
    key: str
    rule: str
    uri: str
    action: str = ""
    datax: str | None = None
    datay: str | None = None


class Done(NamedTuple):
    """A task that succeeded. later: whether its reply is asked for through the task."""

    place: Place
    task: DataTask
    note: Note
    later: bool


Builder = Callable[[Done], Awaitable[Any]]
"""Makes the reply of a call from its task."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Note).decode


def encoded(note: Note) -> bytes:
    """Return a note as tasks carry it."""
    return _encode(note)


def note_of(call: Call, key: str, rule: str = "", **more: Any) -> Note:
    """Return what a task must know of a call."""
    operation = call.operation
    return Note(operation.resource, key, rule or operation.rule, call.exchange.uri, **more)


class Work:
    """Answers from tasks. patience: seconds to wait for one."""

    def __init__(self, house: House, patience: float) -> None:
        self._tasks, self._patience = house.data.tasks, patience
        self.builders: dict[str, Builder] = {}

    async def answer(self, call: Call, task: DataTask, note: Note) -> None:
        """Answer with the result; or with the task, when that is wanted or it takes too long."""
        if not call.exchange.wants_task:
            task = await self._tasks.wait(call.place, task.id, self._patience)
        if task.ended is None:
            await self._accept(call, task, note)
            return
        check(task, note)
        await call.reply(await self._response(call.place, task, note, later=False))

    async def _accept(self, call: Call, task: DataTask, note: Note) -> None:
        location = f"{call.exchange.mount}/api/v1/task/{task.id}/result"
        body = {
            note.resource: note.key,
            "result": "pending",
            "resource_uri": call.exchange.uri,
            "task_id": task.id,
        }
        await call.exchange.reply(body, 202, (b"location", location.encode()))

    async def _response(self, place: Place, task: DataTask, note: Note, *, later: bool) -> Any:
        return await self.builders[note.resource](Done(place, task, note, later))

    async def _find(self, call: Call) -> tuple[DataTask, Note]:
        task = await self._tasks.get(call.place, call.key)
        if not task.note:
            raise NotFoundError(f"there is no task {call.key[:80]!r}")
        note = _decode(task.note)
        call.rules.check(note.resource, spellings(note.resource, note.key), note.rule)
        return task, note

    async def result(self, call: Call) -> None:
        """Answer with a task's result, or how far it is."""
        task, note = await self._find(call)
        status = status_of(task)
        if task.ended is None and task.state is not JobState.LOST:
            await call.reply(wire.TaskReply(None, status, task.id))
            return
        if status != "SUCCESS":
            body = {"response": None, "status": status, "task_id": task.id}
            code = {"code": task.detail["code"]} if "code" in task.detail else {}
            raise RefusedError(400, {**body, "message": _reason(task), **code})
        response = await self._response(call.place, task, note, later=True)
        await call.reply(wire.TaskReply(response, status, task.id))

    async def status(self, call: Call) -> None:
        """Answer how far a task is."""
        task, _ = await self._find(call)
        await call.reply(_status(task))

    async def revoke(self, call: Call) -> None:
        """End a task."""
        await self._find(call)
        await call.reply(_status(await self._tasks.revoke(call.who, call.place, call.key)))


def check(task: DataTask, note: Note) -> None:
    """Refuse in the place of a task that failed. Raises RefusedError."""
    if task.state is JobState.COMPLETE:
        return
    if "code" in task.detail and note.resource == SERVICE:
        said = task.detail["said"]
        body = said if isinstance(said, dict | list) else {"message": said}
        raise RefusedError(task.detail["code"], body, fixed=True)
    if task.refused:
        raise refused(400, _reason(task))
    if task.state is JobState.CANCELLED:
        raise refused(400, f"task {task.id} was revoked")
    raise refused(500, f"task {task.id} failed: {task.message}")


def status_of(task: DataTask) -> str:
    """Return a task's state in Celery's words."""
    if task.state is JobState.DELAYED and task.started is not None:
        return _RETRY
    return _STATUSES.get(task.state, _PENDING)


def _reason(task: DataTask) -> str:
    if task.state is JobState.LOST:
        return LOST
    field = task.detail.get("field", "")
    if not task.refused or field in {"", OF_SCRIPTS}:
        return task.message or task.state.word
    return f"{field}: {task.message}"


def _status(task: DataTask) -> wire.TaskStatus:
    status = status_of(task)
    failed = status in {"FAILURE", "REVOKED"}
    return wire.TaskStatus(task.id, status, _reason(task) if failed else "")
