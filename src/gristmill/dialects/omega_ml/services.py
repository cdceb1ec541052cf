"""The resource ``service``: a stored model, script or notebook behind a path that runs it.

The answer is the bare result. Which of the three a name means is looked up in this order.
"""

import contextlib
from typing import Any

import msgspec

from gristmill.dialects.omega_ml.calls import RESERVED, Call
from gristmill.dialects.omega_ml.errors import refused
from gristmill.dialects.omega_ml.exchange import decode
from gristmill.dialects.omega_ml.jobs import Jobs
from gristmill.dialects.omega_ml.keys import SUFFIX, spellings
from gristmill.dialects.omega_ml.models import Answered
from gristmill.dialects.omega_ml.swagger import service_document
from gristmill.dialects.omega_ml.wire import ScriptResult
from gristmill.dialects.omega_ml.work import Done, Note, Work, encoded
from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import NotFoundError
from gristmill.services.data.models import ASKING
from gristmill.services.data.models import Call as Action
from gristmill.services.data.place import MODEL, NOTEBOOK, SCRIPT, Stored
from gristmill.services.house import House

PREDICT, RUN = "predict", "run"
NATURAL = {MODEL: PREDICT, SCRIPT: RUN, NOTEBOOK: RUN}
"""What is done with an object when the path says nothing."""


class Services:
    """Its handlers."""

    def __init__(self, house: House, work: Work, jobs: Jobs) -> None:
        self._data, self._work, self._jobs = house.data, work, jobs
        work.builders["service"] = self._response

    async def run(self, call: Call) -> None:
        """Run what the name means."""
        found, rule = await self._meant(call)
        kind, word = found.kind, call.operation.word or natural(found, call.exchange.method)
        if (word in ASKING) is not (kind == MODEL):
            raise refused(400, f"a {kind} has no {word}: {call.key[:200]!r}")
        body = await call.exchange.body()
        given = await decode(body, msgspec.Raw) if body.strip() else msgspec.Raw(b"")
        note = Note("service", call.key, rule, call.exchange.uri, action=word)
        if kind == MODEL:
            await self._ask(call, word, bytes(given), note)
            return
        if kind == SCRIPT:
            kwargs = {name: text for name, text in call.exchange.query if name not in RESERVED}
            task = await self._data.tasks.script(
                call.who, call.place, call.key, bytes(given) or b"{}", kwargs, encoded(note),
                Dialect.OMEGA_ML, checked=True,
            )  # fmt: skip
        else:
            name = call.key.removesuffix(SUFFIX)
            task = await self._data.tasks.notebook(
                call.who, call.place, name, encoded(note), Dialect.OMEGA_ML
            )
        await self._work.answer(call, task, note)

    async def _meant(self, call: Call) -> tuple[Stored, str]:
        """Return what is called, and the action by which a rule lets it through.

        Rules know a call by its action, and one that says none also by its method. Raises
        RefusedError, NotFoundError.
        """
        rule = call.operation.rule
        passes = call.rules.passes("service", spellings("service", call.key), rule)
        try:
            found = await self._found(call)
        except NotFoundError:
            if not passes:
                call.check_rules(call.key)
            raise
        if not passes:
            rule = call.operation.word or natural(found, call.exchange.method)
            call.check_rules(call.key, rule)
        return found, rule

    async def _found(self, call: Call) -> Stored:
        data, place, key = self._data, call.place, call.key
        with contextlib.suppress(NotFoundError):
            return await data.models.stored(place, key)
        with contextlib.suppress(NotFoundError):
            return await data.scripts.get(place, key)
        with contextlib.suppress(NotFoundError):
            return await data.notebooks.get(place, key.removesuffix(SUFFIX))
        raise NotFoundError(f"there is no model, script or job {key[:200]!r}")

    async def _ask(self, call: Call, word: str, given: bytes, note: Note) -> None:
        exchange = call.exchange
        datax, datay = exchange.parameter("datax"), exchange.parameter("datay")
        action = Action(word, datax, datay, rows_of(given), tidy=True, checked=True)
        if exchange.wants_task:
            task = await self._data.tasks.model(
                call.who, call.place, call.key, action, note=encoded(note),
                dialect=Dialect.OMEGA_ML,
            )  # fmt: skip
            await self._work.answer(call, task, note)
            return
        answer = await self._data.models.call(call.place, call.key, action, {})
        await call.reply(bare(msgspec.json.decode(answer, type=Answered).result))

    async def _response(self, done: Done) -> Any:
        task = done.task
        if task.kind == MODEL:
            return bare(msgspec.json.decode(task.result, type=Answered).result)
        if task.kind == SCRIPT:
            return bare(msgspec.json.decode(task.result, type=ScriptResult).result)
        return await self._jobs.view(done.place, task.target)

    async def doc(self, call: Call) -> None:
        """Answer with the API document of what the name means."""
        found, _ = await self._meant(call)
        words = sorted(ASKING) if found.kind == MODEL else [RUN]
        signature = found.manifest.get("signature") or {}
        made = service_document(call.exchange.mount, call.key, words, signature, call.profile)
        await call.reply(made)


def natural(found: Stored, method: str) -> str:
    """Return what is done when the path says nothing: as its signature says, or as is usual."""
    actions = (found.manifest.get("signature") or {}).get("actions", {})
    return str(actions.get(method) or NATURAL[found.kind])


def rows_of(given: bytes) -> bytes:
    """Return JSON as rows for a model: an object is one row, a list of values one column.

    Raises RefusedError.
    """
    text = given.strip()
    if not text:
        return b""
    if text[:1] == b"{":
        return b'{"data":[' + text + b"]}"
    if text[:1] != b"[":
        raise refused(400, "body: a model is given an object or a list")
    if text[1:].lstrip()[:1] in {b"{", b"["}:
        return b'{"data":' + text + b"}"
    return b'{"data":{"0":' + text + b"}}"


def bare(result: msgspec.Raw) -> Any:
    """Return lists and objects as they are, other values in an object."""
    return result if bytes(memoryview(result)[:1]) in {b"[", b"{"} else {"data": result}
