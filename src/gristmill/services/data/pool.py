"""Questions to the workers below the agent, over their socket in the home."""

import asyncio
import contextlib
from pathlib import Path
from typing import NamedTuple

import msgspec

from gristmill.domain.clock import Chance
from gristmill.domain.errors import (
    GristmillError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from gristmill.protocol.data import CALLS_SOCKET
from gristmill.services.waiting import pause
from gristmill.workers.wire import (
    INTERNAL,
    INVALID,
    MISSING,
    PREFIX,
    Header,
    pack_head,
    unpack_header,
)

PATIENCE = 15.0
"""Seconds to wait for an agent that is just starting to open the socket."""

RETRY = 0.05
NO_WORKER = (
    "no worker for tables and models runs here: start the server with --engine local, and "
    "install the extra with 'pip install gristmill[data]'"
)
WORKER_DIED = "the worker ended before it had an answer: the call took too much memory or time"


class Answer(NamedTuple):
    """What a worker said; the body is where it was read into."""

    header: Header
    body: bytearray


class WorkerPool:
    """Asks workers. patience: seconds to wait for one to be there."""

    def __init__(self, home: Path, chance: Chance, patience: float = PATIENCE) -> None:
        self._path = str(home / CALLS_SOCKET)
        self._chance, self._patience = chance, patience

    async def call(self, header: Header, body: bytes = b"") -> Answer:
        """Return the answer.

        Raises what the refusal stands for: InvalidInputError, NotFoundError; UnavailableError
        when there is no worker or it ended before the answer.
        """
        transport, answering = await self._connect()
        try:
            transport.write(pack_head(header, len(body)))
            if body:
                transport.write(body)
            answer = await answering.done
        except msgspec.DecodeError as error:
            raise UnavailableError(WORKER_DIED) from error
        finally:
            transport.close()
        if "refused" in answer.header:
            raise refusal(answer.header)
        return answer

    async def _connect(self) -> "tuple[asyncio.Transport, _Answering]":
        loop = asyncio.get_running_loop()
        deadline = self._chance.monotonic() + self._patience
        while True:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                return await loop.create_unix_connection(_Answering, self._path)
            if self._chance.monotonic() >= deadline:
                raise UnavailableError(NO_WORKER)
            await pause(RETRY)


class _Answering(asyncio.BufferedProtocol):
    """Reads one frame straight into the places where its parts stay. done: the frame."""

    def __init__(self) -> None:
        self.done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._data = bytearray(PREFIX.size)
        self._have = 0
        self._whole: list[bytearray] = []
        self._following: list[int] | None = None

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where the next bytes belong; past the end nothing is expected."""
        if self._have == len(self._data):
            return memoryview(bytearray(max(1, sizehint)))
        return memoryview(self._data)[self._have :]

    def buffer_updated(self, nbytes: int) -> None:
        """Go on from the prefix to the header, from there to the body, and then to the end."""
        self._have = min(self._have + nbytes, len(self._data))
        while self._have == len(self._data) and not self.done.done():
            self._go_on()

    def _go_on(self) -> None:
        if self._following is None:
            _, *self._following = PREFIX.unpack(self._data)
        else:
            self._whole.append(self._data)
        if self._following:
            self._data, self._have = bytearray(self._following.pop(0)), 0
        else:
            self._finish()

    def _finish(self) -> None:
        header, body = self._whole
        try:
            self.done.set_result(Answer(unpack_header(header), body))
        except msgspec.DecodeError as error:
            self.done.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Say so to whoever waits for the rest."""
        if not self.done.done():
            error = UnavailableError(WORKER_DIED)
            error.__cause__ = exc
            self.done.set_exception(error)


def refusal(header: Header) -> GristmillError:
    """Return the error that a refusal stands for."""
    kind, message = header["refused"], header["message"]
    if kind == MISSING:
        return NotFoundError(message)
    if kind == INTERNAL:
        return UnavailableError(message)
    assert kind == INVALID or kind, header
    return InvalidInputError(message, header["field"])
