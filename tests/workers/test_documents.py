"""Datasets that are no tables: whatever JSON knows comes back, one document for each write."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gristmill.workers.datasets import load_frame
from gristmill.workers.frames.manifest import manifest_of
from gristmill.workers.refusals import RefusedError
from tests.workers.tables import Shelf

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False), st.text(st.characters(codec="utf-8")),
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


def _put(shelf: Shelf, value: Any, **more: Any) -> Any:
    return shelf.write({"kind": "python.data", "data": value, **more})


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.lists(VALUES, min_size=1, max_size=5))
def test_any_values_come_back_in_their_order(tmp_path: Path, values: list[Any]) -> None:
    shelf = Shelf(tmp_path)
    for value in values:
        _put(shelf, value)
    reply = shelf.read(extra={"name": "d"})
    assert reply == {
        "data": values, "dtypes": None, "index": None, "orient": "records", "name": "d",
    }  # fmt: skip
    assert shelf.read(skip=1, limit=2)["data"] == values[1:3]


def test_documents_that_are_replaced_added_and_turned_into_a_table(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    _put(shelf, {"a": 1})
    shelf.write({"data": [1, 2]})
    assert shelf.read()["data"] == [{"a": 1}, [1, 2]]
    made = _put(shelf, "alone", append=False)
    assert (len(made["dropped"]), shelf.read()["data"]) == (1, ["alone"])
    shelf.write({"data": {"x": [1]}, "append": False})
    assert shelf.read()["dtypes"] == {"x": "int64"}
    with pytest.raises(RefusedError) as refused:
        _put(shelf, {"a": 1})
    assert refused.value.field == "kind"
    assert shelf.read()["data"] == {"x": {"0": 1}}


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"filters": [("data", "eq", "1")]}, "data"),
        ({"filters": [("x", "gt", "1")]}, "x__gt"),
        ({"select": "data"}, "columns"),
        ({"orient": "nix"}, "orient"),
    ],
)
def test_documents_have_no_columns(tmp_path: Path, wanted: Any, field: str) -> None:
    shelf = Shelf(tmp_path)
    _put(shelf, [1])
    with pytest.raises(RefusedError) as refused:
        shelf.read(**wanted)
    assert refused.value.field == field
    with pytest.raises(RefusedError):
        load_frame(shelf.root, manifest_of(shelf.manifest), None)


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        Shelf(tmp_path).write({"data": 1, "kind": "virtualobj.dill"})
    assert refused.value.field == "kind"


def test_large_documents_are_read_one_by_one(tmp_path: Path) -> None:
    """A page reads no more than it shows, though they were merged into one part."""
    shelf = Shelf(tmp_path)
    for number in range(4):
        _put(shelf, [number, "x" * (12 << 20)])
    assert len(shelf.manifest["parts"]) <= 2
    assert shelf.read(skip=2, limit=1)["data"][0][0] == 2
    names = [path for path, _, _ in shelf.manifest["parts"]]
    import pyarrow.parquet as pq

    groups = [pq.ParquetFile(tmp_path / name).metadata for name in names]
    assert max(each.row_group(0).num_rows for each in groups) <= 2
    assert msgspec.to_builtins(shelf.manifest)["kind"] == "python.data"
