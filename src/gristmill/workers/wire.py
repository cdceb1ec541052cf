"""What goes over a worker's socket: one question and one answer to a connection.

Either is a header in msgpack and a body of raw bytes, which nobody between the client and the
worker looks into.
"""

import socket
import struct
from typing import Any, NamedTuple

import msgspec

CALLS_SOCKET = "data.sock"
TASKS_SOCKET = "tasks.sock"
"""Names in the server's home. Calls share a few processes; each task gets one of its own."""

PREFIX = struct.Struct(">IQ")
"""Bytes of the header, bytes of the body."""

LARGEST_HEADER = 64 << 20

INVALID, MISSING, TOO_LARGE, INTERNAL = "invalid", "missing", "too_large", "internal"
"""Kinds of refusal."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Any]).decode

Header = dict[str, Any]


class Frame(NamedTuple):
    """A question or an answer."""

    header: Header
    body: bytes


class BrokenWireError(Exception):
    """The other side went away in the middle of a frame."""


def pack_head(header: Header, size: int) -> bytes:
    """Return what comes before a body of that many bytes."""
    packed = _encode(header)
    return PREFIX.pack(len(packed), size) + packed


def unpack_header(data: bytes) -> Header:
    """Return the header. Raises msgspec.DecodeError."""
    return _decode(data)


def send(connection: socket.socket, header: Header, body: bytes = b"") -> None:
    """Write one frame."""
    head = pack_head(header, len(body))
    if len(body) < 1 << 16:
        connection.sendall(head + body)
    else:
        connection.sendall(head)
        connection.sendall(body)


def receive(connection: socket.socket) -> Frame:
    """Read one frame. Raises BrokenWireError."""
    header_size, body_size = PREFIX.unpack(_exactly(connection, PREFIX.size))
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
