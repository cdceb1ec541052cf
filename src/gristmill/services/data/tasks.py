"""Long work on data: a job of the queue, and a task that says what its end changes.

The change is made in the transaction that ends the job, so it is there exactly when the job is
complete, whatever was killed meanwhile.
"""

import asyncio
import os
import shutil
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.domain.identity import READ, WRITE, Identity
from gristmill.domain.job import JobSpec
from gristmill.domain.job import Task as Step
from gristmill.domain.state import TERMINAL, JobState
from gristmill.protocol.data import DATA_LABEL, TASKS_SOCKET
from gristmill.services.data.core import DataCore
from gristmill.services.data.models import (
    ASKING,
    CHANGING,
    Call,
    Models,
    check_tag,
)
from gristmill.services.data.notebooks import Notebooks
from gristmill.services.data.place import MODEL, NOTEBOOK, SCRIPT, Place
from gristmill.services.data.scripts import Scripts
from gristmill.services.data.settling import Settling
from gristmill.services.queue.control import Control
from gristmill.services.queue.submit import Submission, Submitter
from gristmill.services.tokens import Tokens
from gristmill.store import data as store
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead, get_head
from gristmill.workers import errand
from gristmill.workers.wire import PREFIX, Header, pack_head

LONGEST_WAIT = 1200.0
TOKEN_LIFETIME = 7 * 86400.0
"""Seconds a script may reach its owner's objects; its token ends with the task anyway."""


class DataTask(NamedTuple):
    """A task. result: JSON of its result, empty unless it is complete. Times: epoch seconds.

    refused: it failed because of what was asked, which message explains. note: the caller's own.
    """

    id: str
    job: int
    kind: str
    target: str
    state: JobState
    result: bytes
    message: str
    refused: bool
    note: bytes
    created: float
    started: float | None
    ended: float | None
    detail: Mapping[str, Any]


class _Plan(NamedTuple):
    """What is to be submitted. words: of the job; effect: what its end changes."""

    kind: str
    target: str
    label: str
    words: Sequence[str]
    object: int | None
    effect: Mapping[str, Any]
    pending: str | None


