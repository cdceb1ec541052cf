"""Tables: written from a client's JSON, read back as JSON or for a model."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa

from gristmill.workers import documents
from gristmill.workers.blobs import Blobs, blobs_at
from gristmill.workers.frames import columns as cells
from gristmill.workers.frames import dtypes
from gristmill.workers.frames.columns import AS_JSON
from gristmill.workers.frames.document import Document, Rows, parse, rows_of
from gristmill.workers.frames.filters import parse_filters
from gristmill.workers.frames.labels import Labels, labels_of, wire_type
from gristmill.workers.frames.manifest import DOCUMENTS, Column, Manifest, manifest_of, select
from gristmill.workers.frames.parts import Wanted, merge, mergeable, pieces, read_part, write_part
from gristmill.workers.frames.sheet import ORIENTS, Sheet, joined
from gristmill.workers.frames.shelf import SHELF
from gristmill.workers.frames.texts import NULL, items, join, listed, repeated, texts
from gristmill.workers.refusals import RefusedError
from gristmill.workers.wire import Frame

_encode = msgspec.json.Encoder().encode


def write(question: Frame) -> Frame:
    """Store a client's dataset: as new, in the place of the old one, or after what it holds."""
    header = question.header
    blobs = blobs_at(header["root"])
    document = parse(question.body)
    old = manifest_of(header["manifest"]) if header["manifest"] is not None else None
    append = header["append"] if header["append"] is not None else document.append
    fresh = old is None or append is False
    base = Manifest() if fresh or old is None else old
    if documents.kind_of(document.kind, None if fresh else base) == DOCUMENTS:
        table, manifest = documents.arrange(document.data, base)
    else:
        rows = rows_of(document, header["orient"] or document.orient or "dict")
        if rows.length == 0 and not fresh:
            same = {"manifest": msgspec.to_builtins(base), "dropped": [], "changed": False}
            return Frame(same, b"")
        table, manifest = _arrange(rows, document, base)
        if not manifest.columns and old is not None:
            manifest = emptied(old)
    dropped = [part.path for part in old.parts] if fresh and old is not None else []
    dropped += _store(blobs, header["path"], table, manifest)
    return Frame(
        {"manifest": msgspec.to_builtins(manifest), "dropped": dropped, "changed": True}, b""
    )


def emptied(old: Manifest) -> Manifest:
    """Return a dataset without its rows, of which the columns stay."""
    return msgspec.structs.replace(old, rows=0, parts=[])


def _arrange(rows: Rows, document: Document, base: Manifest) -> tuple[Any, Manifest]:
    """Return the new rows as a part's table, and the manifest as it is with them."""
    given = {
        name: dtypes.canonical(dtype, f"dtypes.{name}")
        for name, dtype in (document.dtypes or {}).items()
    }
    known = {column.name: column for column in base.columns}
    arrays: dict[str, Any] = {}
    fields = []
    merged: dict[str, Column] = {}
    number = base.next
    for name, values in rows.columns.items():
        dtype = given.get(name) or cells.infer(values)
        array, as_json = cells.to_arrow(values, dtype, f"data.{name}")
        if name in known:
            place = known[name].number
        else:
            place, number = number, number + 1
        merged[name] = Column(place, name, dtype)
        arrays[f"c{place}"] = array
        fields.append(pa.field(f"c{place}", array.type, metadata=AS_JSON if as_json else None))
    for name, dtype in given.items():
        if name not in merged and name not in known and not rows.length:
            merged[name] = Column(number, name, dtype)
            number += 1
    labels = labels_of(rows, document.index)
    for level, (values, dtype) in enumerate(zip(labels.values, labels.dtypes, strict=True)):
        array, as_json = cells.to_arrow(values, dtype, "index.values")
        arrays[f"i{level}"] = array
        fields.append(pa.field(f"i{level}", array.type, metadata=AS_JSON if as_json else None))
    manifest = Manifest(
        columns=_unite(base, merged, rows.length),
        rows=base.rows,
        next=number,
        parts=list(base.parts),
    )
    _unite_labels(manifest, base, labels)
    return pa.table(list(arrays.values()), schema=pa.schema(fields)), manifest


def _unite(base: Manifest, new: dict[str, Column], length: int) -> list[Column]:
    """Return the columns of old and new rows together, dtypes widened."""
    known = {column.name: column for column in base.columns}
    united = []
    for name, column in known.items():
        if base.rows == 0 and name in new:
            united.append(new[name])
        elif name in new:
            united.append(Column(column.number, name, dtypes.unite(column.dtype, new[name].dtype)))
        else:
            dtype = dtypes.with_gaps(column.dtype) if length else column.dtype
            united.append(Column(column.number, name, dtype))
    for name, column in new.items():
        if name not in known:
            dtype = dtypes.with_gaps(column.dtype) if base.rows else column.dtype
            united.append(Column(column.number, name, dtype))
    return united


def _unite_labels(manifest: Manifest, base: Manifest, labels: Labels) -> None:
    if base.rows == 0:
        manifest.levels, manifest.names, manifest.multi = labels.dtypes, labels.names, labels.multi
        return
    if base.multi != labels.multi or len(base.levels) != len(labels.dtypes):
        raise RefusedError(
            "the labels have another number of levels than those of the rows before", "index"
        )
    manifest.levels = [dtypes.unite(*pair) for pair in zip(base.levels, labels.dtypes, strict=True)]
    manifest.names, manifest.multi = base.names, base.multi


