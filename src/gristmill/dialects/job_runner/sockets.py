"""The ZeroMQ sockets: offers to workers go out, events of workers come in."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import structlog
import zmq
import zmq.asyncio

from gristmill.dialects.job_runner.events import LONGEST_EVENT, Echoes, read_event, write_event
from gristmill.dialects.job_runner.greeter import SETTLING
from gristmill.dialects.job_runner.relay import Relay
from gristmill.domain.clock import Chance
from gristmill.domain.errors import InvalidInputError
from gristmill.services.schedules.board import Board, Offer
from gristmill.services.waiting import pause

EVENT_TOPIC = b"worker.event"
MOST_QUEUED = 100_000
"""Messages kept for a slow peer; more are dropped, and offers come again."""

_NUMBERS = {"enqueue": "run_id", "kill": "kill_request_id"}

log = structlog.get_logger()


class Bind(NamedTuple):
    """Where a socket listens. setting: the flag that said so."""

    host: str
    port: int
    setting: str


class Sockets:
    """Both sockets, and what passes between them, the board and the dashboards."""

    def __init__(self, board: Board, relay: Relay, chance: Chance) -> None:
        self._board, self._relay, self._chance = board, relay, chance
        self._echoes = Echoes(chance)
        self._context: zmq.asyncio.Context | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, broadcast: Bind | None, events: Bind | None) -> list[str]:
        """Bind what is wanted; return the addresses. Raises InvalidInputError."""
        addresses: list[str] = []
        loops = [self._follow_board]
        if broadcast is not None or events is not None:
            self._context = zmq.asyncio.Context()
        try:
            if broadcast is not None:
                publisher = self._bind(zmq.PUB, broadcast, addresses)
                loops += [lambda: self._broadcast(publisher), self._greet]
            if events is not None:
                subscriber = self._bind(zmq.SUB, events, addresses)
                loops.append(lambda: self._listen(subscriber))
        except BaseException:
            await self.close()
            raise
        self._tasks = [asyncio.create_task(_keep_going(loop)) for loop in loops]
        return addresses

    async def close(self) -> None:
        """Drop what nobody took, and close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._context is not None:
            self._context.destroy(linger=0)

    def _bind(self, kind: int, where: Bind, addresses: list[str]) -> zmq.asyncio.Socket:
        assert self._context is not None
        bound = self._context.socket(kind)
        bound.setsockopt(zmq.LINGER, 0)
        bound.setsockopt(zmq.TCP_KEEPALIVE, 1)
        if kind == zmq.PUB:
            bound.setsockopt(zmq.SNDHWM, MOST_QUEUED)
        else:
            bound.setsockopt(zmq.RCVHWM, MOST_QUEUED)
            bound.setsockopt(zmq.MAXMSGSIZE, LONGEST_EVENT)
            bound.setsockopt(zmq.SUBSCRIBE, EVENT_TOPIC)
        try:
            endpoint = _endpoint(where)
            bound.setsockopt(zmq.IPV6, "[" in endpoint)
            bound.bind(endpoint)
        except (zmq.ZMQError, OSError) as error:
            raise InvalidInputError(
                f"cannot listen on {where.host}:{where.port} (--{where.setting}): {error}; "
                "choose another address, or off",
                where.setting.replace("-", "_"),
            ) from error
        addresses.append(bound.getsockopt_string(zmq.LAST_ENDPOINT))
        return bound

    async def _greet(self) -> None:
        """Once workers could connect, tell them what there is to do, and ask who is there."""
        await pause(SETTLING)
        self._board.greet()
        await asyncio.Event().wait()

    async def _broadcast(self, publisher: Any) -> None:
        offers = self._board.offers()
        try:
            while True:
                await publisher.send_multipart(message(await offers.get()))
        finally:
            self._board.drop(offers)

    async def _listen(self, subscriber: Any) -> None:
        while True:
            frames = await subscriber.recv_multipart()
            if len(frames) != 2 or frames[0] != EVENT_TOPIC:
                continue
            key = read_event(frames[1])
            if key is not None and self._echoes.is_new("worker", key):
                self._relay.publish(frames[1].decode())

    async def _follow_board(self) -> None:
        events = self._board.events()
        try:
            while True:
                event = await events.get()
                if self._echoes.is_new("server", (event.kind, event.event, event.number)):
                    self._relay.publish(write_event(event.kind, event.event, event.number))
        finally:
            self._board.drop(events)


def message(offer: Offer) -> list[bytes]:
    """Return what is broadcast to one worker."""
    body: dict[str, Any] = {"action": offer.kind}
    if offer.kind in _NUMBERS:
        body[_NUMBERS[offer.kind]] = offer.number
    return [f"master.broadcast.{offer.api_key}".encode(), msgspec.json.encode(body)]


def _endpoint(where: Bind) -> str:
    """ZeroMQ binds to numeric addresses only."""
    found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM)
    family, _, _, _, place = min(found, key=lambda each: each[0] != socket.AF_INET)
    host, port = str(place[0]), int(place[1])
    host = f"[{host}]" if family == socket.AF_INET6 else host
    return f"tcp://{host}:{port or '*'}"


async def _keep_going(loop: Callable[[], Awaitable[None]]) -> None:
    """Run a loop for ever: a defect in one round must not stop all that follow."""
    while True:
        try:
            await loop()
        except Exception:
            log.exception("socket.failed")
            await pause(SETTLING)
