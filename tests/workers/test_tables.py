"""Any frame comes back as it went in; rows are found by position and by condition."""

import math
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill.workers.refusals import RefusedError
from tests.workers.tables import Shelf, from_wire, to_wire

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
MILLISECONDS = st.integers(-(10**12), 4 * 10**12)
SPANS = st.integers(-9_223_372_036_854, 9_223_372_036_854)
"""Milliseconds: all whose nanoseconds have 64 bits."""

MISSING = st.none()
SETTINGS: Any = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}


def _times(milliseconds: list[int | None], zone: str | None = None) -> Any:
    times = pd.to_datetime(pd.Series(milliseconds, dtype="Int64"), unit="ms", utc=True)
    return times.dt.tz_convert(zone) if zone else times.dt.tz_localize(None)


def _spans(milliseconds: list[int | None]) -> Any:
    nanoseconds = [pd.NaT if each is None else each * 1_000_000 for each in milliseconds]
    return pd.Series(nanoseconds, dtype="timedelta64[ns]")


def _column(kind: str, size: int) -> st.SearchStrategy[Any]:
    def cells(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(strategy, min_size=size, max_size=size)

    floats = st.floats(allow_nan=False, allow_infinity=False, width=32)
    return {
        "int64": cells(st.integers(-(1 << 63), (1 << 63) - 1)).map(
            lambda v: pd.Series(v, dtype="int64")
        ),
        "uint8": cells(st.integers(0, 255)).map(lambda v: pd.Series(v, dtype="uint8")),
        "float64": cells(st.one_of(MISSING, st.floats(allow_nan=False, allow_infinity=False))).map(
            lambda v: pd.Series(v, dtype="float64")
        ),
        "float32": cells(floats).map(lambda v: pd.Series(v, dtype="float32")),
        "bool": cells(st.booleans()).map(lambda v: pd.Series(v, dtype="bool")),
        "object": cells(st.one_of(MISSING, TEXT)).map(lambda v: pd.Series(v, dtype="object")),
        "mixed": cells(
            st.one_of(
                MISSING, TEXT, st.booleans(), st.integers(-99, 99), st.lists(TEXT, max_size=2)
            )
        ).map(lambda v: pd.Series(v, dtype="object")),
        "datetime": cells(st.one_of(MISSING, MILLISECONDS)).map(_times),
        "zoned": cells(st.one_of(MISSING, MILLISECONDS)).map(lambda v: _times(v, "Europe/Berlin")),
        "timedelta": cells(st.one_of(MISSING, SPANS)).map(_spans),
        "category": cells(st.one_of(MISSING, st.sampled_from(["a", "b", "ä"]))).map(
            lambda v: pd.Series(v, dtype="category")
        ),
        "Int64": cells(st.one_of(MISSING, st.integers(-(1 << 53), 1 << 53))).map(
            lambda v: pd.Series(v, dtype="Int64")
        ),
        "boolean": cells(st.one_of(MISSING, st.booleans())).map(
            lambda v: pd.Series(v, dtype="boolean")
        ),
    }[kind]


KINDS = ["int64", "uint8", "float64", "float32", "bool", "object", "mixed", "datetime", "zoned",
         "timedelta", "category", "Int64", "boolean"]  # fmt: skip


LABELS = ["range", "int", "float", "text", "time", "multi"]


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    size = draw(st.integers(0, 6))
    names = draw(st.lists(TEXT.filter(bool), min_size=1, max_size=4, unique=True))
    frame = pd.DataFrame(
        {name: draw(_column(draw(st.sampled_from(KINDS)), size)) for name in names},
        index=range(size),
    )
    labels: st.SearchStrategy[Any] = st.sampled_from(
        ["range", "int", "float", "text", "time", "multi"]
    )
    frame.index = draw(labels.flatmap(lambda kind: _index(kind, size)))
    return frame


def _index(kind: str, size: int) -> st.SearchStrategy[Any]:
    def cells(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(strategy, min_size=size, max_size=size)

    if size == 0:
        return st.just(pd.RangeIndex(0))
    return {
        "range": st.just(pd.RangeIndex(size)),
        "int": cells(st.integers(-5, 5)).map(lambda v: pd.Index(v, dtype="int64")),
        "float": cells(st.floats(-5, 5)).map(lambda v: pd.Index(v, dtype="float64")),
        "text": cells(TEXT).map(lambda v: pd.Index(v, dtype=object)),
        "time": cells(MILLISECONDS).map(lambda v: pd.DatetimeIndex(_times(v))),
        "multi": cells(st.tuples(TEXT, st.integers(-5, 5))).map(
            lambda v: pd.MultiIndex.from_tuples(v, names=["one", "two"])
        ),
    }[kind]


def _assert_same(found: pd.DataFrame, frame: pd.DataFrame) -> None:
    assert list(found.columns) == list(frame.columns)
    assert len(found) == len(frame)
    for name in frame:
        one, other = found[name].tolist(), frame[name].tolist()
        for cell, expected in zip(one, other, strict=True):
            if _is_missing(expected):
                assert _is_missing(cell), name
            else:
                assert cell == expected, name
                assert str(found[name].dtype) == str(frame[name].dtype), name
    if len(frame):
        assert found.index.tolist() == frame.index.tolist()


def _is_missing(value: Any) -> bool:
    if value is None or value is pd.NaT or value is pd.NA:
        return True
    return isinstance(value, float) and math.isnan(value)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(frame=frames())
def test_any_frame_comes_back_as_it_went_in(tmp_path: Path, frame: pd.DataFrame) -> None:
    shelf = Shelf(tmp_path)
    shelf.write(to_wire(frame))
    _assert_same(from_wire(shelf.read()), frame)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(sizes=st.lists(st.integers(0, 40), min_size=1, max_size=12), page=st.integers(1, 30))
def test_rows_stay_in_their_order_however_they_were_appended(
    tmp_path: Path, sizes: list[int], page: int
) -> None:
    shelf, expected = Shelf(tmp_path), []
    for number, size in enumerate(sizes):
        rows = [1000 * number + each for each in range(size)]
        shelf.write({"data": {"x": rows}, "orient": "list"})
        expected += rows
    assert shelf.read(orient="list")["data"].get("x", []) == expected
    pages = [
        shelf.read(orient="list", skip=skip, limit=page)["data"].get("x", [])
        for skip in range(0, len(expected), page)
    ]
    assert [row for rows in pages for row in rows] == expected
    assert len(shelf.manifest["parts"]) <= max(1, math.ceil(math.log2(len(expected) + 1)) + 1)


def _shelf(tmp_path: Path, **columns: Any) -> Shelf:
    shelf = Shelf(tmp_path)
    shelf.write(to_wire(pd.DataFrame(columns)))
    return shelf


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (("x", "eq", "2"), [2]),
        (("x", "ne", "2"), [0, 1, 3, 4]),
        (("x", "gt", "2.5"), [3, 4]),
        (("x", "between", "1,3"), [1, 2, 3]),
        (("x", "in", "0,4,9"), [0, 4]),
        (("x", "nin", "0,4"), [1, 2, 3]),
        (("b", "eq", "false"), [1, 3]),
        (("s", "contains", "b"), [1]),
        (("s", "startswith", "d"), [3]),
        (("s", "regex", "^[ab]$"), [0, 1]),
        (("s", "isnull", "true"), [4]),
        (("f", "isnull", "0"), [0, 2, 4]),
        (("f", "ne", "0.5"), [1, 2, 3, 4]),
        (("t", "gte", "2024-01-04"), [3, 4]),
        (("t", "eq", "2024-01-02T00:00:00"), [1]),
        (("x", "eq", "77"), []),
    ],
)
def test_conditions(tmp_path: Path, condition: tuple[str, str, str], expected: list[int]) -> None:
    shelf = _shelf(
        tmp_path,
        x=range(5),
        b=[True, False] * 2 + [True],
        s=["a", "b", "c", "d", None],
        f=[0.5, None, 1.5, None, 2.5],
        t=pd.date_range("2024-01-01", periods=5),
    )
    reply = shelf.read(filters=[condition])
    assert list(reply["data"]["x"].values()) == expected
    assert set(reply["data"]) == {"x", "b", "s", "f", "t"}


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"filters": [("nope", "eq", "1")]}, "nope"),
        ({"filters": [("x", "near", "1")]}, "x__near"),
        ({"filters": [("x", "gt", "many")]}, "x__gt"),
        ({"filters": [("x", "regex", "a")]}, "x__regex"),
        ({"filters": [("s", "regex", "(")]}, "s__regex"),
        ({"filters": [("x", "between", "1")]}, "x__between"),
        ({"select": "nope"}, "columns"),
        ({"orient": "sideways"}, "orient"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, wanted: Any, field: str) -> None:
    shelf = _shelf(tmp_path, x=[1], s=["a"])
    with pytest.raises(RefusedError) as refused:
        shelf.read(**wanted)
    assert refused.value.field == field