class Tasks:
    """The tasks of owners."""

    def __init__(
        self,
        core: DataCore,
        models: Models,
        notebooks: Notebooks,
        scripts: Scripts,
        submitter: Submitter,
        control: Control,
        tokens: Tokens,
    ) -> None:
        self._core, self._models = core, models
        self._notebooks, self._scripts = notebooks, scripts
        self._submitter, self._control, self._tokens = submitter, control, tokens
        self._folder = core.home / "tasks"
        self._settling = Settling(core, tokens, self._folder)
        self.load = self._settling.load

    async def model(
        self,
        who: Identity,
        place: Place,
        reference: str,
        call: Call,
        *,
        tag: str | None = None,
        note: bytes = b"",
        dialect: Dialect = Dialect.NATIVE,
    ) -> DataTask:
        """Run an action of a model; one that changes it makes a new version.

        The tables and the model are those of now. Raises NotFoundError, InvalidInputError.
        """
        changing = call.action in CHANGING
        if not changing and call.action not in ASKING:
            known = ", ".join(sorted(CHANGING | ASKING))
            raise InvalidInputError(f"there is no action {call.action[:40]!r}: {known}", "action")
        if tag is not None:
            check_tag(tag)
        version = await self._models.get(place, reference)
        question = await self._models.question(place, version, call)
        found = await self._models.stored(place, reference)
        path = self._core.new_path(MODEL, "skops") if changing else None
        question.update(op="model.change" if changing else "model.ask", path=path)
        effect: dict[str, Any] = {}
        if changing:
            sources = [
                {
                    "role": role,
                    **{key: question[role][key] for key in ("name", "version", "select")},
                }
                for role in ("datax", "datay")
                if question[role] is not None
            ]
            effect = {"do": "version", "path": path, "action": call.action, "tag": tag,
                      "sources": sources, "manifest": found.manifest}  # fmt: skip
        task = self._new_id()
        number = await self._object_id(place, MODEL, version.name)
        socket = str(self._core.home / TASKS_SOCKET)
        words = [sys.executable, "-IS", errand.__file__, socket, str(self._folder / task)]
        plan = _Plan(
            MODEL, version.name, f"{call.action} {version.name}", words, number, effect, path
        )
        return await self._submit(who, place, task, plan, question, call.body, note, dialect)

    async def notebook(
        self,
        who: Identity,
        place: Place,
        name: str,
        note: bytes = b"",
        dialect: Dialect = Dialect.NATIVE,
    ) -> DataTask:
        """Run a notebook; the executed copy is kept, also when a cell fails.

        Raises NotFoundError.
        """
        found = await self._notebooks.get(place, name)
        path = self._core.new_path(NOTEBOOK, "ipynb")
        task = self._new_id()
        number = await self._object_id(place, NOTEBOOK, name)
        words = self._own_process("gristmill.workers.notebook_run", task)
        plan = _Plan(
            NOTEBOOK, name, f"run {name}", words, number, {"do": "run", "path": path}, path
        )
        question = {
            "root": self._core.root,
            "notebook": found.manifest["path"],
            "path": path,
        }
        return await self._submit(who, place, task, plan, question, b"", note, dialect)

    async def script(
        self,
        who: Identity,
        place: Place,
        name: str,
        body: bytes,
        kwargs: Mapping[str, str],
        note: bytes = b"",
        dialect: Dialect = Dialect.NATIVE,
        *,
        checked: bool = False,
    ) -> DataTask:
        """Call a script's ``run`` with a JSON value and keywords. Raises NotFoundError.

        checked: value and result, by the schemas linked to the script.
        """
        found = await self._scripts.get(place, name)
        task = self._new_id()
        token = await self._tokens.create(
            place.owner,
            scopes=[scope for scope in (READ, WRITE) if who.may(scope)],
            expires_in=TOKEN_LIFETIME,
        )
        question = {
            "root": self._core.root,
            "script": found.manifest["path"],
            "form": found.manifest["form"],
            "name": name,
            "environments": str(self._core.home / "environments"),
            "socket": str(self._core.home / "agent.sock"),
            "token": token.secret_text,
            "bucket": place.bucket,
            "kwargs": dict(kwargs),
            "signature": found.manifest.get("signature") if checked else None,
        }
        words = self._own_process("gristmill.workers.script_run", task)
        plan = _Plan(
            SCRIPT, name, f"run {name}", words, None, {"do": "revoke", "token": token.id}, None
        )
        return await self._submit(who, place, task, plan, question, body, note, dialect)

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._core.queue.chance.random.getrandbits(128), version=4))

    def _own_process(self, module: str, task: str) -> list[str]:
        return [sys.executable, "-m", module, str(self._folder / task)]

    async def _object_id(self, place: Place, kind: str, name: str) -> int:
        found = await self._core.queue.database.read(
            lambda tx: self._core.find(tx, place, kind, name)
        )
        return found.id

    async def _submit(
        self,
        who: Identity,
        place: Place,
        task: str,
        plan: _Plan,
        question: Header,
        body: bytes,
        note: bytes,
        dialect: Dialect,
    ) -> DataTask:
        await asyncio.to_thread(_write_question, self._folder / task, question, body)
        spec = JobSpec(
            tasks=(Step(argv=tuple(plan.words)),),
            name=plan.label[:512],
            labels={"data": plan.kind, "task": task},
            constraints={DATA_LABEL: "here"},
            kill_over_memory=False,
        )
        submission = Submission([spec], place.owner, dialect=dialect, admin=who.admin)

        def work(tx: Transaction) -> store.TaskRow:
            now = self._core.queue.chance.now()
            (job,) = self._submitter.add(tx, submission).ids
            row = store.TaskRow(
                task, job, place.bucket, plan.kind, plan.target, plan.object, dict(plan.effect),
                note, None, "", False, now, None,
            )  # fmt: skip
            store.insert_task(tx, self._core.own_place(tx, place).owner, row)
            if plan.pending is not None:
                store.put_blob(tx, plan.pending, dead=False, now=now, task=task)
            tx.after_commit(lambda: self._settling.expect(job))
            return row

        try:
            row = await self._core.queue.database.write(work)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, self._folder / task, ignore_errors=True)
            raise
        return _task(row, None, b"")

    async def get(self, place: Place, task: str) -> DataTask:
        """Return a task as it is. Raises NotFoundError."""

        def work(tx: Transaction) -> tuple[store.TaskRow, JobHead | None]:
            owner = self._core.queue.words.find(tx, place.owner)
            row = store.find_task(tx, owner, task) if owner is not None else None
            if row is None or row.bucket != place.bucket:
                raise NotFoundError(f"there is no task {task[:80]!r}")
            return row, get_head(tx, row.job)

        row, head = await self._core.queue.database.read(work)
        result = b""
        if row.state == JobState.COMPLETE:
            result = await asyncio.to_thread(_result, self._folder / row.id)
        return _task(row, head, result)

    async def wait(self, place: Place, task: str, seconds: float) -> DataTask:
        """Return the task once it has ended, or as it is after that many seconds."""
        queue = self._core.queue
        deadline = queue.chance.monotonic() + min(seconds, LONGEST_WAIT)
        while True:
            changed = queue.signals.waiting_for_events()
            found = await self.get(place, task)
            left = deadline - queue.chance.monotonic()
            if found.ended is not None or left <= 0 or queue.signals.closing:
                return found
            await changed(left)

    async def revoke(self, who: Identity, place: Place, task: str) -> DataTask:
        """End a task that has not ended. Raises NotFoundError."""
        found = await self.get(place, task)
        if found.state not in TERMINAL:
            await self._control.cancel(who, [found.job])
        return await self.get(place, task)


def _write_question(folder: Path, question: Header, body: bytes) -> None:
    """Store what a task is to do; it is durable when this returns."""
    folder.mkdir(parents=True, mode=0o700)
    descriptor = os.open(folder / "question", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(pack_head(question, len(body)))
        file.write(body)
        file.flush()
        os.fsync(descriptor)
    for each in (folder, folder.parent):
        opened = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _result(folder: Path) -> bytes:
    try:
        with (folder / "answer").open("rb") as file:
            _, size, _ = PREFIX.unpack(file.read(PREFIX.size))
            file.seek(PREFIX.size + size)
            return file.read()
    except OSError:
        return b""


def _task(row: store.TaskRow, head: JobHead | None, result: bytes) -> DataTask:
    if row.state is not None:
        state = JobState(row.state)
    else:
        state = head.state if head is not None else JobState.READY
    return DataTask(
        row.id, row.job, row.kind, row.target, state, result, row.message, row.refused, row.note,
        row.created, head.started_at if head is not None else None, row.ended, row.effect,
    )  # fmt: skip
