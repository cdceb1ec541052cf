"""The resource ``script``."""

import asyncio
import io
from contextlib import closing

import msgspec
from multipart import MultipartError, MultipartParser, parse_options_header

from gristmill.dialects.omega_ml import wire
from gristmill.dialects.omega_ml.calls import RESERVED, Call, uri
from gristmill.dialects.omega_ml.dates import iso, spaced
from gristmill.dialects.omega_ml.errors import refused
from gristmill.dialects.omega_ml.exchange import decode
from gristmill.dialects.omega_ml.keys import check_new
from gristmill.dialects.omega_ml.paging import page
from gristmill.dialects.omega_ml.work import Done, Work, encoded, note_of
from gristmill.domain.dialect import Dialect
from gristmill.services.data.place import SCRIPT, Stored
from gristmill.services.house import House

ARCHIVES = frozenset(
    {"application/gzip", "application/x-gzip", "application/x-tar", "application/octet-stream"}
)
MULTIPART = "multipart/form-data"
MOST_PARTS = 20
GZIP = b"\x1f\x8b"


class Scripts:
    """Its handlers."""

    def __init__(self, house: House, work: Work) -> None:
        self._core = house.data.core
        self._scripts, self._tasks, self._work = house.data.scripts, house.data.tasks, work
        work.builders["script"] = _response

    async def list(self, call: Call) -> None:
        """Answer with a page."""
        found = await page(call, self._core, SCRIPT)
        listed = [_listed(call, each) for each in found.objects]
        await call.reply(wire.ScriptPage(found.meta, listed))

    async def get(self, call: Call) -> None:
        """Answer with what is known of a script."""
        await call.reply(_listed(call, await self._scripts.get(call.place, call.key)))

    async def write(self, call: Call) -> None:
        """Store a script."""
        check_new("script", call.key)
        body, archive = await _source(call)
        stored = await self._scripts.put(call.place, call.key, body, archive=archive)
        await call.reply(_listed(call, stored))

    async def delete(self, call: Call) -> None:
        """Forget a script."""
        await self._scripts.delete(call.place, call.key)
        await call.reply({"script": call.key, "resource_uri": call.uri(call.key)})

    async def run(self, call: Call) -> None:
        """Run a script."""
        body = await call.exchange.body()
        given = msgspec.Raw(b"{}")
        if body.strip():
            given = await decode(body, msgspec.Raw)
        kwargs = {name: text for name, text in call.exchange.query if name not in RESERVED}
        note = note_of(call, call.key)
        task = await self._tasks.script(
            call.who, call.place, call.key, bytes(given), kwargs, encoded(note), Dialect.OMEGA_ML
        )
        await self._work.answer(call, task, note)


def _listed(call: Call, stored: Stored) -> wire.ScriptListed:
    card = wire.ModelCard(call.bucket, spaced(stored.created), stored.format, stored.name)
    return wire.ScriptListed(card, uri("script", stored.name))


async def _source(call: Call) -> tuple[bytes, bool]:
    """Return the body, and whether it is an archive. Raises RefusedError."""
    body = await call.exchange.body()
    kind, options = parse_options_header(call.exchange.header("content-type"))
    if kind == MULTIPART:
        return await asyncio.to_thread(_file, body, options.get("boundary", "")), True
    return body, kind in ARCHIVES or body.startswith(GZIP)


def _file(body: bytes, boundary: str) -> bytes:
    """Return the one file of a form. Raises RefusedError."""
    try:
        parser = MultipartParser(
            io.BytesIO(body),
            boundary,
            content_length=len(body),
            part_limit=MOST_PARTS,
            memory_limit=2 * len(body) + 1024,
            spool_limit=len(body) + 1024,
            disk_limit=0,
        )
        files = [part for part in parser.parts() if part.filename]
        if len(files) != 1:
            raise refused(400, f"file: the form has {len(files)} files, where one is wanted")
        with closing(files[0]) as part:
            return bytes(part.raw)
    except (MultipartError, ValueError) as error:
        raise refused(400, f"body: not a valid form: {error}") from error


async def _response(done: Done) -> wire.ScriptReply:
    said, note = msgspec.json.decode(done.task.result, type=wire.ScriptResult), done.note
    reply = wire.ScriptReply(
        note.key, said.result, said.runtimes, iso(said.started), iso(said.ended), note.uri
    )
    if done.later:
        reply.args, reply.kwargs = said.args, said.kwargs
    return reply