def test_a_pattern_that_would_take_for_ever_elsewhere_takes_no_time(tmp_path: Path) -> None:
    shelf = _shelf(tmp_path, s=["a" * 5000] * 50)
    assert shelf.read(filters=[("s", "regex", "^(a+)+$b")])["data"]["s"] == {}


@pytest.mark.parametrize(
    ("orient", "data"),
    [
        ("dict", {"x": {"0": 1, "1": 2}, "y": {"0": "a", "1": "b"}}),
        ("columns", {"x": [1, 2], "y": ["a", "b"]}),
        ("list", {"x": [1, 2], "y": ["a", "b"]}),
        ("records", [{"x": 1, "y": "a"}, {"x": 2, "y": "b"}]),
        ("index", {"0": {"x": 1, "y": "a"}, "1": {"x": 2, "y": "b"}}),
        ("split", {"columns": ["x", "y"], "data": [[1, "a"], [2, "b"]], "index": [0, 1]}),
    ],
)
def test_orients_in_both_directions(tmp_path: Path, orient: str, data: Any) -> None:
    shelf = Shelf(tmp_path)
    shelf.write({"data": data, "orient": orient})
    frame = pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}, index=["0", "1"])
    expected = frame.to_dict("dict" if orient == "columns" else orient)
    if orient == "split":
        expected["index"] = [0, 1]
    assert shelf.read(orient=orient)["data"] == expected


