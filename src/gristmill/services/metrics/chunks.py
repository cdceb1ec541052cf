"""How the points of a chunk are packed: small, and quick where only numbers are wanted.

times: what lies between neighbours, as 32-bit integers where that suffices. numbers: doubles,
absent when a value is none. texts: the values as they were sent, absent when the numbers spell
them. extras: metadata and cumulative flags, absent when all are at their defaults.
"""

import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import msgspec

from gristmill.domain.metrics import Point, number
from gristmill.store.metrics import NewChunk, Packed

CHUNK = 1024
"""Points of a full chunk: some 13 kB, read in about 50 microseconds."""

_LEVEL = 1
_SHORT, _LONG = b"i", b"q"
_LARGEST_SHORT = (1 << 31) - 1
_encode = msgspec.msgpack.Encoder().encode
_texts = msgspec.msgpack.Decoder(list[str]).decode


class _Extras(msgspec.Struct, array_like=True):
    """Each point's index into the different pairs of metadata and cumulative."""

    pairs: list[tuple[str, bool]]
    indices: list[int]


_extras = msgspec.msgpack.Decoder(_Extras).decode


class Window(NamedTuple):
    """What a summary reads of a chunk; times in microseconds from the chunk's first."""

    steps: Sequence[int]
    numbers: Sequence[float]
    extras: bytes | None

    def since_first(self, index: int) -> int:
        """Return the microseconds from the chunk's first point to this one."""
        return sum(self.steps[:index])

    def cumulative(self, index: int) -> bool:
        """Whether the point at index is a running total."""
        if self.extras is None:
            return False
        extras = _extras(zlib.decompress(self.extras))
        return extras.pairs[extras.indices[index]][1]


def pack(points: Sequence[Point]) -> NewChunk:
    """Return the chunk of points that are in order of time; there is at least one."""
    moments = [point.at for point in points]
    numbers = [number(point.value) for point in points]
    values = None if None in numbers else array("d", [value or 0.0 for value in numbers])
    return NewChunk(
        first_at=moments[0],
        last_at=moments[-1],
        points=len(points),
        in_numbers=int(values is not None),
        total=None if values is None else _total(values),
        packed=Packed(
            _pack_times(moments),
            None if values is None else values.tobytes(),
            _pack_texts(points, values),
            _pack_extras(points),
        ),
    )


def unpack(first_at: int, packed: Packed) -> list[Point]:
    """Return the points of a chunk."""
    moments = times(first_at, packed)
    if packed.texts is not None:
        values = _texts(zlib.decompress(packed.texts))
    else:
        assert packed.numbers is not None, "a chunk without texts has numbers"
        values = [repr(value) for value in _numbers(packed.numbers)]
    if packed.extras is None:
        return [Point(at, value) for at, value in zip(moments, values, strict=True)]
    extras = _extras(zlib.decompress(packed.extras))
    pairs = (extras.pairs[index] for index in extras.indices)
    return [
        Point(at, value, metadata, cumulative)
        for at, value, (metadata, cumulative) in zip(moments, values, pairs, strict=True)
    ]


def times(first_at: int, packed: Packed) -> list[int]:
    """Return the times of a chunk's points, microseconds since 1970."""
    return list(accumulate(_steps(packed.times), initial=first_at))


def window(packed: Packed) -> Window:
    """Return the numbers of a chunk that is all numbers."""
    assert packed.numbers is not None, "only chunks of numbers are summarised"
    return Window(_steps(packed.times), _numbers(packed.numbers), packed.extras)


def _total(values: Sequence[float]) -> float | None:
    total = sum(values)
    # SQLite keeps no nan; None stands for it.
    return total if total == total else None


def _pack_times(moments: Sequence[int]) -> bytes:
    steps = [later - earlier for earlier, later in pairwise(moments)]
    if max(steps, default=0) <= _LARGEST_SHORT:
        return _SHORT + array("i", steps).tobytes()
    return _LONG + array("q", steps).tobytes()


def _steps(packed: bytes) -> Sequence[int]:
    steps = array(packed[:1].decode())
    steps.frombytes(packed[1:])
    return steps


def _numbers(numbers: bytes) -> Sequence[float]:
    values = array("d")
    values.frombytes(numbers)
    return values


def _pack_texts(points: Sequence[Point], numbers: Sequence[float] | None) -> bytes | None:
    if numbers is not None and all(
        repr(value) == point.value for point, value in zip(points, numbers, strict=True)
    ):
        return None
    return zlib.compress(_encode([point.value for point in points]), _LEVEL)


def _pack_extras(points: Sequence[Point]) -> bytes | None:
    places: dict[tuple[str, bool], int] = {}
    indices = [
        places.setdefault((point.metadata, point.cumulative), len(places)) for point in points
    ]
    if list(places) == [("", False)]:
        return None
    return zlib.compress(_encode(_Extras(list(places), indices)), _LEVEL)
