"""What the server adds to pandas' and scikit-learn's own work: tables written, read, asked of.

Both sides of a ratio are measured in turns, over plain HTTP on this machine: what encryption
costs is a figure of its own.
"""

import io
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

from bench.door import Door
from bench.figures import Figure, ratios_of
from bench.sizes import Sizes
from gristmill.demo.private_server import PrivateServer

ADDED_GOAL = 0.003
"""Seconds at the median that a warm call may add."""

MANY_ROWS_GOAL = 1.3
TABLE_GOAL = 1.5
CLIENTS = 8
PAGE = 100
PAGES = 20

Act = Callable[[], object]


class Pair(NamedTuple):
    """Seconds that two acts took, one after the other in each round."""

    ours: list[float]
    theirs: list[float]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return median(ratios_of(self.ours, self.theirs))

    @property
    def span(self) -> str:
        """The ratio, and between what it was."""
        ratios = ratios_of(self.ours, self.theirs)
        return f"{self.ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


def data_figures(server: PrivateServer, sizes: Sizes) -> list[Figure]:
    """Measure a server that has no other work."""
    with Door(server, encrypted=False) as door:
        figures = _tables(door, server, sizes)
        _fit(door)
        for rows in (1, 1_000):
            figures.append(_added(door, sizes, rows))
        figures += _many_rows(door, sizes)
        figures.append(_at_once(server, sizes))
    return figures


def _rounds(ours: Act, theirs: Act, times: int) -> Pair:
    """Measure both acts so many times, in turns."""
    pair = Pair([], [])
    for _ in range(times):
        for act, seconds in ((ours, pair.ours), (theirs, pair.theirs)):
            began = time.perf_counter()
            act()
            seconds.append(time.perf_counter() - began)
    return pair


def _tables(door: Door, server: PrivateServer, sizes: Sizes) -> list[Figure]:
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
    # The first question starts the workers.
    door.ask("PUT", path, msgspec.json.encode({"data": {"a": [1]}}))
    write = _rounds(
        lambda: door.ask("PUT", path, body), lambda: pd.read_json(io.StringIO(text)), times
    )
    read = _rounds(lambda: door.ask("GET", f"{path}/rows"), frame.to_json, times)
    with Door(server) as encrypted:
        both = _rounds(
            lambda: encrypted.ask("GET", f"{path}/rows"),
            lambda: door.ask("GET", f"{path}/rows"),
            times,
        )
    return [
        _table(f"a table of {rows:,} rows, written", write, "pandas read_json"),
        _table("the same, read whole", read, "pandas to_json"),
        Figure(
            "the same over HTTPS", f"{median(both.ours):.2f} s",
            f"over HTTP: {median(both.theirs):.2f} s", both.span,
        ),
        _pages(door, path, rows),
    ]  # fmt: skip


def _pages(door: Door, path: str, rows: int) -> Figure:
    little = "/v1/datasets/little"
    body = {"data": {"a": [1] * PAGE}, "append": False}
    door.ask("PUT", little, msgspec.json.encode(body))
    pages = _rounds(
        lambda: door.ask("GET", f"{path}/rows?limit={PAGE}&skip={rows - PAGE}"),
        lambda: door.ask("GET", f"{little}/rows?limit={PAGE}"),
        PAGES,
    )
    return Figure(
        f"a page of {PAGE} rows at the end of {rows:,}", _ms(median(pages.ours)),
        f"of a table of {PAGE}: {_ms(median(pages.theirs))}", f"{pages.ratio:.2f}",
    )  # fmt: skip


def _table(name: str, pair: Pair, than: str) -> Figure:
    return Figure(
        name, f"{median(pair.ours):.2f} s", f"{than}: {median(pair.theirs):.2f} s", pair.span,
        f"at most {TABLE_GOAL:g}", pair.ratio <= TABLE_GOAL,
    )  # fmt: skip


def _fit(door: Door) -> None:
    columns = {name: list(range(10)) for name in ("x", "y")}
    for name, values in columns.items():
        door.ask("PUT", f"/v1/datasets/{name}", msgspec.json.encode({"data": {name: values}}))
    for name, recipe in (
        ("line", ["LinearRegression", {}]),
        ("forest", ["RandomForestRegressor", {"n_estimators": 50, "random_state": 7}]),
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
    pair = _rounds(
        lambda: door.ask("POST", path, body), lambda: bare_model.predict(frame), sizes.calls
    )
    added = median(pair.ours) - median(pair.theirs)
    return Figure(
        f"predict, rows: {rows:,}, warm, median", _ms(median(pair.ours)),
        f"the estimator: {_ms(median(pair.theirs))}", f"adds {_ms(added)}",
        f"adds under {_ms(ADDED_GOAL)}", added < ADDED_GOAL,
    )  # fmt: skip


def _many_rows(door: Door, sizes: Sizes) -> list[Figure]:
    """Ask of many rows: of a stored table; and in the body of the call, which must be parsed."""
    rows = sizes.predicted
    data: Any = {"data": {"x": [number % 10 for number in range(rows)]}, "append": False}
    door.ask("PUT", "/v1/datasets/many", msgspec.json.encode(data))
    model = RandomForestRegressor(n_estimators=50, random_state=7)
    model.fit(_table_of(10), np.arange(10))
    frame, figures = _table_of(rows), []
    path = "/v1/models/forest/predict"
    for what, address, body, goal in (
        ("of a stored table", f"{path}?datax=many", b"", MANY_ROWS_GOAL),
        ("in the body", path, _inline(rows), None),
    ):
        _warm(door, address, body)
        pair = _rounds(
            lambda: door.ask("POST", address, body),  # noqa: B023 - asked before the next
            lambda: model.predict(frame),
            2 * sizes.repeats,
        )
        figures.append(
            Figure(
                f"predict {rows:,} rows {what}, forest of 50", _ms(median(pair.ours)),
                f"the estimator: {_ms(median(pair.theirs))}", pair.span,
                "" if goal is None else f"under {goal:g}",
                None if goal is None else pair.ratio < goal,
            )
        )  # fmt: skip
    return figures


def _at_once(server: PrivateServer, sizes: Sizes) -> Figure:
    body = _inline(1)
    path = "/v1/models/line/predict"

    def ask(calls: int) -> None:
        with Door(server, encrypted=False) as door:
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
