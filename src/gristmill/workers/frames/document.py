"""A table as clients send it: JSON in any of pandas' orients, with dtypes and an index."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gristmill.workers.refusals import RefusedError

MOST_COLUMNS = 20_000


class Index(msgspec.Struct):
    """The labels of the rows. names: of the levels of a MultiIndex."""

    type: str | None = None
    values: list[Any] | None = None
    names: list[str | None] | None = None


class Document(msgspec.Struct):
    """What a client sends; further keys are ignored. kind: ``python.data`` is no table."""

    data: Any = msgspec.UNSET
    dtypes: dict[str, str] | None = None
    orient: str | None = None
    index: Index | None = None
    append: bool | None = None
    kind: str | None = None


class Rows(msgspec.Struct):
    """Columns in order, all of one length, and the labels of the rows: None for positions."""

    columns: dict[str, list[Any]]
    labels: list[Any] | None
    length: int


_decode = msgspec.json.Decoder(Document).decode


def parse(body: bytes) -> Document:
    """Read the JSON. Raises RefusedError."""
    try:
        document = _decode(body)
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        raise RefusedError(text, place.rstrip("`") or "body") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RefusedError(f"the body is not valid JSON: {error}", "body") from error
    except RecursionError as error:
        raise RefusedError("the body is nested too deeply", "body") from error
    if document.data is msgspec.UNSET:
        raise RefusedError("is missing", "data")
    return document


def rows_of(document: Document, orient: str) -> Rows:
    """Return the table in its final order, the labels typed by nothing yet. Raises RefusedError."""
    reader = _ORIENTS.get(orient)
    if reader is None:
        known = ", ".join(sorted(_ORIENTS))
        raise RefusedError(f"there is no orient {orient[:40]!r}; known: {known}", "orient")
    columns, keys, length = reader(document.data)
    if len(columns) > MOST_COLUMNS:
        raise RefusedError(f"{len(columns)} columns, at most {MOST_COLUMNS}", "data")
    values = document.index.values if document.index is not None else None
    if values is None:
        return Rows(columns, _plain_labels(keys), length)
    if not columns and not length:
        return Rows(columns, values, len(values))
    if len(values) != length:
        raise RefusedError(f"{len(values)} labels for {length} rows", "index.values")
    order = None if keys is None else _order(keys, values)
    if order is not None:
        columns = {name: [cells[at] for at in order] for name, cells in columns.items()}
    return Rows(columns, values, length)


def _plain_labels(keys: list[str] | None) -> list[Any] | None:
    """Labels are the keys; whole numbers when all of them are."""
    if keys is None or keys == list(map(str, range(len(keys)))):
        return None
    try:
        numbers = [int(key) for key in keys]
    except ValueError:
        return list(keys)
    return numbers if list(map(str, numbers)) == keys else list(keys)


def _order(keys: list[str], values: Sequence[Any]) -> list[int] | None:
    """Return which row comes where, None for as they are."""
    texts = list(map(str, values))
    if keys == texts:
        return None
    positions = list(map(str, range(len(keys))))
    if keys == positions:
        return None
    place = {key: at for at, key in enumerate(keys)}
    if len(place) == len(keys) and all(key in place for key in positions):
        return [place[key] for key in positions]
    if len(set(texts)) == len(texts) and set(texts) == set(place):
        return [place[text] for text in texts]
    return None


_Table = tuple[dict[str, list[Any]], list[str] | None, int]


def _by_column(data: Any) -> _Table:
    if not isinstance(data, dict):
        raise RefusedError("must be an object of columns for this orient", "data")
    columns: dict[str, list[Any]] = {}
    keys: list[str] | None = None
    if all(isinstance(cells, list) for cells in data.values()):
        return _lists(data)
    for name, cells in data.items():
        if not isinstance(cells, dict):
            raise RefusedError(
                "must be an object of label to value, as the other columns", f"data.{name}"
            )
        own = list(cells)
        if keys is None:
            keys = own
        elif own != keys:
            return _ragged(data)
        columns[name] = list(cells.values())
    return columns, keys, len(keys or ())


def _ragged(data: dict[str, dict[str, Any]]) -> _Table:
    """Columns that do not have the same labels: a row for each label, gaps are null."""
    keys: dict[str, None] = {}
    for name, cells in data.items():
        if not isinstance(cells, dict):
            raise RefusedError(
                "must be an object of label to value, as the other columns", f"data.{name}"
            )
        keys.update(dict.fromkeys(cells))
    columns = {name: [cells.get(key) for key in keys] for name, cells in data.items()}
    return columns, list(keys), len(keys)


def _lists(data: Any) -> _Table:
    if not isinstance(data, dict) or not all(isinstance(cells, list) for cells in data.values()):
        raise RefusedError("must be an object of column to list for this orient", "data")
    lengths = {len(cells) for cells in data.values()}
    if len(lengths) > 1:
        raise RefusedError("the columns have different lengths", "data")
    return dict(data), None, lengths.pop() if lengths else 0


def _records(data: Any) -> _Table:
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise RefusedError("must be a list of objects for this orient", "data")
    return _from_rows(data), None, len(data)


def _by_row(data: Any) -> _Table:
    if not isinstance(data, dict) or not all(isinstance(row, dict) for row in data.values()):
        raise RefusedError("must be an object of label to row for this orient", "data")
    return _from_rows(list(data.values())), list(data), len(data)


def _from_rows(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    if len(names) * len(rows) > 200_000_000:
        raise RefusedError("too many columns differ from row to row", "data")
    return {name: [row.get(name) for row in rows] for name in names}


def _split(data: Any) -> _Table:
    if not isinstance(data, dict) or not {"columns", "data"} <= set(data):
        raise RefusedError("must be an object with columns and data for this orient", "data")
    names, rows, labels = data["columns"], data["data"], data.get("index")
    if not isinstance(names, list) or not isinstance(rows, list):
        raise RefusedError("columns and data must be lists", "data")
    texts = [name if isinstance(name, str) else str(name) for name in names]
    if len(set(texts)) != len(texts):
        raise RefusedError("a column is named twice", "data.columns")
    if not all(isinstance(row, list) and len(row) == len(texts) for row in rows):
        raise RefusedError(f"every row must be a list of {len(texts)} values", "data.data")
    columns = {name: [row[at] for row in rows] for at, name in enumerate(texts)}
    keys = None
    if isinstance(labels, list):
        if len(labels) != len(rows):
            raise RefusedError(f"{len(labels)} labels for {len(rows)} rows", "data.index")
        keys = [str(label) for label in labels]
    return columns, keys, len(rows)


_ORIENTS: dict[str, Callable[[Any], _Table]] = {
    "dict": _by_column,
    "columns": _by_column,
    "list": _lists,
    "records": _records,
    "index": _by_row,
    "split": _split,
    "tight": _split,
}
