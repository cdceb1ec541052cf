"""What the agent asks the server about single members, on a connection of its own."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
import structlog

from gristmill.agent.connection import Connection, NotRegisteredError, ServerAwayError
from gristmill.protocol.messages import Held, OrderResult, Places, Preparation, Question

T = TypeVar("T")

SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 2.0
"""Seconds between tries while the server is away; they double in between."""

_encode = msgspec.msgpack.Encoder().encode

log = structlog.get_logger()


class Questions:
    """Asks until there is an answer. who: the agent's number and instance."""

    def __init__(self, connection: Connection, who: Callable[[], tuple[int, str]]) -> None:
        self._connection, self._who = connection, who
        self._one_asks = asyncio.Lock()

    async def prepare(self, held: Held) -> Preparation:
        """Return what a member needs besides its spec.

        Raises RefusedError when the server does not count the member as this agent's.
        """
        return await self._ask("/agent/prepare", held, (), Preparation)

    async def places(self, held: Held, outputs: Sequence[str]) -> list[str]:
        """Return where outputs are to be sent, in their order. Raises as prepare does."""
        return (await self._ask("/agent/places", held, outputs, Places)).urls

    async def answer(self, request: int, result: OrderResult) -> None:
        """Tell what came of an order. Raises ServerAwayError, NotRegisteredError, RefusedError."""
        async with self._one_asks:
            await self._connection.post(f"/agent/order/{request}", _encode(result))

    async def _ask(self, path: str, held: Held, outputs: Sequence[str], reply: type[T]) -> T:
        pause = SHORTEST_PAUSE
        while True:
            try:
                async with self._one_asks:
                    question = Question(*self._who(), held, list(outputs))
                    return await self._connection.call(path, question, reply)
            except (ServerAwayError, NotRegisteredError) as error:
                log.debug("server.away", error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
