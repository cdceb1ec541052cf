"""JSON of cells that are keyed by position, without a Python object for each key."""

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

NEWLINE = 10
_encode_lines = msgspec.json.Encoder().encode_lines
_FRONT, _BEHIND, _NOTHING = (pa.scalar(text, pa.large_string()) for text in (',"', '":', ""))
_NO_BYTES = pa.scalar(b"", pa.large_binary())


def prefixes(start: int, count: int) -> Any:
    """Return what stands before the cells of so many rows: a comma, the position, a colon."""
    positions = pa.array(np.arange(start, start + count)).cast(pa.large_string())
    keys = pc.binary_join_element_wise(_FRONT, positions, _BEHIND, _NOTHING)
    return keys.cast(pa.large_binary())


def keyed(keys: Any, cells: list[Any]) -> bytes:
    """Return the cells behind their keys. Newlines end the values, where JSON allows a space."""
    lines = _encode_lines(cells)
    ends = np.flatnonzero(np.frombuffer(lines, np.uint8) == NEWLINE) + 1
    offsets = np.concatenate(([0], ends)).astype(np.int64)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(lines)]
    values = pa.Array.from_buffers(pa.large_binary(), len(cells), buffers)
    whole = pc.binary_join_element_wise(keys, values, _NO_BYTES)
    _, _, data = whole.buffers()
    return bytes(memoryview(data)[: len(lines) + _size(keys)])


def _size(array: Any) -> int:
    return int(pc.sum(pc.binary_length(array)).as_py())
