"""JSON of columns whose cells are keyed by position, without a Python object for each key."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NEWLINE = 10
_encoder = msgspec.json.Encoder()


def keyed(names: Sequence[str], columns: Sequence[list[Any]], count: int) -> msgspec.Raw:
    """Return ``{"x": {"0": …, "1": …}, …}``."""
    if not count:
        return msgspec.Raw(_encoder.encode({name: {} for name in names}))
    prefixes = _prefixes(count)
    parts = [
        _encoder.encode(name) + b":{" + _cells(prefixes, cells) + b"}"
        for name, cells in zip(names, columns, strict=True)
    ]
    return msgspec.Raw(b"{" + b",".join(parts) + b"}")


def _prefixes(count: int) -> Any:
    positions = pa.array(np.arange(count)).cast(pa.large_string())
    front, behind, nothing = (pa.scalar(text, pa.large_string()) for text in (',"', '":', ""))
    keys = pc.binary_join_element_wise(front, positions, behind, nothing)
    return keys.cast(pa.large_binary())


def _cells(prefixes: Any, cells: list[Any]) -> bytes:
    """Return the cells behind their keys. Newlines end the values, where JSON allows a space."""
    lines = _encoder.encode_lines(cells)
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == NEWLINE) + 1
    offsets = np.concatenate(([0], ends)).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(lines)]
    values = pa.Array.from_buffers(pa.large_binary(), len(cells), buffers)
    joined = pc.binary_join_element_wise(prefixes, values, pa.scalar(b"", pa.large_binary()))
    _, _, data = joined.buffers()
    return bytes(memoryview(data)[1 : len(lines) + _size(prefixes)])


def _size(array: Any) -> int:
    return int(pc.sum(pc.binary_length(array)).as_py())