@pytest.mark.parametrize(
    ("keys", "values", "expected"),
    [
        (["10", "20"], [10, 20], [1, 2]),
        (["1", "0"], ["b", "a"], [2, 1]),
        (["a", "b"], ["b", "a"], [2, 1]),
        (["p", "q"], [7, 7], [1, 2]),
    ],
)
def test_rows_find_their_labels(
    tmp_path: Path, keys: list[str], values: list[Any], expected: list[int]
) -> None:
    shelf = Shelf(tmp_path)
    data = {"x": dict(zip(keys, [1, 2], strict=True))}
    shelf.write({"data": data, "index": {"type": "Index", "values": values}})
    reply = shelf.read()
    assert list(reply["data"]["x"].values()) == expected
    assert reply["index"]["values"] == values


def test_long_spans_beside_gaps_are_exact_on_the_wire(tmp_path: Path) -> None:
    """What the documented client loses it loses by itself: its frame of numbers and gaps."""
    shelf = Shelf(tmp_path)
    shelf.write({"data": {"x": [9_000_000_000_001, None]}, "dtypes": {"x": "timedelta64[ns]"}})
    (exact, gap) = shelf.read(orient="list")["data"]["x"]
    assert (exact, gap) == (9_000_000_000_001_000_000, None)
    column = pd.DataFrame.from_dict(shelf.read()["data"])["x"]
    assert column.dtype == "float64"
    assert int(column.iloc[0]) != exact


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_spans_that_no_nanoseconds_can_hold(tmp_path: Path, unit: str) -> None:
    shelf, years = Shelf(tmp_path), 400 * 365 * 86_400_000
    dtypes = {"x": f"timedelta64[{unit}]"}
    shelf.write({"data": {"x": [years, -years, 0, None]}, "dtypes": dtypes})
    expected = [years * 10**6, -years * 10**6, 0, None]
    assert shelf.read(orient="list")["data"]["x"] == expected


@pytest.mark.parametrize("orient", ["list", "dict", "records", "split"])
def test_text_that_json_must_escape(tmp_path: Path, orient: str) -> None:
    texts = ['say "so"', "back\\slash", "two\nlines", "\x00", "\x7f", "é\U0001f33e", "", None]
    shelf = _shelf(tmp_path, s=texts, plain=["a"] * len(texts))
    data = shelf.read(orient=orient)["data"]
    if orient == "split":
        found = [row[0] for row in data["data"]]
    elif orient == "records":
        found = [row["s"] for row in data]
    else:
        found = data["s"] if orient == "list" else list(data["s"].values())
    assert found == texts
    assert shelf.read(skip=3, limit=2, orient="list")["data"]["s"] == texts[3:5]


def test_appending_widens_as_pandas_does(tmp_path: Path) -> None:
    shelf = _shelf(tmp_path, x=[1, 2], gone=[True, False])
    shelf.write({"data": {"x": [0.5], "new": ["a"]}, "orient": "list"})
    reply = shelf.read(orient="list")
    assert reply["dtypes"] == {"x": "float64", "gone": "object", "new": "object"}
    assert reply["data"] == {
        "x": [1.0, 2.0, 0.5],
        "gone": [True, False, None],
        "new": [None, None, "a"],
    }


def test_replacing_with_nothing_keeps_the_columns(tmp_path: Path) -> None:
    shelf = _shelf(tmp_path, x=[1])
    made = shelf.write({"data": {"x": {}}, "dtypes": {"x": "int64"}, "append": False})
    assert len(made["dropped"]) == 1
    assert shelf.read()["data"] == {"x": {}}
    assert shelf.write({"data": {}})["changed"] is False


@pytest.mark.parametrize("data", [{}, []])
def test_replacing_with_nothing_at_all_keeps_the_columns_too(tmp_path: Path, data: Any) -> None:
    shelf = _shelf(tmp_path, x=[1], s=["a"])
    orient = "records" if data == [] else "dict"
    made = shelf.write({"data": data, "append": False, "orient": orient})
    assert len(made["dropped"]) == 1
    reply = shelf.read(orient="list")
    assert (reply["data"], reply["dtypes"]) == ({"x": [], "s": []}, {"x": "int64", "s": "object"})
    shelf.write({"data": {"x": [2.5]}})
    assert shelf.read(orient="list")["data"] == {"x": [2.5], "s": [None]}


@pytest.mark.parametrize(
    ("given", "values", "kind", "shown"),
    [
        ("RangeIndex", [0, 1], "Int64Index", [0, 1]),
        ("UInt64Index", [7, 8], "Int64Index", [7, 8]),
        ("Float64Index", [0.5, 1], "Float64Index", [0.5, 1.0]),
        ("DatetimeIndex", [86_400_000, 0], "DatetimeIndex",
         ["1970-01-02T00:00:00", "1970-01-01T00:00:00"]),
        ("DatetimeIndex", ["2024-01-01", "2024-01-02T03:00:00"], "DatetimeIndex",
         ["2024-01-01T00:00:00", "2024-01-02T03:00:00"]),
        ("TimedeltaIndex", [1, 2], "TimedeltaIndex", [1_000_000, 2_000_000]),
        ("Index", ["a", None], "Index", ["a", None]),
        ("MultiIndex", [["a", 1], ["b", 2]], "MultiIndex", [["a", 1], ["b", 2]]),
    ],
)  # fmt: skip
def test_labels_of_every_kind(
    tmp_path: Path, given: str, values: list[Any], kind: str, shown: list[Any]
) -> None:
    shelf = Shelf(tmp_path)
    shelf.write({"data": {"x": [1, 2]}, "index": {"type": given, "values": values}})
    index = shelf.read()["index"]
    assert (index["type"], index["values"]) == (kind, shown)
    assert ("names" in index) is (kind == "MultiIndex")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"\xff", "body"),
        (b"[1]", "body"),
        (b"{}", "data"),
        (b"[" * 100_000, "body"),
        (b'{"data": ' + b'{"a":' * 50_000, "body"),
        (b'{"data": {"x": {"0": NaN}}}', "body"),
        (b'{"data": {"x": [1, 2], "y": [1]}}', "data"),
        (b'{"data": {"x": {"0": 1.5}}, "dtypes": {"x": "int64"}}', "data.x"),
        (b'{"data": {"x": {"0": null}}, "dtypes": {"x": "int64"}}', "data.x"),
        (b'{"data": {"x": {"0": 300}}, "dtypes": {"x": "uint8"}}', "data.x"),
        (b'{"data": {"x": {"0": "now-ish"}}, "dtypes": {"x": "datetime64[ns]"}}', "data.x"),
        (b'{"data": {"x": {"0": 1}}, "dtypes": {"x": "os.system"}}', "dtypes.x"),
        (b'{"data": {"x": {"0": 1}}, "dtypes": {"x": "datetime64[ns, Mars/One]"}}', "dtypes.x"),
        (b'{"data": {"x": {"0": 1}}, "index": {"values": [1, 2]}}', "index.values"),
        (b'{"data": {"x": {"0": 1}}, "append": "yes"}', "append"),
    ],
)
def test_bad_tables_are_refused_and_leave_nothing(tmp_path: Path, body: bytes, field: str) -> None:
    shelf = Shelf(tmp_path)
    with pytest.raises(RefusedError) as refused:
        shelf.write(body)
    assert refused.value.field == field
    assert not list(tmp_path.iterdir())


def test_a_page_reads_no_more_than_its_rows_need(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    shelf.write({"data": {"x": list(range(200_000)), "y": [0] * 200_000}, "orient": "list"})
    (path, _, _) = shelf.manifest["parts"][0]
    file = tmp_path / path
    whole = file.stat().st_size
    reply = shelf.read(select="y", skip=199_990, limit=5, orient="list")
    assert reply["index"]["values"] == list(range(199_990, 199_995))
    assert whole > 0
    filtered = shelf.read(filters=[("x", "eq", "150000")], orient="list")
    assert msgspec.json.encode(filtered["data"]) == b'{"x":[150000],"y":[0]}'
