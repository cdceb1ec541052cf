"""The resource ``model``."""

from typing import Any

import msgspec

from gristmill.dialects.omega_ml import wire
from gristmill.dialects.omega_ml.calls import Call, uri
from gristmill.dialects.omega_ml.dates import iso, spaced
from gristmill.dialects.omega_ml.errors import bad
from gristmill.dialects.omega_ml.exchange import Exchange, decode
from gristmill.dialects.omega_ml.keys import check_new
from gristmill.dialects.omega_ml.paging import meta, page, window
from gristmill.dialects.omega_ml.work import Done, Work, encoded, note_of
from gristmill.domain.dialect import Dialect
from gristmill.services.data.models import ASKING
from gristmill.services.data.models import Call as Action
from gristmill.services.data.place import MODEL
from gristmill.services.house import House

PREDICT = "predict"
_EMPTY = frozenset({b"", b"{}", b"null", b'""', b"[]"})


class Answered(msgspec.Struct):
    """What workers say of an action."""

    result: msgspec.Raw


class Models:
    """Its handlers."""

    def __init__(self, house: House, work: Work) -> None:
        self._core = house.data.core
        self._models, self._tasks, self._work = house.data.models, house.data.tasks, work
        work.builders["model"] = _response

    async def list(self, call: Call) -> None:
        """Answer with a page."""
        found = await page(call, self._core, MODEL)
        listed = [
            wire.ModelListed(
                wire.ModelCard(call.bucket, spaced(each.created), each.format, each.name),
                uri("model", each.name),
            )
            for each in found.objects
        ]
        await call.reply(wire.ModelPage(found.meta, listed))

    async def create(self, call: Call) -> None:
        """Store an unfitted model."""
        body = await call.exchange.body()
        name = (await decode(body, wire.Named)).name
        check_new("model", name)
        call.check_rules(name)
        tag = call.exchange.parameter("tag")
        made = await self._models.create(call.place, name, body, tag=tag)
        card = wire.ModelCard(call.bucket, spaced(made.created), made.format, made.name)
        await call.reply(wire.ModelCreated(card))

    async def get(self, call: Call) -> None:
        """Answer with what is known; or with predictions, when data are named."""
        if call.exchange.parameter("datax") is None:
            call.check_rules(call.key)
            await self.metadata(call)
            return
        call.check_rules(call.key, PREDICT)
        await self._ask(call, PREDICT)

    async def metadata(self, call: Call) -> None:
        """Answer with what is known."""
        version = await self._models.get(call.place, call.key)
        stored = await self._models.stored(call.place, call.key)
        result = wire.Metadata(
            version.name, stored.format, iso(stored.created), iso(version.created), call.bucket
        )
        await call.reply(wire.ModelMetadata(call.key, result, call.uri(call.key)))

    async def versions(self, call: Call) -> None:
        """Answer with all versions, newest first."""
        limit, offset = window(call)
        found = await self._models.versions(call.place, call.key)
        listed = [
            wire.VersionListed(each.commit, list(each.tags), iso(each.created))
            for each in found[offset : offset + limit]
        ]
        await call.reply(wire.VersionPage(meta(call, limit, offset, len(found)), listed))

    async def delete(self, call: Call) -> None:
        """Forget a model."""
        await self._models.delete(call.place, call.key)
        await call.reply({"model": call.key, "resource_uri": call.uri(call.key)})

    async def ask(self, call: Call) -> None:
        """Run an action that changes nothing."""
        await self._ask(call, call.operation.word)

    async def _ask(self, call: Call, word: str) -> None:
        exchange = call.exchange
        action = await read_action(exchange, word)
        if exchange.wants_task:
            await self._submit(call, action)
            return
        extra = {
            "datax": action.datax,
            "datay": action.datay,
            "model": call.key,
            "resource_uri": exchange.uri,
        }
        await call.reply_bytes(await self._models.call(call.place, call.key, action, extra))

    async def change(self, call: Call) -> None:
        """Run an action that makes a new version."""
        await self._submit(call, await read_action(call.exchange, call.operation.word))

    async def _submit(self, call: Call, action: Action) -> None:
        note = note_of(
            call, call.key, action.action, action=action.action, datax=action.datax,
            datay=action.datay,
        )  # fmt: skip
        task = await self._tasks.model(
            call.who,
            call.place,
            call.key,
            action,
            tag=call.exchange.parameter("tag"),
            note=encoded(note),
            dialect=Dialect.OMEGA_ML,
        )
        await self._work.answer(call, task, note)


async def read_action(exchange: Exchange, word: str) -> Action:
    """Return the action with its data. Raises RefusedError."""
    body = await exchange.body()
    given = wire.ActionBody()
    if body.strip() in _EMPTY:
        body = b""
    else:
        given = await decode(body, wire.ActionBody)
    params: dict[str, Any] = {}
    for name, kind, inside in (
        ("classes", list[Any], given.classes),
        ("parameters", dict[str, Any], given.parameters),
    ):
        text = exchange.parameter(name)
        value = inside if text is None else _parsed(name, text, kind)
        if value is not None:
            params[name] = value
    return Action(
        word,
        exchange.parameter("datax"),
        exchange.parameter("datay"),
        b"" if given.data is msgspec.UNSET else body,
        params,
        tidy=True,
    )


def _parsed(name: str, text: str, kind: Any) -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise bad(name, f"is not what is wanted here: {error}") from error


async def _response(done: Done) -> wire.ActionReply:
    note, raw = done.note, msgspec.Raw(done.task.result)
    if note.action in ASKING:
        raw = msgspec.json.decode(done.task.result, type=Answered).result
    return wire.ActionReply(note.datax, note.datay, raw, note.key, note.uri)
