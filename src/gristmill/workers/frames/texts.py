"""Cells as JSON texts, a column at a time: what a reply holds is a join of those.

No cell becomes an object of Python where Arrow or NumPy can write it.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.workers.frames.columns import to_values

COMMA, NEWLINE, QUOTE, BACKSLASH, SPACE = b',\n"\\ '
NULL = "null"
_LARGE = pa.large_string()
_QUOTE = pa.scalar('"', _LARGE)
_NOTHING = pa.scalar("", _LARGE)
_TRUE, _FALSE = pa.scalar("true", _LARGE), pa.scalar("false", _LARGE)
_ZEROS = {"s": "0" * 9, "ms": "0" * 6, "us": "0" * 3, "ns": ""}
"""What makes a number of such units one of nanoseconds, which need not fit into 64 bits."""

_encode_lines = msgspec.json.Encoder().encode_lines


def texts(column: Any, *, as_json: bool) -> Any:
    """Return the JSON of every cell: times are ISO texts, durations nanoseconds, gaps null."""
    array = _whole(column)
    if as_json:
        return array.cast(_LARGE).fill_null(NULL)
    return next(write for fits, write in _WRITERS if fits(array.type))(array)


def listed(column: Any, *, as_json: bool) -> bytes | memoryview:
    """Return the JSON of cells as the next items of a list: a comma before each."""
    array = _whole(column)
    if len(array) and (pa.types.is_floating(array.type) or _all_integers(array)):
        return b"," + memoryview(_numbers(array))[1:-1]
    return items(texts(array, as_json=as_json))


def items(cells: Any) -> memoryview:
    """Return texts as the next items of a list: a comma before each."""
    return data_of(join(",", cells))


def _all_integers(array: Any) -> bool:
    return bool(pa.types.is_integer(array.type) and not array.null_count)


def join(*pieces: Any) -> Any:
    """Return the texts of each row one behind the other; a piece for all rows is a text."""
    scalars = [pa.scalar(each, _LARGE) if isinstance(each, str) else each for each in pieces]
    return pc.binary_join_element_wise(*scalars, _NOTHING)


def data_of(array: Any) -> memoryview:
    """Return all texts of a joined array as the bytes that they are."""
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return memoryview(data)[int(ends[0]) : int(ends[-1])] if data is not None else memoryview(b"")


def repeated(text: str, count: int) -> Any:
    """Return the same text for so many rows."""
    return pa.repeat(pa.scalar(text, _LARGE), count)


def _whole(column: Any) -> Any:
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _nulls(array: Any) -> Any:
    return repeated(NULL, len(array))


def _integers(array: Any) -> Any:
    return array.cast(_LARGE).fill_null(NULL)


def _truths(array: Any) -> Any:
    return pc.if_else(array, _TRUE, _FALSE).fill_null(NULL)


def _floats(array: Any) -> Any:
    """Write the list of all and take it apart; a comma behind an item becomes a space."""
    if not len(array):
        return pa.array([], _LARGE)
    data = np.frombuffer(_numbers(array), np.uint8)[1:-1].copy()
    commas = np.flatnonzero(data == COMMA)
    data[commas] = SPACE
    return _sliced(np.concatenate(([0], commas + 1, [len(data)])), data)


def _numbers(array: Any) -> bytes:
    """Return the JSON list of numbers; what is not finite is null."""
    values = np.ascontiguousarray(array.to_numpy(zero_copy_only=False))
    wide = values.astype(np.float64) if values.dtype.kind == "f" else values
    return orjson.dumps(wide, option=orjson.OPT_SERIALIZE_NUMPY)


def _durations(array: Any) -> Any:
    counts = array.cast(pa.int64())
    numbers = counts.cast(_LARGE)
    zeros = _ZEROS[array.type.unit]
    if zeros:
        numbers = pc.if_else(pc.equal(counts, 0), numbers, join(numbers, zeros))
    return numbers.fill_null(NULL)


def _strings(array: Any) -> Any:
    array = array.cast(_LARGE)
    if _needs_escapes(array):
        return _others(array)
    return join(_QUOTE, array, _QUOTE).fill_null(NULL)


def _needs_escapes(array: Any) -> bool:
    data = np.frombuffer(data_of(array), np.uint8)
    return bool(((data < SPACE) | (data == QUOTE) | (data == BACKSLASH)).any())


def _others(array: Any) -> Any:
    """Write cells as objects, a line for each: JSON allows for the space that ends it."""
    lines = np.frombuffer(_encode_lines(to_values(array)), np.uint8)
    ends = np.flatnonzero(lines == NEWLINE) + 1
    return _sliced(np.concatenate(([0], ends)), lines)


def _sliced(offsets: Any, data: Any) -> Any:
    buffers = [None, pa.py_buffer(offsets.astype(np.int64)), pa.py_buffer(data)]
    return pa.Array.from_buffers(_LARGE, len(offsets) - 1, buffers)


_WRITERS: tuple[tuple[Callable[[Any], bool], Callable[[Any], Any]], ...] = (
    (pa.types.is_null, _nulls),
    (pa.types.is_boolean, _truths),
    (pa.types.is_integer, _integers),
    (pa.types.is_floating, _floats),
    (pa.types.is_duration, _durations),
    (pa.types.is_string, _strings),
    (pa.types.is_large_string, _strings),
    (bool, _others),
)
