"""Conditions on rows: ``column``, ``op`` and a text that is converted to the column's dtype."""

from collections.abc import Callable, Sequence
from datetime import UTC
from typing import Any, NamedTuple

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gristmill.workers.frames import dtypes
from gristmill.workers.frames.columns import AS_JSON, missing_mask, unite_array
from gristmill.workers.frames.manifest import Column
from gristmill.workers.refusals import RefusedError

LONGEST_PATTERN = 1_000
_TRUE, _FALSE = {"true", "1", "yes", "y", "t", "on"}, {"false", "0", "no", "n", "f", "off"}
_TEXT_OPS = {"contains", "startswith", "endswith", "regex"}
_ORDERED = {"gt", "gte", "lt", "lte", "between"}
OPS = {"eq", "ne", "in", "nin", "isnull", *_TEXT_OPS, *_ORDERED}


class Filter(NamedTuple):
    """One condition, its values parsed."""

    column: Column
    op: str
    values: list[Any]


def parse_filters(columns: Sequence[Column], wanted: Sequence[Sequence[str]]) -> list[Filter]:
    """Return the conditions. Raises RefusedError naming the parameter."""
    by_name = {column.name: column for column in columns}
    found = []
    for name, op, text in wanted:
        field = name if op == "eq" else f"{name}__{op}"
        if name not in by_name:
            raise RefusedError(f"there is no column {name[:80]!r}", field)
        if op not in OPS:
            raise RefusedError(
                f"there is no operation {op[:40]!r}; known: {', '.join(sorted(OPS))}", field
            )
        found.append(Filter(by_name[name], op, _parse(by_name[name], op, text, field)))
    return found


def _parse(column: Column, op: str, text: str, field: str) -> list[Any]:
    if op == "isnull":
        return [_truth(text, field)]
    if op in _TEXT_OPS:
        return [_pattern(column, op, text, field)]
    texts = text.split(",") if op in {"in", "nin", "between"} else [text]
    if op == "between" and len(texts) != 2:
        raise RefusedError("give two values with a comma between", field)
    return [_value(column.dtype, each, field) for each in texts]


def _pattern(column: Column, op: str, text: str, field: str) -> str:
    if column.dtype not in {dtypes.OBJECT, dtypes.CATEGORY}:
        raise RefusedError(f"{op} is for text, the column is {column.dtype}", field)
    if len(text) > LONGEST_PATTERN:
        raise RefusedError(f"is longer than {LONGEST_PATTERN} characters", field)
    if op == "regex":
        try:
            pc.match_substring_regex(pa.array([""]), text)
        except pa.ArrowInvalid as error:
            raise RefusedError(f"is no regular expression: {error}", field) from error
    return text


def _truth(text: str, field: str) -> bool:
    word = text.strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise RefusedError(f"must be true or false, not {text[:40]!r}", field)


def _value(dtype: str, text: str, field: str) -> Any:
    try:
        if dtypes.is_truth(dtype):
            return _truth(text, field)
        if dtypes.time_parts(dtype):
            return _time(dtype, text)
        if dtypes.is_number(dtype):
            return float(text) if "loat" in dtype or not _is_whole(text) else int(text)
    except (ValueError, TypeError, OverflowError) as error:
        raise RefusedError(f"{text[:40]!r} is no value of a column of {dtype}", field) from error
    return text


def _is_whole(text: str) -> bool:
    return text.strip().lstrip("+-").isdigit()


def _time(dtype: str, text: str) -> Any:
    times = dtypes.time_parts(dtype)
    assert times is not None
    kind, _, zone = times
    if kind == "timedelta64":
        value = int(text) if _is_whole(text) else pd.Timedelta(text).value
        return pa.scalar(value, pa.duration("ns"))
    moment = pd.Timestamp(text)
    if moment is pd.NaT:
        raise ValueError("no time")
    if zone is not None:
        moment = moment.tz_localize(zone) if moment.tzinfo is None else moment
    elif moment.tzinfo is not None:
        moment = moment.tz_convert(UTC).tz_localize(None)
    naive = moment if moment.tzinfo is None else moment.tz_convert(UTC).tz_localize(None)
    return pa.scalar(naive.as_unit("ns").value, pa.int64()).cast(pa.timestamp("ns", zone and "UTC"))


