"""Arithmetic on vectors of doubles: NumPy's where it is installed, plain Python's elsewhere."""

from array import array
from collections.abc import Sequence
from typing import Any


def _numpy() -> Any:
    try:
        import numpy as np
    except ImportError:
        return None
    return np


np = _numpy()

DOUBLE = 8
Vector = Any
"""A NumPy array or an ``array('d')``."""


def vector(values: Sequence[float]) -> Vector:
    """Return a vector of these numbers."""
    return array("d", values) if np is None else np.array(values, dtype=float)


def filled(size: int, value: float) -> Vector:
    """Return a vector of equal numbers."""
    return array("d", [value]) * size if np is None else np.full(size, value)


def packed(part: Vector) -> bytes:
    """Return the bytes of a vector."""
    data: bytes = part.tobytes()
    return data


def unpacked(data: bytes) -> Vector:
    """Return the vector of these bytes."""
    if np is not None:
        return np.frombuffer(data)
    found = array("d")
    found.frombytes(data)
    return found


def added(one: Vector, other: Vector) -> Vector:
    """Return the sum of two vectors."""
    if np is not None:
        return one + other
    return array("d", [a + b for a, b in zip(one, other, strict=True)])


def joined(parts: Sequence[Vector]) -> Vector:
    """Return vectors end to end."""
    if np is not None:
        return np.concatenate(parts)
    found = array("d")
    for part in parts:
        found.extend(part)
    return found
