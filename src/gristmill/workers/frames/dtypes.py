"""The dtypes that columns may have, by the names that pandas gives them."""

import re
from typing import Any

import numpy as np
import pyarrow as pa

from gristmill.workers.refusals import RefusedError

OBJECT, CATEGORY, BOOL, FLOAT, INT = "object", "category", "bool", "float64", "int64"
_PLAIN = {
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    "float16",
    "float32",
    "float64",
    "bool",
}
_NULLABLE = {
    **{
        f"{sign}Int{bits}": f"{sign}int{bits}".lower()
        for sign in ("", "U")
        for bits in (8, 16, 32, 64)
    },
    "Float32": "float32",
    "Float64": "float64",
    "boolean": "bool",
}
_TEXT = {"object", "str", "string", "string[python]", "string[pyarrow]", "O", "unicode"}
_SHORT = {
    "int": "int64",
    "float": "float64",
    "datetime64": "datetime64[ns]",
    "timedelta64": "timedelta64[ns]",
}
_TIME = re.compile(r"(datetime64|timedelta64)\[(s|ms|us|ns)(?:, ([^\]]{1,64}))?\]\Z")
UNITS = ("s", "ms", "us", "ns")


def canonical(name: str, field: str) -> str:
    """Return the name in its one spelling; text is ``object``. Raises RefusedError."""
    name = _SHORT.get(name, name)
    if name in _PLAIN or name in _NULLABLE or name == CATEGORY:
        return name
    if name in _TEXT:
        return OBJECT
    found = _TIME.match(name)
    if found and not (found[1] == "timedelta64" and found[3]):
        _check_zone(found[3], field)
        return name
    raise RefusedError(f"there is no dtype {name[:80]!r} for columns", field)


def _check_zone(zone: str | None, field: str) -> None:
    if zone is None:
        return
    try:
        np_time = pa.array([0], pa.timestamp("s")).cast(pa.timestamp("s", zone))
        pa.compute.hour(np_time)
    except (pa.ArrowException, KeyError, OSError) as error:
        raise RefusedError(f"there is no time zone {zone!r}", field) from error


def time_parts(dtype: str) -> tuple[str, str, str | None] | None:
    """Return (datetime64 or timedelta64, unit, zone) of a column of times, else None."""
    found = _TIME.match(dtype)
    return (found[1], found[2], found[3]) if found else None


def is_float(dtype: str) -> bool:
    """Whether gaps are NaN."""
    return dtype in {"float16", "float32", "float64"}


def is_number(dtype: str) -> bool:
    """Whether values are numbers, nullable or not."""
    return (dtype in _PLAIN and dtype != BOOL) or (dtype in _NULLABLE and dtype != "boolean")


def is_truth(dtype: str) -> bool:
    """Whether values are true and false."""
    return dtype in {BOOL, "boolean"}


def is_nullable(dtype: str) -> bool:
    """Whether it is one of pandas' dtypes with gaps of their own."""
    return dtype in _NULLABLE


def arrow_type(dtype: str) -> Any:
    """Return how a column is stored; None where its values decide."""
    if dtype in _PLAIN or dtype in _NULLABLE:
        return pa.from_numpy_dtype(np.dtype(_NULLABLE.get(dtype, dtype)))
    times = time_parts(dtype)
    if times is None:
        return None
    kind, unit, zone = times
    return pa.timestamp(unit, zone) if kind == "datetime64" else pa.duration(unit)


def unite(first: str, second: str) -> str:
    """Return the dtype that holds both, as a concat of pandas would."""
    if first == second:
        return first
    if is_nullable(first) != is_nullable(second) and _base(first) == _base(second):
        return first if is_nullable(first) else second
    if is_number(first) and is_number(second):
        return _unite_numbers(first, second)
    times = time_parts(first), time_parts(second)
    if times[0] and times[1] and times[0][0] == times[1][0] and times[0][2] == times[1][2]:
        unit = max(times[0][1], times[1][1], key=UNITS.index)
        zone = f", {times[0][2]}" if times[0][2] else ""
        return f"{times[0][0]}[{unit}{zone}]"
    return OBJECT


def _base(dtype: str) -> str:
    return _NULLABLE.get(dtype, dtype)


def _unite_numbers(first: str, second: str) -> str:
    plain = str(np.result_type(_base(first), _base(second)))
    if is_nullable(first) or is_nullable(second):
        return next((name for name, base in _NULLABLE.items() if base == plain), "Float64")
    return plain


def with_gaps(dtype: str) -> str:
    """Return the dtype that a column takes on when rows lack it."""
    if dtype == BOOL:
        return OBJECT
    if is_number(dtype) and not is_nullable(dtype) and not is_float(dtype):
        return FLOAT
    return dtype
