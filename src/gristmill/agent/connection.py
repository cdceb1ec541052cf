"""The agent's line to the server: msgpack over HTTP/1.1, on a unix socket or TLS.

A few requests a second carry everything, each a POST with a length, answered with a length. A
client of a few lines keeps the agent lean and knows what each byte costs.
"""

import asyncio
import os
import ssl
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

LONGEST_REPLY = 256 << 20
LONGEST_SOCKET_PATH = 107
REPLY_LIMIT = 60.0
"""Seconds for the server to answer, beyond the time it was asked to hold the request."""

_encode = msgspec.msgpack.Encoder().encode


class ServerAwayError(Exception):
    """The server cannot be reached, or cannot answer now: try again."""


class NotRegisteredError(Exception):
    """The server does not know this agent: register again."""


class RefusedError(Exception):
    """The server will never take this; trying again does not help."""


@dataclass(frozen=True)
class Address:
    """Where the server is: a unix socket's path, or host and port with TLS."""

    socket: str = ""
    host: str = ""
    port: int = 0
    tls: ssl.SSLContext | None = None


class Connection:
    """One kept-alive connection; requests go one after another."""

    def __init__(self, address: Address, token: str) -> None:
        self._address, self._token = address, token
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def call(self, path: str, message: object, reply: type[T], hold: float = 0.0) -> T:
        """POST a message and return the decoded reply.

        hold: seconds the server may take on purpose.
        Raises ServerAwayError, NotRegisteredError or RefusedError.
        """
        body = await self.post(path, _encode(message), hold)
        try:
            return msgspec.msgpack.decode(body, type=reply)
        except msgspec.DecodeError as error:
            raise ServerAwayError(f"the reply to {path} makes no sense: {error}") from error

    async def post(self, path: str, body: bytes, hold: float = 0.0) -> bytes:
        """POST bytes and return the body of the answer."""
        try:
            async with asyncio.timeout(hold + REPLY_LIMIT):
                status, answer = await self._exchange(path, body)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.close()
            raise ServerAwayError(str(error) or type(error).__name__) from error
        except asyncio.CancelledError:
            self.close()
            raise
        if status == 409:
            raise NotRegisteredError(answer.decode(errors="replace"))
        if status in {400, 401, 403, 404, 413}:
            raise RefusedError(f"{status} {answer.decode(errors='replace')}")
        if status >= 300:
            raise ServerAwayError(f"{status} {answer[:500].decode(errors='replace')}")
        return answer

    async def _exchange(self, path: str, body: bytes) -> tuple[int, bytes]:
        reader, writer = await self._open()
        writer.write(
            b"POST %b HTTP/1.1\r\nHost: gristmill\r\nAuthorization: Bearer %b\r\n"
            b"Content-Type: application/msgpack\r\nContent-Length: %d\r\n\r\n"
            % (path.encode(), self._token.encode(), len(body))
        )
        writer.write(body)
        await writer.drain()
        return await self._read_answer(reader)

    async def _read_answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ", 2)[1])
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        length = int(headers.get("content-length", "0"))
        if length > LONGEST_REPLY:
            raise ValueError(f"the server announces {length} bytes")
        body = await reader.readexactly(length) if length else b""
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, body

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._reader is None or self._writer is None:
            address = self._address
            if address.socket:
                opened: Any = await _open_socket(address.socket)
            else:
                opened = await asyncio.open_connection(address.host, address.port, ssl=address.tls)
            self._reader, self._writer = opened
        assert self._reader is not None
        assert self._writer is not None
        return self._reader, self._writer

    def close(self) -> None:
        """Drop the connection; the next call opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def _open_socket(path: str) -> Any:
    """Connect to a socket file, also one whose path is longer than the kernel takes."""
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        return await asyncio.open_unix_connection(path)
    folder, name = os.path.split(path)
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return await asyncio.open_unix_connection(f"/proc/self/fd/{descriptor}/{name}")
    finally:
        os.close(descriptor)
