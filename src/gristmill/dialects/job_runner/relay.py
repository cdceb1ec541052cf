"""Events to dashboards: every text goes to every WebSocket client, and nothing comes back.

Nobody need say who they are: events hold numbers only, and whoever wants to know what they
stand for must ask with credentials.
"""

import asyncio
from contextlib import suppress

from gristmill.dialects.job_runner.exchange import Answer, Receive, Scope, Send, send_answer

MOST_CLIENTS = 200
MOST_BEHIND = 1000
"""Events a client may be behind before it is sent away; it sees the rest when it is back."""

GOING_AWAY = 1001
TOO_SLOW = 1013


class Relay:
    """The clients, and an ASGI app that takes new ones at any path."""

    def __init__(self) -> None:
        self._clients: set[asyncio.Queue[str | None]] = set()

    def publish(self, text: str) -> None:
        """Send a text to all who listen now."""
        for queue in self._clients:
            if queue.qsize() < MOST_BEHIND:
                queue.put_nowait(text)
            elif queue.qsize() == MOST_BEHIND:
                queue.put_nowait(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client until it leaves or the server stops."""
        if scope["type"] != "websocket":
            await send_answer(send, Answer(400, b"this is a WebSocket\n"))
            return
        await receive()
        if len(self._clients) >= MOST_CLIENTS:
            await send({"type": "websocket.close"})
            return
        with suppress(OSError):
            await send({"type": "websocket.accept"})
            code = await self._serve(scope, receive, send)
            if code is not None:
                await send({"type": "websocket.close", "code": code})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> int | None:
        """Return why the server ends it, None when the client did."""
        queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._clients.add(queue)
        stopping: asyncio.Event = scope["state"]["stopping"]
        feeding = asyncio.create_task(_feed(queue, send))
        leaving = asyncio.create_task(_until_gone(receive))
        ending = asyncio.create_task(stopping.wait())
        tasks = {feeding, leaving, ending}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._clients.discard(queue)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if leaving in done:
            return None
        return GOING_AWAY if ending in done else TOO_SLOW


async def _feed(queue: "asyncio.Queue[str | None]", send: Send) -> None:
    while (text := await queue.get()) is not None:
        await send({"type": "websocket.send", "text": text})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass
