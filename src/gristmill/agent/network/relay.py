"""What leads out of a rank's namespace: the server's address, and a proxy for the web.

Both are sockets that listen in the namespace and are served from outside of it. What goes
through them is not limited: limits are for what ranks send each other.
"""

import asyncio
import contextlib
import socket
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from functools import partial
from urllib.parse import urlsplit

PROXY_PORT = 3128
LONGEST_HEAD = 64 << 10
HEAD_WITHIN = 60.0
CONNECT_WITHIN = 30.0
PIECE = 1 << 18


async def relay(listening: socket.socket, host: str, port: int) -> asyncio.Server:
    """Serve connections as if the address were here."""
    return await asyncio.start_server(partial(_to, host, port), sock=listening)


async def proxy(listening: socket.socket) -> asyncio.Server:
    """Serve as a proxy for http and https."""
    return await asyncio.start_server(_proxied, sock=listening, limit=LONGEST_HEAD)


async def _to(host: str, port: int, reader: Reader, writer: Writer) -> None:
    await _join(host, port, b"", b"", reader, writer)


async def _proxied(reader: Reader, writer: Writer) -> None:
    try:
        async with asyncio.timeout(HEAD_WITHIN):
            head = await reader.readuntil(b"\r\n\r\n")
        host, port, forward = _destination(head)
    except (ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        await _answer(writer, b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        return
    except OSError:
        writer.close()
        return
    granted = b"" if forward else b"HTTP/1.1 200 Connection established\r\n\r\n"
    await _join(host, port, granted, forward, reader, writer)


def _destination(head: bytes) -> tuple[str, int, bytes]:
    """Return host and port that a request asks for, and what is sent there of its head.

    Raises ValueError.
    """
    line, _, rest = head.partition(b"\r\n")
    method, target, version = line.decode("latin-1").split(" ")
    if method == "CONNECT":
        parts = urlsplit(f"//{target}")
        if parts.hostname is None or parts.port is None:
            raise ValueError(target)
        return parts.hostname, parts.port, b""
    parts = urlsplit(target)
    if parts.scheme != "http" or parts.hostname is None:
        raise ValueError(target)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    kept = [
        each for each in rest.split(b"\r\n")
        if each and not each.lower().startswith((b"proxy-", b"connection:"))
    ]  # fmt: skip
    first = f"{method} {path} {version}".encode("latin-1")
    return (
        parts.hostname,
        parts.port or 80,
        b"\r\n".join([first, *kept, b"Connection: close\r\n\r\n"]),
    )


async def _join(
    host: str, port: int, granted: bytes, forward: bytes, reader: Reader, writer: Writer
) -> None:
    """Connect to a place; pass on what comes from either side until both have ended."""
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            far_reader, far_writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError, UnicodeError):
        refusal = b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n"
        await _answer(writer, refusal if granted or forward else b"")
        return
    writer.write(granted)
    far_writer.write(forward)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_pass_on(reader, far_writer))
            group.create_task(_pass_on(far_reader, writer))
    except* OSError:
        pass
    finally:
        far_writer.close()
        writer.close()


async def _pass_on(reader: Reader, writer: Writer) -> None:
    while data := await reader.read(PIECE):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _answer(writer: Writer, text: bytes) -> None:
    with contextlib.suppress(OSError):
        writer.write(text)
        await writer.drain()
    writer.close()
