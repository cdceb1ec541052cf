"""Rows of a table as JSON, grown piece by piece: texts of cells, joined by Arrow."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from gristmill.workers.frames.texts import data_of, items, join, listed, repeated

ORIENTS = ("dict", "columns", "list", "records", "index", "split", "tight")

MOST_KEYS = 16
"""Keys of so many pieces are kept for the next table; they take up to 1.3 megabytes each."""

_encode = msgspec.json.Encoder().encode


class Sheet:
    """What ``data`` of a reply holds: as pandas' to_dict shapes rows whose labels are positions."""

    def __init__(self, names: Sequence[str], orient: str) -> None:
        """Take the columns' names in order. orient: one of ORIENTS."""
        self._names, self._orient = [_encode(name).decode() for name in names], orient
        self._by_column = orient in {"dict", "columns", "list"}
        self._parts: list[list[bytes | memoryview]] = (
            [[] for _ in names] if self._by_column else [[]]
        )
        self.rows = 0

    def add(self, columns: Sequence[Any], count: int) -> None:
        """Take the next rows: the texts of their cells, an array for each column."""
        if not self._by_column:
            self._parts[0].append(data_of(self._lines(columns, count)))
        elif self._orient == "list":
            for parts, cells in zip(self._parts, columns, strict=True):
                parts.append(items(cells))
        else:
            keys = keys_of(self.rows, count)
            for parts, cells in zip(self._parts, columns, strict=True):
                parts.append(data_of(join(keys, cells)))
        self.rows += count

    def _lines(self, columns: Sequence[Any], count: int) -> Any:
        named = self._orient in {"records", "index"}
        opening, closing = "{}" if named else "[]"
        front = [keys_of(self.rows, count)] if self._orient == "index" else [repeated(",", count)]
        cells: list[Any] = []
        for name, column in zip(self._names, columns, strict=True):
            cells += ["," if cells else "", f"{name}:" if named else "", column]
        return join(*front, opening, *cells, closing)

    def data(self) -> Iterator[bytes | memoryview]:
        """Yield the JSON text in pieces."""
        if self._by_column:
            opening, closing = "[]" if self._orient == "list" else "{}"
            yield b"{"
            for at, (name, parts) in enumerate(zip(self._names, self._parts, strict=True)):
                yield f"{',' if at else ''}{name}:{opening}".encode()
                yield from joined(parts)
                yield closing.encode()
            yield b"}"
        elif self._orient in {"records", "index"}:
            brackets = b"[]" if self._orient == "records" else b"{}"
            yield brackets[:1]
            yield from joined(self._parts[0])
            yield brackets[1:]
        else:
            yield from self._split()

    def _split(self) -> Iterator[bytes | memoryview]:
        yield b'{"index":['
        yield from joined([listed(pa.array(np.arange(self.rows)), as_json=False)])
        yield f'],"columns":[{",".join(self._names)}],"data":['.encode()
        yield from joined(self._parts[0])
        yield b"]"
        if self._orient == "tight":
            yield b',"index_names":[null],"column_names":[null]'
        yield b"}"


@lru_cache(maxsize=MOST_KEYS)
def keys_of(start: int, count: int) -> Any:
    """Return what stands before the cells of so many rows: a comma, the position, a colon."""
    positions = pa.array(np.arange(start, start + count)).cast(pa.large_string())
    return join(',"', positions, '":')


def joined(parts: Sequence[bytes | memoryview]) -> Iterator[bytes | memoryview]:
    """Yield parts that begin with a comma as what stands between two brackets."""
    for at, part in enumerate(parts):
        yield part if at else part[1:]
