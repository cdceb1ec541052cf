"""Metrics of a run, posted to whoever watches; without an address they are only printed."""

import json
import os
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import perf_counter

from gristmill.training.ranks import Place

TIMEOUT = 30.0
STEPS = (
    "init",
    "batch_load",
    "fwd_pass",
    "comp_loss",
    "backprop",
    "agg",
    "opt_step",
    "comp_metrics",
    "end",
)
COMPUTING = ("fwd_pass", "comp_loss", "backprop", "opt_step")


class Tracker:
    """Times the steps of training, and posts points in batches."""

    def __init__(self, run: str, place: Place) -> None:
        self._run = run or os.environ.get("MLBENCH_RUN_ID", "")
        self._url = os.environ.get("MLBENCH_API_URL", "").rstrip("/")
        self._place = place
        self._points: list[dict[str, object]] = []
        self.epoch = 0
        self.in_epoch: dict[str, float] = defaultdict(float)
        self.in_all: dict[str, float] = defaultdict(float)
        self.trained = 0.0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count the time inside as that of a step of training."""
        began = perf_counter()
        yield
        spent = perf_counter() - began
        self.in_epoch[name] += spent
        self.in_all[name] += spent
        self.trained += spent

    def point(self, name: str, value: object) -> None:
        """Note a value of this rank; it is posted with the next batch."""
        self._points.append(
            {
                "run_id": self._run,
                "name": f"{name} @ {self._place.rank}",
                "value": str(value),
                "date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
                "metadata": f"{{rank: {self._place.rank}, epoch:{self.epoch}}}",
                "cumulative": False,
            }
        )

    def end_epoch(self) -> None:
        """Post what an epoch took, and begin the next."""
        self.point("CumulativeTrainTimeEpoch", sum(self.in_epoch.values()))
        for name in STEPS:
            self.point(name, self.in_epoch[name])
        self.in_epoch.clear()
        self.post()
        self.epoch += 1

    def reach_goal(self) -> None:
        """Post the result of the task; only the first rank has one."""
        self.point("TotalCumulativeTrainTime", self.trained)
        for name in STEPS:
            self.point(f"global_cum_{name}", self.in_all[name])
        self.point("TaskResult", self.result())
        self.post()

    def result(self) -> str:
        """Return the sentence about how long the goal took."""
        spent, alone = self.in_all, self._place.size == 1
        computing = sum(spent[name] for name in COMPUTING) + (spent["agg"] if alone else 0.0)
        talking = 0.0 if alone else spent["agg"]
        return (
            f"Goal reached after {self.trained:.3f} seconds in {self.epoch + 1} epochs: "
            f"{computing:.3f} computing, {talking:.3f} communicating, "
            f"{spent['comp_metrics']:.3f} on metrics, {spent['batch_load']:.3f} on preprocessing"
        )

    def post(self) -> None:
        """Send what was noted; a run does not end because nobody takes its metrics."""
        points, self._points = self._points, []
        if not (points and self._url and self._run):
            return
        request = urllib.request.Request(  # noqa: S310 - the address comes from the server
            f"{self._url}/metrics/",
            json.dumps(points).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT):  # noqa: S310
                pass
        except (urllib.error.URLError, OSError) as error:
            print(f"metrics were not posted: {error}", flush=True)
