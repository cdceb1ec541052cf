"""Outputs too large for a report, sent ahead of it to a server that does not share our files."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import structlog

from gristmill.agent.connection import (
    Connection,
    NotRegisteredError,
    RefusedError,
    ServerAwayError,
)
from gristmill.agent.member import Key
from gristmill.protocol.messages import Finished, Output, Stream

CHUNK = 1 << 20
PAUSE = 0.5
"""Seconds before a piece that the server could not take is sent again."""

log = structlog.get_logger()


class Uploads:
    """Which results can be reported, because the server has their files.

    who: the agent's number and instance, as the server knows them now.
    """

    def __init__(self, connection: Connection, who: Callable[[], tuple[int, str]]) -> None:
        self._connection, self._who = connection, who
        self._sent: set[Key] = set()

    def has_sent(self, end: Finished) -> bool:
        """Whether nothing of this result is still to be sent."""
        return _key(end) in self._sent or not any(_files(end))

    async def send(self, end: Finished) -> None:
        """Send the files of a result, however often the server goes away meanwhile."""
        for stream, output in _files(end):
            try:
                await self._send_file(end, stream, output.path)
            except (RefusedError, OSError) as error:
                # The result itself must not wait for what will never come.
                log.warning("output.not_kept", job=end.job, path=output.path, error=str(error))
        self._sent.add(_key(end))

    def told(self, end: Finished) -> None:
        """Let go of the files of a result that the server has acknowledged."""
        self._sent.discard(_key(end))
        for _, output in _files(end):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(output.path)

    async def _send_file(self, end: Finished, stream: Stream, path: str) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            offset = 0
            while chunk := await asyncio.to_thread(os.pread, descriptor, CHUNK, offset):
                await self._send_piece(end, stream, offset, chunk)
                offset += len(chunk)
        finally:
            os.close(descriptor)

    async def _send_piece(self, end: Finished, stream: Stream, offset: int, chunk: bytes) -> None:
        while True:
            agent, instance = self._who()
            query = {
                "agent": agent,
                "instance": instance,
                "job": end.job,
                "attempt": end.attempt,
                "rank": end.rank,
                "stream": stream.value,
                "offset": offset,
            }
            try:
                await self._connection.post(f"/agent/upload?{urlencode(query)}", chunk)
            except (ServerAwayError, NotRegisteredError) as error:
                log.debug("server.away", error=str(error))
                await asyncio.sleep(PAUSE)
            else:
                return


def _key(end: Finished) -> Key:
    return (end.job, end.attempt, end.rank)


def _files(end: Finished) -> Iterator[tuple[Stream, Output]]:
    for stream, output in ((Stream.STDOUT, end.stdout), (Stream.STDERR, end.stderr)):
        if output is not None and output.path:
            yield stream, output
