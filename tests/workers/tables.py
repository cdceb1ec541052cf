"""Tables written and read by the functions that workers call, in this process."""

import itertools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from gristmill.workers import datasets
from gristmill.workers.wire import Frame

Json = Any


class Shelf:
    """A folder of blobs; each write makes a new state, as the server would keep it."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self._numbers = itertools.count(1)
        self.manifest: Json = None

    def write(
        self, document: Json, *, append: bool | None = None, orient: str | None = None
    ) -> Json:
        body = document if isinstance(document, bytes) else msgspec.json.encode(document)
        header = {
            "root": self.root, "path": f"parts/{next(self._numbers)}", "manifest": self.manifest,
            "append": append, "orient": orient,
        }  # fmt: skip
        made = datasets.write(Frame(header, body)).header
        self.manifest = made["manifest"]
        return made

    def read(self, **wanted: Any) -> Json:
        header = {
            "root": self.root, "manifest": self.manifest, "select": None, "filters": [],
            "skip": 0, "limit": None, "orient": "dict", "extra": {}, **wanted,
        }  # fmt: skip
        found = datasets.read(Frame(header, b""))
        return msgspec.json.decode(b"".join((found.body, *found.more)))


def to_wire(frame: pd.DataFrame, *, append: bool = False) -> Json:
    """Write a frame as the documented client does, times as milliseconds."""
    columns = {
        name: dict(zip(map(str, range(len(frame))), map(_plain, frame[name]), strict=True))
        for name in frame
    }
    index = {"type": type(frame.index).__name__, "values": list(map(_plain, frame.index))}
    if isinstance(frame.index, pd.MultiIndex):
        index["values"] = [list(map(_plain, label)) for label in frame.index]
        index["names"] = list(frame.index.names)
    dtypes = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    return {
        "append": append, "data": columns, "dtypes": dtypes, "orient": "columns", "index": index,
    }  # fmt: skip


def from_wire(reply: Json) -> pd.DataFrame:
    """Read a reply as the documented client does, then give columns their dtypes.

    Spans are taken from the reply itself: beside a gap pandas makes floats of their nanoseconds,
    which hold 53 bits.
    """
    frame = pd.DataFrame.from_dict(reply["data"])
    for name, dtype in reply["dtypes"].items():
        if name not in frame:
            frame[name] = pd.Series([], dtype=object)
        if dtype.startswith("timedelta64"):
            cells = list(reply["data"][name].values())
            frame[name] = pd.Series(cells, index=frame.index, dtype=object)
        frame[name] = _typed(frame[name], dtype)
    index = reply["index"]
    if index["type"] == "MultiIndex":
        frame.index = pd.MultiIndex.from_tuples(map(tuple, index["values"]), names=index["names"])
    elif index["type"] == "DatetimeIndex":
        frame.index = pd.DatetimeIndex(index["values"])
    elif index["type"] == "TimedeltaIndex":
        frame.index = pd.TimedeltaIndex(index["values"], unit="ns")
    else:
        frame.index = pd.Index(index["values"])
    return frame


def _typed(series: "pd.Series[Any]", dtype: str) -> "pd.Series[Any]":
    if dtype.startswith("datetime64"):
        return pd.to_datetime(series, format="ISO8601", utc="," in dtype).astype(dtype)
    if dtype.startswith("timedelta64"):
        return pd.to_timedelta(series, unit="ns").astype(dtype)
    return series.astype(dtype)


def _plain(value: Any) -> Any:
    """Return a cell as to_json writes it."""
    if isinstance(value, pd.Timestamp):
        return value.value // 1_000_000
    if isinstance(value, pd.Timedelta):
        return value.value // 1_000_000
    if value is None or value is pd.NaT or value is pd.NA:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
