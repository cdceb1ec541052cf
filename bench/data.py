"""What the server adds to pandas' and scikit-learn's own work: tables written, read, asked of."""

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from bench.door import Door
from bench.figures import Figure
from bench.sizes import Sizes
from gristmill.demo.private_server import PrivateServer

ADDED_GOAL = 0.003
"""Seconds at the median that a warm call may add."""

MANY_ROWS_GOAL = 1.3
TABLE_GOAL = 1.5
CLIENTS = 8
PAGE = 100


def data_figures(server: PrivateServer, sizes: Sizes) -> list[Figure]:
    """Measure a server that has no other work."""
    with Door(server) as door:
        figures = _tables(door, sizes)
        _fit(door)
        for rows in (1, 1_000):
            figures.append(_added(door, sizes, rows))
        figures.append(_many_rows(door, sizes))
        figures.append(_at_once(server, sizes))
    return figures


def _seconds(act: Callable[[], object], times: int) -> float:
    """Return the median of so many measurements."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        found.append(time.perf_counter() - began)
    return median(found)


def _tables(door: Door, sizes: Sizes) -> list[Figure]:
    rows, times = sizes.rows, sizes.repeats
    generator = np.random.default_rng(7)
    frame = pd.DataFrame({"a": np.arange(rows), "f": generator.random(rows)})
    frame["s"] = [f"name{number % 100}" for number in range(rows)]
    text = frame.to_json()
    document = {
        "data": msgspec.json.decode(text),
        "dtypes": {name: str(dtype) for name, dtype in frame.dtypes.items()},
        "append": False,
    }
    body = msgspec.json.encode(document)
    path = "/v1/datasets/bench"
    write = _seconds(lambda: door.ask("PUT", path, body), times)
    read = _seconds(lambda: door.ask("GET", f"{path}/rows"), times)
    pandas_read = _seconds(lambda: pd.read_json(io.StringIO(text)), times)
    pandas_write = _seconds(frame.to_json, times)
    figures = [
        _table(f"a table of {rows:,} rows, written", write, pandas_read, "pandas read_json"),
        _table("the same, read whole", read, pandas_write, "pandas to_json"),
    ]
    door.ask("PUT", "/v1/datasets/little", msgspec.json.encode({"data": {"a": [1] * PAGE}}))
    first = _seconds(lambda: door.ask("GET", f"/v1/datasets/little/rows?limit={PAGE}"), 20)
    last = _seconds(lambda: door.ask("GET", f"{path}/rows?limit={PAGE}&skip={rows - PAGE}"), 20)
    figures.append(
        Figure(
            f"a page of {PAGE} rows at the end of {rows:,}",
            _ms(last),
            f"of a table of {PAGE}: {_ms(first)}",
            f"{last / first:.2f}",
        )
    )
    return figures


def _table(name: str, ours: float, theirs: float, than: str) -> Figure:
    ratio = ours / theirs
    return Figure(
        name, f"{ours:.2f} s", f"{than}: {theirs:.2f} s", f"{ratio:.2f}",
        f"at most {TABLE_GOAL:g}", ratio <= TABLE_GOAL,
    )  # fmt: skip


def _fit(door: Door) -> None:
    columns = {name: list(range(10)) for name in ("x", "y")}
    for name, values in columns.items():
        door.ask("PUT", f"/v1/datasets/{name}", msgspec.json.encode({"data": {name: values}}))
    for name, recipe in (
        ("line", ["LinearRegression", {}]),
        ("forest", ["RandomForestRegressor", {"n_estimators": 50}]),
    ):
        body = msgspec.json.encode({"name": name, "pipeline": [recipe]})
        door.ask("POST", "/v1/models", body)
        door.ask("POST", f"/v1/models/{name}/fit?datax=x&datay=y")


def _table_of(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"x": np.arange(rows) % 10})


def _inline(rows: int) -> bytes:
    return msgspec.json.encode({"data": {"x": [number % 10 for number in range(rows)]}})


def _added(door: Door, sizes: Sizes, rows: int) -> Figure:
    bare_model = LinearRegression().fit(_table_of(10), _table_of(10))
    frame, body = _table_of(rows), _inline(rows)
    path = "/v1/models/line/predict"
    _warm(door, path, body)
    ours = _seconds(lambda: door.ask("POST", path, body), sizes.calls)
    bare = _seconds(lambda: bare_model.predict(frame), sizes.calls)
    added = ours - bare
    return Figure(
        f"predict, rows: {rows:,}, warm, median", _ms(ours), f"the estimator: {_ms(bare)}",
        f"adds {_ms(added)}", f"adds under {_ms(ADDED_GOAL)}", added < ADDED_GOAL,
    )  # fmt: skip


def _many_rows(door: Door, sizes: Sizes) -> Figure:
    rows = sizes.predicted
    data: Any = {"data": {"x": [number % 10 for number in range(rows)]}, "append": False}
    door.ask("PUT", "/v1/datasets/many", msgspec.json.encode(data))
    model = RandomForestRegressor(n_estimators=50).fit(_table_of(10), np.arange(10))
    frame, path = _table_of(rows), "/v1/models/forest/predict?datax=many"
    _warm(door, path, b"")
    ours = _seconds(lambda: door.ask("POST", path), sizes.repeats)
    bare = _seconds(lambda: model.predict(frame), sizes.repeats)
    ratio = ours / bare
    return Figure(
        f"predict {rows:,} rows of a stored table, forest of 50", _ms(ours),
        f"the estimator: {_ms(bare)}", f"{ratio:.2f}", f"under {MANY_ROWS_GOAL:g}",
        ratio < MANY_ROWS_GOAL,
    )  # fmt: skip


def _at_once(server: PrivateServer, sizes: Sizes) -> Figure:
    body = _inline(1)
    path = "/v1/models/line/predict"

    def ask(calls: int) -> None:
        with Door(server) as door:
            for _ in range(calls):
                door.ask("POST", path, body)

    def rate(clients: int) -> float:
        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as threads:
            list(threads.map(ask, [sizes.calls] * clients))
        return clients * sizes.calls / (time.perf_counter() - began)

    alone, together = rate(1), rate(CLIENTS)
    return Figure(
        f"predict 1 row, {CLIENTS} clients at once", f"{together:,.0f}/s",
        f"one client: {alone:,.0f}/s", f"{together / alone:.2f}",
    )  # fmt: skip


def _warm(door: Door, path: str, body: bytes) -> None:
    """Have every worker load the model."""
    for _ in range(20):
        door.ask("POST", path, body)


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"
