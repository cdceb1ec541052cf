"""Datasets that are no tables: JSON values, of which each write adds one.

They are kept as a table of one column of JSON texts, so they grow and are read in pages as tables.
"""

from typing import Any

import msgspec
import pyarrow as pa

from gristmill.workers.blobs import blobs_at
from gristmill.workers.frames.columns import AS_JSON
from gristmill.workers.frames.manifest import DOCUMENTS, TABLE, Column, Manifest
from gristmill.workers.frames.parts import Wanted, pieces
from gristmill.workers.frames.sheet import joined
from gristmill.workers.frames.texts import listed
from gristmill.workers.refusals import RefusedError
from gristmill.workers.wire import Frame

_SCHEMA = pa.schema([pa.field("c0", pa.string(), metadata=AS_JSON)])
_encode = msgspec.json.Encoder().encode


def kind_of(given: str | None, base: Manifest | None) -> str:
    """Return what a write is of: what it says, else what is there. base: what it adds to.

    Raises RefusedError.
    """
    if given not in {None, TABLE, DOCUMENTS}:
        raise RefusedError(f"must be {TABLE} or {DOCUMENTS}, not {given[:40]!r}", "kind")
    if base is None:
        return given or TABLE
    if given is not None and given != base.kind:
        raise RefusedError(
            f"the dataset is of kind {base.kind}: replace it with append=false", "kind"
        )
    return base.kind


def arrange(value: Any, base: Manifest) -> tuple[Any, Manifest]:
    """Return a part with one more document, and the manifest as it is with it."""
    table = pa.table([pa.array([_encode(value).decode()])], schema=_SCHEMA)
    columns = [Column(0, "data", "object")]
    return table, Manifest(columns, rows=base.rows, next=1, parts=list(base.parts), kind=DOCUMENTS)


def read(question: Frame, manifest: Manifest) -> Frame:
    """Return documents as JSON: ``data`` is the list of them, and nothing describes columns."""
    header = question.header
    for name, op, _ in header["filters"]:
        raise RefusedError(NO_COLUMNS, name if op == "eq" else f"{name}__{op}")
    if header["select"] is not None:
        raise RefusedError(NO_COLUMNS, "columns")
    wanted = Wanted(manifest.columns, (), header["skip"], header["limit"])
    found = [
        listed(table.column("c0"), as_json=True)
        for table in pieces(blobs_at(header["root"]), manifest, wanted)
    ]
    about = {"dtypes": None, "index": None, "orient": "records", **header["extra"]}
    return Frame({}, b"", [b'{"data":[', *joined(found), b"]," + _encode(about)[1:]])


NO_COLUMNS = f"the dataset is of kind {DOCUMENTS}, which has no columns"
