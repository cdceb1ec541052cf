"""The index of a table: its labels, from the wire to columns and back."""

from typing import Any

import msgspec

from gristmill.workers.frames import columns as cells
from gristmill.workers.frames import dtypes
from gristmill.workers.frames.document import Index, Rows
from gristmill.workers.refusals import RefusedError

MULTI = "MultiIndex"
_DTYPES = {
    "Int64Index": "int64",
    "RangeIndex": "int64",
    "UInt64Index": "uint64",
    "Float64Index": "float64",
    "DatetimeIndex": "datetime64[ns]",
    "TimedeltaIndex": "timedelta64[ns]",
}


class Labels(msgspec.Struct):
    """Levels of an index: their dtypes, values and names."""

    dtypes: list[str]
    values: list[list[Any]]
    names: list[str | None]
    multi: bool = False


def labels_of(rows: Rows, index: Index | None) -> Labels:
    """Return the labels of a table, typed as the index says. Raises RefusedError."""
    values = list(range(rows.length)) if rows.labels is None else rows.labels
    kind = index.type if index is not None else None
    names = list(index.names) if index is not None and index.names else []
    if kind == MULTI or (kind is None and values and all(isinstance(v, list) for v in values)):
        return _levels(values, names)
    dtype = _dtype(values, kind, index)
    return Labels([dtype], [values], (names or [None])[:1])


def _dtype(values: list[Any], kind: str | None, index: Index | None) -> str:
    known = _DTYPES.get(kind or "")
    if known == "int64" and any(type(value) is not int for value in values):
        return cells.infer(values)
    if known == "datetime64[ns]" and index is not None:
        return _zoned(values, known)
    if known is not None:
        return known
    return cells.infer(values) if values else ("object" if kind else "int64")


def _zoned(values: list[Any], naive: str) -> str:
    """Return the dtype of times: instants of UTC when they carry an offset."""
    first = next((value for value in values if isinstance(value, str)), "")
    offset = first[10:]
    return (
        "datetime64[ns, UTC]" if "+" in offset or "-" in offset or offset.endswith("Z") else naive
    )


def _levels(values: list[Any], names: list[str | None]) -> Labels:
    width = len(values[0]) if values and isinstance(values[0], list) else len(names) or 1
    if not all(isinstance(value, list) and len(value) == width for value in values):
        raise RefusedError(f"every label must be a list of {width} values", "index.values")
    levels = [[value[at] for value in values] for at in range(width)]
    names = (names + [None] * width)[:width]
    return Labels([cells.infer(level) for level in levels], levels, names, multi=True)


def wire_type(levels: list[str], *, multi: bool) -> str:
    """Return the name of the index's class, as clients know it."""
    if multi:
        return MULTI
    dtype = levels[0]
    times = dtypes.time_parts(dtype)
    if times:
        return "DatetimeIndex" if times[0] == "datetime64" else "TimedeltaIndex"
    if dtypes.is_float(dtype):
        return "Float64Index"
    return "Int64Index" if dtypes.is_number(dtype) else "Index"
