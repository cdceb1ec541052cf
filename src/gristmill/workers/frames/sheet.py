"""Rows of a table as JSON, grown piece by piece: only one piece at a time is Python objects."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from gristmill.workers.frames.keyed import keyed, prefixes

ORIENTS = ("dict", "columns", "list", "records", "index", "split", "tight")

_encode = msgspec.json.Encoder().encode


class Sheet:
    """What ``data`` of a reply holds: as pandas' to_dict shapes rows whose labels are positions."""

    def __init__(self, names: Sequence[str], orient: str) -> None:
        """Take the columns' names in order. orient: one of ORIENTS."""
        self._names, self._orient = list(names), orient
        self._by_column = orient in {"dict", "columns", "list"}
        self._parts: list[list[bytes]] = [[] for _ in names] if self._by_column else [[]]
        self.rows = 0

    def add(self, columns: Sequence[list[Any]], count: int) -> None:
        """Take the next rows, a list of cells for each column."""
        if not self._by_column:
            self._parts[0].append(self._lines(columns, count))
        elif self._orient == "list":
            for parts, cells in zip(self._parts, columns, strict=True):
                parts.append(listed(cells))
        else:
            keys = prefixes(self.rows, count)
            for parts, cells in zip(self._parts, columns, strict=True):
                parts.append(keyed(keys, cells))
        self.rows += count

    def _lines(self, columns: Sequence[list[Any]], count: int) -> bytes:
        rows: list[Any]
        if self._orient in {"records", "index"}:
            names = self._names
            rows = [dict(zip(names, row, strict=True)) for row in _rows(columns, count)]
        else:
            rows = list(_rows(columns, count))
        return keyed(prefixes(self.rows, count), rows) if self._orient == "index" else listed(rows)

    def data(self) -> Iterator[bytes]:
        """Yield the JSON text in pieces."""
        if self._by_column:
            opening, closing = (b"[", b"]") if self._orient == "list" else (b"{", b"}")
            yield b"{"
            for at, (name, parts) in enumerate(zip(self._names, self._parts, strict=True)):
                yield (b"," if at else b"") + _encode(name) + b":" + opening
                yield from joined(parts)
                yield closing
            yield b"}"
        elif self._orient in {"records", "index"}:
            opening, closing = (b"[", b"]") if self._orient == "records" else (b"{", b"}")
            yield opening
            yield from joined(self._parts[0])
            yield closing
        else:
            yield from self._split()

    def _split(self) -> Iterator[bytes]:
        head = {"index": list(range(self.rows)), "columns": self._names}
        yield _encode(head)[:-1] + b',"data":['
        yield from joined(self._parts[0])
        yield b"]"
        if self._orient == "tight":
            yield b',"index_names":[null],"column_names":[null]'
        yield b"}"


def listed(cells: Sequence[Any]) -> bytes:
    """Return cells as the next items of a JSON list: a comma before each."""
    return b"," + _encode(cells)[1:-1]


def joined(parts: Sequence[bytes]) -> Iterator[bytes]:
    """Yield parts that begin with a comma as what stands between two brackets."""
    for at, part in enumerate(parts):
        yield part if at else part[1:]


def _rows(columns: Sequence[list[Any]], count: int) -> Iterator[tuple[Any, ...]]:
    return zip(*columns, strict=True) if columns else iter([()] * count)
