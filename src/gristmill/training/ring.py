"""All-reduce over sockets: ranks stand in a ring, and each passes a part on at a time.

Every rank sends 2 (n - 1) / n of the vector, whatever their number n is.
"""

import socket
import struct
import threading
import time
from itertools import pairwise
from types import TracebackType
from typing import Self

from gristmill.training.ranks import Place
from gristmill.training.vectors import DOUBLE, Vector, added, joined, packed, unpacked

PATIENCE = 60.0
"""Seconds that ranks wait for each other at the start."""

RETRY = 0.05
_LENGTH = struct.Struct("!Q")
_GREETING = struct.Struct("!I")


class Ring:
    """The connections of one rank to the next and from the one before."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._next: socket.socket | None = None
        self._previous: socket.socket | None = None
        if place.size > 1:
            self._join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for connection in (self._next, self._previous):
            if connection is not None:
                connection.close()

    def sum(self, values: Vector) -> Vector:
        """Return the sums over all ranks, element by element."""
        size, rank = self.place.size, self.place.rank
        if size == 1:
            return values
        parts = _parts(values, size)
        for step in range(size - 1):
            out, into = (rank - step) % size, (rank - step - 1) % size
            parts[into] = added(parts[into], self._pass_on(parts[out]))
        for step in range(size - 1):
            out, into = (rank - step + 1) % size, (rank - step) % size
            parts[into] = self._pass_on(parts[out])
        return joined(parts)

    def barrier(self) -> None:
        """Return when all ranks have come here."""
        self.sum(unpacked(bytes(DOUBLE * self.place.size)))

    def _pass_on(self, part: Vector) -> Vector:
        """Send a part to the next rank while one comes from the one before."""
        assert self._next is not None
        assert self._previous is not None
        sending = threading.Thread(target=_send, args=(self._next, packed(part)))
        sending.start()
        received = _receive(self._previous)
        sending.join()
        return unpacked(received)

    def _join(self) -> None:
        """Meet the others at the first rank, learn where each listens, and close the ring."""
        place = self.place
        with socket.create_server(("", 0)) as listener:
            listener.settimeout(PATIENCE)
            port = listener.getsockname()[1]
            addresses = _meet(place, port)
            after = addresses[(place.rank + 1) % place.size]
            self._next = socket.create_connection(after, PATIENCE)
            self._previous, _ = listener.accept()
        for connection in (self._next, self._previous):
            connection.settimeout(None)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _parts(values: Vector, count: int) -> list[Vector]:
    size = len(values)
    borders = [size * number // count for number in range(count + 1)]
    return [values[start:end] for start, end in pairwise(borders)]


def _meet(place: Place, port: int) -> list[tuple[str, int]]:
    if place.rank == 0:
        return _host_meeting(place, port)
    connection = _reach(place)
    with connection:
        _send(connection, _GREETING.pack(place.rank) + str(port).encode())
        lines = _receive(connection).decode().split("\n")
    found = [line.rsplit(" ", 1) for line in lines]
    # Rank 0 knows itself by no address that others could use: they reached it by this one.
    return [(host or place.address, int(number)) for host, number in found]


def _host_meeting(place: Place, port: int) -> list[tuple[str, int]]:
    known: dict[int, tuple[str, int]] = {0: ("", port)}
    guests = []
    with socket.create_server((place.address, place.port), reuse_port=False) as door:
        door.settimeout(PATIENCE)
        while len(known) < place.size:
            guest, (host, *_) = door.accept()
            greeting = _receive(guest)
            (rank,) = _GREETING.unpack(greeting[: _GREETING.size])
            known[rank] = (host, int(greeting[_GREETING.size :]))
            guests.append(guest)
        addresses = [known[rank] for rank in range(place.size)]
        text = "\n".join(f"{host} {number}" for host, number in addresses)
        for guest in guests:
            _send(guest, text.encode())
            guest.close()
    return [(host or place.address, number) for host, number in addresses]


def _reach(place: Place) -> socket.socket:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection((place.address, place.port), PATIENCE)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(RETRY)


def _send(connection: socket.socket, data: bytes) -> None:
    connection.sendall(_LENGTH.pack(len(data)) + data)


def _receive(connection: socket.socket) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    return _exactly(connection, length)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(min(size - len(data), 1 << 20))
        if not chunk:
            raise ConnectionError("another rank has left")
        data += chunk
    return bytes(data)
