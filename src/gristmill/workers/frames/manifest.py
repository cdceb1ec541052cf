"""What a stored table consists of. The server keeps it; the parts never change."""

from collections.abc import Sequence
from typing import Any

import msgspec

from gristmill.workers.refusals import RefusedError

TABLE, DOCUMENTS = "pandas.dfrows", "python.data"
"""Kinds of datasets."""


class Column(msgspec.Struct, array_like=True):
    """A column. number: what it is called inside the parts; never used again for another."""

    number: int
    name: str
    dtype: str


class Part(msgspec.Struct, array_like=True):
    """One Parquet file with the next rows."""

    path: str
    rows: int
    size: int


class Manifest(msgspec.Struct):
    """A dataset. levels: dtypes of the index. next: number of the next new column."""

    columns: list[Column] = []
    levels: list[str] = msgspec.field(default_factory=lambda: ["int64"])
    names: list[str | None] = msgspec.field(default_factory=lambda: [None])
    multi: bool = False
    rows: int = 0
    next: int = 0
    parts: list[Part] = []
    kind: str = TABLE


def manifest_of(value: Any) -> Manifest:
    """Return the manifest that came in a header."""
    return msgspec.convert(value, Manifest)


def select(columns: Sequence[Column], text: str | None) -> list[Column]:
    """Return the columns a projection names: ``x,y``, ``a:b`` (inclusive) or ``^y``.

    None: all. Raises RefusedError for a column that is not there.
    """
    if text is None or not text.strip():
        return list(columns)
    by_name = {column.name: column for column in columns}
    if text in by_name:
        return [by_name[text]]
    if text.startswith("^"):
        dropped = {_named(by_name, name).number for name in _names(text[1:])}
        return [column for column in columns if column.number not in dropped]
    if ":" in text and "," not in text:
        return _slice(columns, by_name, text)
    return [_named(by_name, name) for name in _names(text)]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _slice(columns: Sequence[Column], by_name: dict[str, Column], text: str) -> list[Column]:
    first, _, last = (part.strip() for part in text.partition(":"))
    order = list(columns)
    start = order.index(_named(by_name, first)) if first else 0
    stop = order.index(_named(by_name, last)) + 1 if last else len(order)
    return order[start:stop]


def _named(by_name: dict[str, Column], name: str) -> Column:
    if name not in by_name:
        raise RefusedError(f"there is no column {name[:80]!r}", "columns")
    return by_name[name]