def mask(conditions: Sequence[Filter], table: Any) -> Any:
    """Return which rows of a piece meet all conditions; an absent column holds only gaps."""
    whole = None
    for condition in conditions:
        one = _mask(condition, table)
        whole = one if whole is None else pc.and_(whole, one)
    return whole


def _mask(condition: Filter, table: Any) -> Any:
    name = f"c{condition.column.number}"
    if name not in table.schema.names:
        column, as_json = pa.nulls(table.num_rows), False
    else:
        column = table.column(name).combine_chunks()
        as_json = (table.schema.field(name).metadata or {}) == AS_JSON
    gaps = missing_mask(column)
    if condition.op == "isnull":
        return gaps if condition.values[0] else pc.invert(gaps)
    negated = condition.op in {"ne", "nin"}
    if pa.types.is_null(column.type):
        return pa.array([negated] * table.num_rows)
    met = pc.fill_null(_compare(condition, column, as_json=as_json), False)
    met = pc.and_(met, pc.invert(gaps))
    return pc.invert(met) if negated else met


def _compare(condition: Filter, column: Any, *, as_json: bool) -> Any:
    dtype, op, values = condition.column.dtype, condition.op, condition.values
    if dtype in {dtypes.OBJECT, dtypes.CATEGORY} and (
        as_json or not pa.types.is_string(column.type)
    ):
        return _compare_objects(op, values, column, as_json=as_json)
    column = unite_array(column, dtype)
    if pa.types.is_timestamp(column.type) or pa.types.is_duration(column.type):
        column = column.cast(values[0].type)
    return _OPERATIONS[op](column, values)


def _among(column: Any, values: Sequence[Any]) -> Any:
    whole = pc.equal(column, values[0])
    for value in values[1:]:
        whole = pc.or_kleene(whole, pc.equal(column, value))
    return whole


_OPERATIONS: dict[str, Callable[[Any, Sequence[Any]], Any]] = {
    "eq": _among,
    "ne": _among,
    "in": _among,
    "nin": _among,
    "gt": lambda column, values: pc.greater(column, values[0]),
    "gte": lambda column, values: pc.greater_equal(column, values[0]),
    "lt": lambda column, values: pc.less(column, values[0]),
    "lte": lambda column, values: pc.less_equal(column, values[0]),
    "between": lambda column, values: pc.and_kleene(
        pc.greater_equal(column, values[0]), pc.less_equal(column, values[1])
    ),
    "contains": lambda column, values: pc.match_substring(column, values[0]),
    "startswith": lambda column, values: pc.starts_with(column, values[0]),
    "endswith": lambda column, values: pc.ends_with(column, values[0]),
    "regex": lambda column, values: pc.match_substring_regex(column, values[0]),
}


def _compare_objects(op: str, values: Sequence[str], column: Any, *, as_json: bool) -> Any:
    """Compare what is no plain text, value by value, as text or as the number it may be."""
    cells = column.to_pylist()
    if as_json:
        cells = [None if text is None else msgspec.json.decode(text) for text in cells]
    texts = pa.array([_as_text(cell) for cell in cells], pa.string())
    if op in _ORDERED and all(isinstance(cell, int | float) or cell is None for cell in cells):
        numbers = pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
        try:
            return _OPERATIONS[op](numbers, [float(value) for value in values])
        except ValueError as error:
            raise RefusedError(f"{values!r} are no numbers, as the column's values are") from error
    return _OPERATIONS[op](texts, values)


def _as_text(cell: Any) -> str | None:
    if cell is None or isinstance(cell, str):
        return cell
    return msgspec.json.encode(cell).decode()


def may_match(condition: Filter, statistics: Any) -> bool:
    """Whether a row group with these statistics can have a row that meets the condition."""
    if (
        statistics is None
        or not statistics.has_min_max
        or not dtypes.is_number(condition.column.dtype)
    ):
        return True
    low, high, values = statistics.min, statistics.max, condition.values
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return True
    checks: dict[str, Callable[[], bool]] = {
        "eq": lambda: low <= values[0] <= high,
        "in": lambda: any(low <= value <= high for value in values),
        "gt": lambda: high > values[0],
        "gte": lambda: high >= values[0],
        "lt": lambda: low < values[0],
        "lte": lambda: low <= values[0],
        "between": lambda: high >= values[0] and low <= values[1],
    }
    check = checks.get(condition.op)
    return True if check is None else check()
