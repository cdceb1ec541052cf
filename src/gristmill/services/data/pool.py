"""Questions to the workers below the agent, over their socket in the home."""

import asyncio
import contextlib
from pathlib import Path

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
    Frame,
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


class WorkerPool:
    """Asks workers. patience: seconds to wait for one to be there."""

    def __init__(self, home: Path, chance: Chance, patience: float = PATIENCE) -> None:
        self._path = str(home / CALLS_SOCKET)
        self._chance, self._patience = chance, patience

    async def call(self, header: Header, body: bytes = b"") -> Frame:
        """Return the answer.

        Raises what the refusal stands for: InvalidInputError, NotFoundError; UnavailableError
        when there is no worker or it ended before the answer.
        """
        reader, writer = await self._connect()
        try:
            writer.write(pack_head(header, len(body)))
            if body:
                writer.write(body)
            await writer.drain()
            answer = await _read(reader)
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError) as error:
            raise UnavailableError(WORKER_DIED) from error
        finally:
            writer.close()
        if "refused" in answer.header:
            raise refusal(answer.header)
        return answer

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        deadline = self._chance.monotonic() + self._patience
        while True:
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError, BlockingIOError):
                return await asyncio.open_unix_connection(self._path, limit=1 << 20)
            if self._chance.monotonic() >= deadline:
                raise UnavailableError(NO_WORKER)
            await pause(RETRY)


async def _read(reader: asyncio.StreamReader) -> Frame:
    _, header_size, body_size = PREFIX.unpack(await reader.readexactly(PREFIX.size))
    header = unpack_header(await reader.readexactly(header_size))
    return Frame(header, await reader.readexactly(body_size) if body_size else b"")


def refusal(header: Header) -> GristmillError:
    """Return the error that a refusal stands for."""
    kind, message = header["refused"], header["message"]
    if kind == MISSING:
        return NotFoundError(message)
    if kind == INTERNAL:
        return UnavailableError(message)
    assert kind == INVALID or kind, header
    return InvalidInputError(message, header["field"])
