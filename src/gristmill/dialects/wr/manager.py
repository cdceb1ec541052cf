"""The small endpoints: the server itself, its warnings, its dead nodes, and files."""

import os
import socket
from collections.abc import Mapping
from typing import Any

from gristmill import __version__
from gristmill.dialects.wr import errors, wire
from gristmill.dialects.wr.errors import RefusedError
from gristmill.dialects.wr.exchange import Exchange
from gristmill.dialects.wr.uploads import Uploads
from gristmill.domain.errors import NotFoundError
from gristmill.domain.identity import Identity
from gristmill.services.agents import AgentOverview
from gristmill.services.house import House

API = "1"
DEPLOYMENT = "production"
LOST = "lost"


async def version(exchange: Exchange) -> None:
    """Answer GET /rest/version/, to anybody."""
    if exchange.method != "GET":
        raise RefusedError(400, "Only GET is supported")
    await exchange.reply(wire.encode(wire.Version(__version__, API)))


class Manager:
    """Answers what is about the server and not about jobs."""

    def __init__(self, house: House, uploads: Uploads) -> None:
        self._house, self._uploads = house, uploads

    async def info(self, exchange: Exchange, who: Identity) -> None:  # noqa: ARG002
        """Answer GET /rest/v1/info/."""
        if exchange.method != "GET":
            raise RefusedError(400, "Only GET is supported")
        host, port = socket.gethostname(), _port(exchange.scope)
        info = wire.Info(
            addr=f"{host}:{port}",
            host=host,
            port=port,
            web_port=port,
            pid=os.getpid(),
            deployment=DEPLOYMENT,
            scheduler=self._house.engine,
            mode=self._mode(),
        )
        await exchange.reply(wire.encode(info))

    def _mode(self) -> str:
        agents = self._house.registry.all()
        draining = bool(agents) and all(agent.draining for agent in agents)
        return "draining" if draining or self._house.core.signals.closing else "started"

    async def warnings(self, exchange: Exchange, who: Identity) -> None:  # noqa: ARG002
        """Answer GET /rest/v1/warnings/; what was told once is forgotten."""
        if exchange.method != "GET":
            raise RefusedError(400, "Only GET is supported")
        notices = [
            wire.Notice(note.text, int(note.first), int(note.last), note.count)
            for note in self._house.core.notices.take()
        ]
        await exchange.reply(wire.encode(notices))

    async def servers(self, exchange: Exchange, who: Identity) -> None:
        """Answer GET and DELETE /rest/v1/servers/."""
        if exchange.method == "GET":
            bad = await self._bad()
            await exchange.reply(wire.encode([_bad_server(view) for view in bad.values()]))
        elif exchange.method == "DELETE":
            await self._confirm_dead(exchange.query.get("id"), who)
            await exchange.reply(b"")
        else:
            raise RefusedError(400, "Only GET and DELETE are supported")

    async def _bad(self) -> Mapping[str, AgentOverview]:
        """Return the nodes whose agents fell silent, by id."""
        views = await self._house.agents.overview()
        return {view.row.node: view for view in views if view.row.state == LOST}

    async def _confirm_dead(self, node: str, who: Identity) -> None:
        if not node:
            raise RefusedError(400, errors.ID_REQUIRED)
        if not who.admin:
            raise RefusedError(403, "only an administrator may give a server up")
        bad = (await self._bad()).get(node)
        if bad is None:
            raise RefusedError(404, errors.NOT_BAD)
        try:
            await self._house.agents.give_up(bad.row.id)
        except NotFoundError as error:
            raise RefusedError(404, errors.NOT_BAD) from error

    async def upload(self, exchange: Exchange, who: Identity) -> None:
        """Answer PUT /rest/v1/upload/."""
        if exchange.method != "PUT":
            raise RefusedError(400, "Only PUT is supported")
        path = await self._uploads.store(who, exchange.query.get("path"), exchange.chunks())
        await exchange.reply(wire.encode(wire.Uploaded(path)))


def _port(scope: Mapping[str, Any]) -> str:
    server = scope.get("server")
    return str(server[1]) if server and server[1] is not None else ""


def _bad_server(view: AgentOverview) -> wire.BadServer:
    row = view.row
    return wire.BadServer(
        id=row.node,
        name=row.hostname,
        ip=row.address,
        date=int(view.seen),
        is_bad=True,
        problem="",
    )
