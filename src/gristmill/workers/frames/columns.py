"""One column: from JSON values to Arrow, and back to JSON values."""

import base64
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.workers.frames import dtypes
from gristmill.workers.frames.dtypes import CATEGORY, OBJECT
from gristmill.workers.refusals import RefusedError

AS_JSON = {b"json": b"1"}
"""Metadata of a field whose strings are JSON texts of the values."""

_NONE = type(None)
_encode = msgspec.json.Encoder().encode
_INTEGERS = (-(1 << 63), (1 << 63) - 1)


def infer(values: Sequence[Any]) -> str:
    """Return the dtype that pandas would give the values."""
    kinds = set(map(type, values))
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        low, high = _INTEGERS
        return "int64" if min(values) >= low and max(values) <= high else OBJECT
    if kinds and kinds <= {int, float, _NONE} and kinds != {_NONE}:
        return "float64"
    return OBJECT


def to_arrow(values: Sequence[Any], dtype: str, field: str) -> tuple[Any, bool]:
    """Return the values as an Arrow array, and whether it holds JSON texts.

    Numbers in a column of times are milliseconds, as pandas writes them. Raises RefusedError.
    """
    try:
        if dtype in {OBJECT, CATEGORY}:
            return _objects(values)
        if dtypes.time_parts(dtype):
            return _times(values, dtype, field), False
        return _numbers(values, dtype), False
    except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
        raise RefusedError(f"not all values are {dtype}: {str(error)[:200]}", field) from error


def _objects(values: Sequence[Any]) -> tuple[Any, bool]:
    kinds = set(map(type, values)) - {_NONE}
    if kinds <= {str}:
        return pa.array(values, pa.string()), False
    if len(kinds) == 1 and kinds <= {int, float, bool}:
        return pa.array(values), False
    texts = [None if value is None else _encode(value).decode() for value in values]
    return pa.array(texts, pa.string()), True


def _numbers(values: Sequence[Any], dtype: str) -> Any:
    kinds = set(map(type, values))
    arrow = dtypes.arrow_type(dtype)
    if dtypes.is_float(dtype):
        return pa.array(np.array(_as_numbers(values, kinds), dtype=dtype))
    if _NONE in kinds and not dtypes.is_nullable(dtype):
        raise ValueError("null has no place among them")
    if str in kinds:
        values = [float(value) if isinstance(value, str) else value for value in values]
    if dtypes.is_truth(dtype):
        return pa.array(values, pa.float64() if kinds - {bool, _NONE} else None).cast(arrow)
    if kinds == {int}:
        return pa.array(np.array(values, dtype=str(arrow) if arrow != pa.float32() else None))
    return pa.array(values, pa.float64() if float in kinds or str in kinds else None).cast(arrow)


def _as_numbers(values: Sequence[Any], kinds: set[type]) -> Sequence[Any]:
    if not kinds <= {int, float, bool, str, _NONE}:
        raise ValueError("a list or an object is no number")
    if str not in kinds:
        return values
    return [float(value) if isinstance(value, str) else value for value in values]


def _times(values: Sequence[Any], dtype: str, field: str) -> Any:
    times = dtypes.time_parts(dtype)
    assert times is not None
    kind, unit, zone = times
    arrow = dtypes.arrow_type(dtype)
    kinds = set(map(type, values)) - {_NONE}
    if not kinds <= {int, float, str}:
        raise RefusedError("times are ISO texts or milliseconds", field)
    if str in kinds:
        return _times_from_text(values, kind, arrow, zone)
    coarse = pa.timestamp("ms", zone) if kind == "datetime64" else pa.duration("ms")
    if float in kinds:
        nanoseconds = [None if value is None else round(value * 1e6) for value in values]
        coarse = pa.timestamp("ns", zone) if kind == "datetime64" else pa.duration("ns")
        return pa.array(nanoseconds, pa.int64()).cast(coarse).cast(arrow, safe=unit == "ns")
    return pa.array(values, pa.int64()).cast(coarse).cast(arrow, safe=unit != "s")


def _times_from_text(values: Sequence[Any], kind: str, arrow: Any, zone: str | None) -> Any:
    mixed = [
        pd.Timestamp(value, unit="ms") if isinstance(value, int | float) else value
        for value in values
    ]
    if kind == "timedelta64":
        return pa.array(pd.to_timedelta(pd.Series(values, dtype=object)), arrow, from_pandas=True)
    parsed = pd.to_datetime(pd.Series(mixed, dtype=object), format="ISO8601", utc=True)
    utc = pa.array(parsed.dt.tz_localize(None), from_pandas=True)
    if zone is not None:
        return utc.cast(pa.timestamp(utc.type.unit, "UTC")).cast(arrow, safe=False)
    return utc.cast(arrow, safe=False)


def unite_array(column: Any, dtype: str) -> Any:
    """Return a stored column as the dtype of the whole dataset, where Arrow can do that."""
    wanted = dtypes.arrow_type(dtype)
    if wanted is None or column.type == wanted:
        return column
    if pa.types.is_null(column.type):
        return column.cast(wanted)
    return column.cast(wanted, safe=False)


def to_values(column: Any) -> list[Any]:
    """Return cells that have no short way to JSON as it shows them: times as ISO text."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return _iso(column)
    cells: list[Any] = column.to_pylist()
    if pa.types.is_binary(kind):
        return [None if cell is None else base64.b64encode(cell).decode() for cell in cells]
    return cells


def _iso(column: Any) -> list[Any]:
    if column.type.tz is not None:
        zoned = column.to_pandas()
        return [None if each is pd.NaT else each.isoformat() for each in zoned]
    times = (
        column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    )
    missing = np.isnat(times)
    seconds = times.astype("datetime64[s]")
    if bool(np.all(missing | (seconds.astype(times.dtype) == times))):
        texts: list[Any] = np.datetime_as_string(seconds).tolist()
    else:
        texts = [_iso_text(text) for text in np.datetime_as_string(times).tolist()]
    if missing.any():
        texts = [None if gone else text for text, gone in zip(texts, missing.tolist(), strict=True)]
    return texts


def _iso_text(text: str) -> str:
    """Shorten a fraction as isoformat does: none, six or nine digits."""
    whole, _, fraction = text.partition(".")
    fraction = fraction.ljust(9, "0")
    if fraction == "000000000":
        return whole
    return f"{whole}.{fraction[:6] if fraction.endswith('000') else fraction}"


def to_series(column: Any, dtype: str, *, as_json: bool) -> "pd.Series[Any]":
    """Return a column for scikit-learn."""
    if as_json:
        texts = column.to_pylist()
        values = [None if text is None else msgspec.json.decode(text) for text in texts]
        return pd.Series(values, dtype=object)
    if dtype == OBJECT:
        return pd.Series(column.to_pylist(), dtype=object)
    series = column.to_pandas()
    if dtype == CATEGORY:
        return series.astype("category")
    if dtypes.is_nullable(dtype):
        return pd.Series(column.to_pylist(), dtype=dtype)
    return series


def missing_mask(column: Any) -> Any:
    """Return where values are missing, NaN included."""
    return pc.is_null(column, nan_is_null=True)
