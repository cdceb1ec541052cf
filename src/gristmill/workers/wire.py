"""What goes over a worker's socket: one question and one answer to a connection.

Either is a header in msgpack and a body of raw bytes, which nobody between the client and the
worker looks into.
"""

import socket
import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

PREFIX = struct.Struct(">BIQ")
"""Whether the answer is a refusal, bytes of the header, bytes of the body."""

LARGEST_HEADER = 64 << 20

SMALL = 1 << 16
"""Bytes; pieces below this are sent together with their neighbours."""

INVALID, MISSING, TOO_LARGE, INTERNAL = "invalid", "missing", "too_large", "internal"
"""Kinds of refusal."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Any]).decode

Header = dict[str, Any]


class Frame(NamedTuple):
    """A question or an answer. more: what of the body follows, in pieces that are not joined."""

    header: Header
    body: bytes
    more: Sequence[bytes | memoryview] = ()


class BrokenWireError(Exception):
    """The other side went away in the middle of a frame."""


def pack_head(header: Header, size: int) -> bytes:
    """Return what comes before a body of that many bytes."""
    packed = _encode(header)
    return PREFIX.pack("refused" in header, len(packed), size) + packed


def unpack(data: bytes) -> Frame:
    """Return the frame that the bytes are. Raises BrokenWireError."""
    if len(data) < PREFIX.size:
        raise BrokenWireError
    _, header_size, body_size = PREFIX.unpack_from(data)
    start = PREFIX.size + header_size
    if len(data) != start + body_size:
        raise BrokenWireError
    return Frame(unpack_header(data[PREFIX.size : start]), data[start:])


def unpack_header(data: bytes | bytearray) -> Header:
    """Return the header. Raises msgspec.DecodeError."""
    return _decode(data)


def send(
    connection: socket.socket,
    header: Header,
    body: bytes = b"",
    more: Sequence[bytes | memoryview] = (),
) -> None:
    """Write one frame."""
    head = pack_head(header, len(body) + sum(map(len, more)))
    pending = bytearray(head)
    for piece in (body, *more):
        if len(piece) < SMALL:
            pending += piece
            continue
        connection.sendall(pending)
        connection.sendall(piece)
        pending.clear()
    if pending:
        connection.sendall(pending)


def receive(connection: socket.socket) -> Frame:
    """Read one frame. Raises BrokenWireError."""
    _, header_size, body_size = PREFIX.unpack(_exactly(connection, PREFIX.size))
    if header_size > LARGEST_HEADER:
        raise BrokenWireError
    header = unpack_header(_exactly(connection, header_size))
    return Frame(header, _exactly(connection, body_size))


def _exactly(connection: socket.socket, size: int) -> bytes:
    if size == 0:
        return b""
    data = connection.recv(size, socket.MSG_WAITALL)
    if len(data) == size:
        return data
    whole = bytearray(data)
    while len(whole) < size:
        more = connection.recv(size - len(whole), socket.MSG_WAITALL)
        if not more:
            raise BrokenWireError
        whole += more
    return bytes(whole)