def _store(blobs: Blobs, path: str, table: Any, manifest: Manifest) -> list[str]:
    """Write the new part, together with small ones before it; return the paths of those."""
    if not table.num_rows:
        return []
    dropped = []
    count = mergeable(manifest.parts, table.num_rows)
    if count:
        last = manifest.parts[-count:]
        whole = merge([*(read_part(blobs, part) for part in last), table])
        if whole is not None:
            dropped = [part.path for part in last]
            del manifest.parts[-count:]
            manifest.rows += table.num_rows
            manifest.parts.append(write_part(blobs, path, whole))
            return dropped
    manifest.rows += table.num_rows
    manifest.parts.append(write_part(blobs, path, table))
    return dropped


def read(question: Frame) -> Frame:
    """Return rows as JSON: ``data``, ``dtypes``, ``index``, ``orient``, and what else was given."""
    header = question.header
    orient = header["orient"]
    if orient not in ORIENTS:
        raise RefusedError(
            f"there is no orient {orient[:40]!r}; known: {', '.join(ORIENTS)}", "orient"
        )
    manifest = manifest_of(header["manifest"])
    if manifest.kind == DOCUMENTS:
        return documents.read(question, manifest)
    wanted = Wanted(
        select(manifest.columns, header["select"]),
        parse_filters(manifest.columns, header["filters"]),
        header["skip"],
        header["limit"],
    )
    sheet = Sheet([column.name for column in wanted.columns], orient)
    labels: list[bytes | memoryview] = []
    for table in pieces(blobs_at(header["root"]), manifest, wanted):
        found = [_texts(table, f"c{column.number}", column.dtype) for column in wanted.columns]
        sheet.add(found, table.num_rows)
        labels.append(_labels(manifest, table))
    about = {
        "dtypes": {column.name: column.dtype for column in wanted.columns},
        "orient": orient,
        **header["extra"],
    }
    body = [b'{"data":', *sheet.data(), b',"index":', *_index(manifest, labels)]
    return Frame({"rows": sheet.rows}, b"", [*body, b"," + _encode(about)[1:]])


def _texts(table: Any, name: str, dtype: str) -> Any:
    if name not in table.schema.names:
        return repeated(NULL, table.num_rows)
    column, as_json = _column(table, name, dtype)
    return texts(column, as_json=as_json)


def _column(table: Any, name: str, dtype: str) -> tuple[Any, bool]:
    """Return a stored column as the whole table has it, and whether it holds JSON texts."""
    as_json = (table.schema.field(name).metadata or {}) == AS_JSON
    column = table.column(name)
    return (column if as_json else cells.unite_array(column, dtype)), as_json


def _labels(manifest: Manifest, table: Any) -> bytes | memoryview:
    if not manifest.multi:
        column, as_json = _column(table, "i0", manifest.levels[0])
        return listed(column, as_json=as_json)
    levels = [_texts(table, f"i{level}", dtype) for level, dtype in enumerate(manifest.levels)]
    behind = [piece for level in levels[1:] for piece in (",", level)]
    return items(join("[", levels[0], *behind, "]"))


def _index(
    manifest: Manifest, labels: Sequence[bytes | memoryview]
) -> Iterator[bytes | memoryview]:
    kind = wire_type(manifest.levels, multi=manifest.multi)
    yield _encode({"type": kind})[:-1] + b',"values":['
    yield from joined(labels)
    yield b"]" + (b',"names":' + _encode(manifest.names) if manifest.multi else b"") + b"}"


def load_frame(root: str, manifest: Manifest, text: str | None) -> pd.DataFrame:
    """Return the whole table, or the columns a projection names, for scikit-learn."""
    if manifest.kind == DOCUMENTS:
        raise RefusedError(documents.NO_COLUMNS, "data")
    wanted = Wanted(select(manifest.columns, text), labels=False)
    columns = tuple((column.number, column.name, column.dtype) for column in wanted.columns)
    key = (root, tuple(part.path for part in manifest.parts), columns)
    return SHELF.get(key, lambda: _load(root, manifest, wanted))


def _load(root: str, manifest: Manifest, wanted: Wanted) -> pd.DataFrame:
    found: dict[str, list[Any]] = {column.name: [] for column in wanted.columns}
    count = 0
    for table in pieces(blobs_at(root), manifest, wanted):
        count += table.num_rows
        for column in wanted.columns:
            found[column.name].append(_series(table, column))
    series = {column.name: _joined(found[column.name], column.dtype) for column in wanted.columns}
    return pd.DataFrame(series, index=range(count))


def _series(table: Any, column: Column) -> "pd.Series[Any]":
    name = f"c{column.number}"
    if name not in table.schema.names:
        return pd.Series([None] * int(table.num_rows), dtype=object)
    stored, as_json = _column(table, name, column.dtype)
    return cells.to_series(stored, column.dtype, as_json=as_json)


def _joined(parts: "list[pd.Series[Any]]", dtype: str) -> "pd.Series[Any]":
    if not parts:
        return pd.Series([], dtype="object" if dtype == dtypes.CATEGORY else dtype)
    whole = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    if dtype == dtypes.CATEGORY:
        return whole.astype("category")
    return whole if str(whole.dtype) == dtype or dtype == dtypes.OBJECT else whole.astype(dtype)
