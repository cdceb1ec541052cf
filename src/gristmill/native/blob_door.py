"""/v1/blobs: objects through signed URLs, streamed both ways. Bare ASGI: no body is ever held."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from gristmill.domain.errors import GristmillError, NotAuthenticatedError
from gristmill.native.errors import RETRY_AFTER, status_of
from gristmill.native.wire import ErrorDetail, ErrorReply
from gristmill.services.house import House
from gristmill.services.objects.signing import PATH, Permit
from gristmill.services.objects.store import PIECE, Opened, TooLargeError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

METHODS = {"get": ("GET", "HEAD"), "put": ("PUT",)}
HARMLESS: Sequence[Header] = (
    (b"content-type", b"application/octet-stream"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"sandbox"),
    (b"cache-control", b"private, no-cache"),
)
"""What users stored must never act as a page of this server's."""

_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
_encode = msgspec.json.Encoder().encode


class Stored(msgspec.Struct, frozen=True):
    """The answer to an upload. size: bytes."""

    name: str
    size: int
    sha256: str


class ClientGoneError(Exception):
    """The client left in the middle of its body."""


class _Part(NamedTuple):
    """Which bytes to send. status: 200, 206 or 416."""

    status: int
    start: int
    length: int


class BlobDoor:
    """The ASGI app of signed URLs."""

    def __init__(self, house: House) -> None:
        self._objects = house.objects

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            await self._answer(scope, receive, send)
        except TooLargeError as error:
            await _refuse(send, 413, ErrorDetail("too_large", str(error), error.field))
        except GristmillError as error:
            status, code = status_of(error)
            detail = ErrorDetail(code, str(error), getattr(error, "field", ""))
            await _refuse(send, status, detail, [(b"retry-after", RETRY_AFTER.encode())]
                          if status == 503 else [])  # fmt: skip
        except ClientGoneError:
            return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        signed = scope["path"].removeprefix(PATH).lstrip("/").partition("/")[0]
        if not signed:
            raise NotAuthenticatedError("there is no signature in this URL: ask for a whole one")
        permit = self._objects.read_url(signed)
        methods = METHODS[permit.act]
        if scope["method"] not in methods:
            text = f"this URL is for {' and '.join(methods)}, not for {scope['method'][:20]}"
            allow = (b"allow", ", ".join(methods).encode())
            await _refuse(send, 405, ErrorDetail("method_not_allowed", text, ""), [allow])
        elif permit.act == "put":
            await self._put(permit, scope, receive, send)
        else:
            await self._get(permit, scope, receive, send)

    async def _put(self, permit: Permit, scope: Scope, receive: Receive, send: Send) -> None:
        length = _header(scope, b"content-length")
        stored = await self._objects.put(
            permit.space,
            permit.name,
            _chunks(receive),
            sha256=permit.sha256,
            most=permit.size,
            expected=int(length) if length.isdecimal() else None,
        )
        body = _encode(Stored(stored.name, stored.size, stored.sha256))
        await _reply(send, 201, body, [(b"content-type", b"application/json")])

    async def _get(self, permit: Permit, scope: Scope, receive: Receive, send: Send) -> None:
        opened = await self._objects.open(permit.space, permit.name)
        gone = asyncio.create_task(_disconnect(receive))
        try:
            await _send_object(opened, scope, send, gone)
        finally:
            gone.cancel()
            opened.file.close()


async def _disconnect(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_object(
    opened: Opened, scope: Scope, send: Send, gone: "asyncio.Task[None]"
) -> None:
    stored = opened.object
    part = _part(_header(scope, b"range"), stored.size)
    name = quote(stored.name.rpartition("/")[2], safe="")
    headers = [
        *HARMLESS,
        (b"content-disposition", f"attachment; filename*=UTF-8''{name}".encode()),
        (b"etag", f'"{stored.sha256}"'.encode()),
        (b"accept-ranges", b"bytes"),
        (b"content-length", b"%d" % part.length),
    ]
    if part.status != 200:
        which = f"{part.start}-{part.start + part.length - 1}" if part.length else "*"
        headers.append((b"content-range", f"bytes {which}/{stored.size}".encode()))
    await send({"type": "http.response.start", "status": part.status, "headers": headers})
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body", "body": b""})
        return
    await asyncio.to_thread(opened.file.seek, part.start)
    left = part.length
    while left > 0 and not gone.done():
        data = await asyncio.to_thread(opened.file.read, min(left, PIECE))
        if not data:
            # Fewer bytes than announced: the closed connection tells the client so.
            raise OSError(f"the bytes of {stored.name!r} end too early")
        left -= len(data)
        await send({"type": "http.response.body", "body": data, "more_body": left > 0})
    if not part.length:
        await send({"type": "http.response.body", "body": b""})


def _part(wanted: str, size: int) -> _Part:
    """Return what a Range header asks for; all of it where the header makes no sense."""
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not any(found.groups()):
        return _Part(200, 0, size)
    first, last = found.groups()
    if not first:
        start, end = max(0, size - int(last)), size - 1
    else:
        start, end = int(first), min(int(last), size - 1) if last else size - 1
    if last and first and int(last) < int(first):
        return _Part(200, 0, size)
    if start >= size or end < start:
        return _Part(416, 0, 0)
    return _Part(206, start, end - start + 1)


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _header(scope: Scope, name: bytes) -> str:
    for found, value in scope["headers"]:
        if found == name:
            text: str = value.decode("latin-1")
            return text
    return ""


async def _refuse(
    send: Send, status: int, detail: ErrorDetail, headers: Sequence[Header] = ()
) -> None:
    body = _encode(ErrorReply(detail))
    await _reply(send, status, body, [(b"content-type", b"application/json"), *headers])


async def _reply(send: Send, status: int, body: bytes, headers: Sequence[Header]) -> None:
    headers = [*headers, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
