"""Parts of a table: Parquet files, read piece by piece and only in the columns asked for."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from gristmill.workers.blobs import Blobs, buffer
from gristmill.workers.frames.filters import Filter, mask, may_match
from gristmill.workers.frames.manifest import Column, Manifest, Part

ROW_GROUP = 65_536
"""Rows that are read at once at least; a page costs no more than one or two of these."""

GROUP_BYTES = 32 << 20
"""Bytes of rows in memory that are read at once at most, unless a single row is larger."""

LARGEST_MERGED = 1_000_000
LARGEST_MERGED_BYTES = 256 << 20
"""Rows and stored bytes; parts up to this size are merged as a table grows, so there are few."""


class Wanted(NamedTuple):
    """Which columns and rows to read. limit: None for all that follow."""

    columns: Sequence[Column]
    filters: Sequence[Filter] = ()
    skip: int = 0
    limit: int | None = None
    labels: bool = True


def write_part(blobs: Blobs, path: str, table: Any) -> Part:
    """Store a table as one part; it is durable when this returns."""
    sink = buffer()
    pq.write_table(
        table,
        sink,
        row_group_size=_rows_of_a_group(table),
        compression="zstd",
        compression_level=1,
        use_dictionary=_texts_of(table) or False,
    )
    size = blobs.write(path, sink.getbuffer())
    return Part(path, table.num_rows, size)


def _rows_of_a_group(table: Any) -> int:
    rows: int = table.num_rows * GROUP_BYTES // max(1, table.nbytes)
    return max(1, min(ROW_GROUP, rows))


def _texts_of(table: Any) -> list[str]:
    """Return the columns of text, which tends to repeat itself; of numbers each is another."""
    return [field.name for field in table.schema if pa.types.is_string(field.type)]


def read_part(blobs: Blobs, part: Part) -> Any:
    """Return a whole part."""
    with blobs.open(part.path) as file:
        return pq.read_table(file, use_threads=False)


def mergeable(parts: Sequence[Part], rows: int) -> int:
    """Return how many of the last parts are so small that new rows should join them."""
    count, total, size = 0, rows, 0
    for part in reversed(parts):
        total, size = total + part.rows, size + part.size
        if 3 * part.rows > 2 * total or total > LARGEST_MERGED or size > LARGEST_MERGED_BYTES:
            break
        count += 1
    return count


def merge(tables: Sequence[Any]) -> Any | None:
    """Return the tables as one, gaps where one lacks a column; None when types differ."""
    fields: dict[str, Any] = {}
    for table in tables:
        for field in table.schema:
            known = fields.setdefault(field.name, field)
            if known.type != field.type or known.metadata != field.metadata:
                return None
    schema = pa.schema(list(fields.values()))
    return pa.concat_tables([_widened(table, schema) for table in tables]).combine_chunks()


def _widened(table: Any, schema: Any) -> Any:
    have = set(table.schema.names)
    arrays = [
        table.column(field.name) if field.name in have else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


class _Window:
    """The rows between skip and limit of a stream of tables."""

    def __init__(self, skip: int, limit: int | None) -> None:
        self._skip, self._left = skip, limit

    @property
    def full(self) -> bool:
        return self._left == 0

    def passes_over(self, rows: int) -> bool:
        """Whether so many rows that follow lie before the window; then they count as gone by."""
        if self._skip < rows:
            return False
        self._skip -= rows
        return True

    def cut(self, table: Any) -> Any:
        """Return what of the following rows lies in the window."""
        gone = min(self._skip, table.num_rows)
        self._skip -= gone
        table = table.slice(gone, self._left)
        if self._left is not None:
            self._left -= table.num_rows
        return table


def pieces(blobs: Blobs, manifest: Manifest, wanted: Wanted) -> Iterator[Any]:
    """Yield the rows asked for, in order, as tables of the columns and labels asked for."""
    window = _Window(wanted.skip, wanted.limit)
    for part in manifest.parts:
        if window.full:
            return
        if not wanted.filters and window.passes_over(part.rows):
            continue
        with blobs.open(part.path) as file:
            for table in _groups(pq.ParquetFile(file), wanted, window):
                if table.num_rows:
                    yield table


def _groups(file: Any, wanted: Wanted, window: _Window) -> Iterator[Any]:
    """Yield what of a part's row groups is asked for; others are not read."""
    names = _names(file.schema_arrow.names, wanted)
    for number in range(file.num_row_groups):
        if window.full:
            return
        group = file.metadata.row_group(number)
        if not wanted.filters and window.passes_over(group.num_rows):
            continue
        if not all(_may_match(condition, file, group) for condition in wanted.filters):
            continue
        table = file.read_row_group(number, columns=names, use_threads=False)
        if wanted.filters:
            table = table.filter(mask(wanted.filters, table))
        yield window.cut(table)


def _names(present: Sequence[str], wanted: Wanted) -> list[str]:
    numbers = {column.number for column in wanted.columns}
    numbers.update(condition.column.number for condition in wanted.filters)
    return [
        name
        for name in present
        if (name[0] == "c" and int(name[1:]) in numbers) or (name[0] == "i" and wanted.labels)
    ]


def _may_match(condition: Filter, file: Any, group: Any) -> bool:
    names = file.schema_arrow.names
    name = f"c{condition.column.number}"
    if name not in names:
        return True
    return may_match(condition, group.column(names.index(name)).statistics)
