"""The whole course: set up the servers, measure in rounds, work out the figures."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from bench.door import Door, jobs_body
from bench.figures import STATISTICS, Figure, rate_figure
from bench.footprint import footprints, interpreter_megabytes
from bench.history import multiply
from bench.latency import direct_latency, gristmill_latency
from bench.points import CONNECTIONS, bare_endpoint, posting_rate, summary_seconds
from bench.rate import PARALLEL, gristmill_rate, xargs_rate
from bench.sizes import Sizes
from bench.submission import NOBODY, RawInserts, gristmill_submission
from gristmill.demo.private_server import PrivateServer

RATE_GOAL = 0.85
SUBMISSION_GOAL = 0.25
LATENCY_GOALS = {"median": 0.020, "p95": 0.060}
"""Seconds."""
FULL_GOAL = 0.9
POSTING_GOAL = 0.5
SUMMARY_GOAL = 0.2
"""Seconds."""

AGENT = ["--agent-cpus", str(PARALLEL), "--agent-memory", "4G"]

Say = Callable[[str], None]
Measured = dict[str, list[float]]


class Course:
    """One run of the benchmark, in a folder of its own."""

    def __init__(self, folder: Path, sizes: Sizes, say: Say) -> None:
        self._folder, self._sizes, self._say = folder, sizes, say
        self.stored = 0

    def run(self) -> list[Figure]:
        """Measure everything."""
        self._make_history()
        with ExitStack() as stack:
            empty = stack.enter_context(self._server("empty", AGENT))
            full = stack.enter_context(self._server("full", AGENT))
            doors = {
                "empty": stack.enter_context(Door(empty)),
                "full": stack.enter_context(Door(full)),
            }
            self._fill(doors["full"])
            self._say("idle")
            idle = self._footprints(empty, full)
            latency = self._latency(doors)
            rate = self._rate(doors)
            figures = rate + self._submission(doors["full"]) + latency + idle
        return figures + self._data() + self._posting() + self._summary()

    def _data(self) -> list[Figure]:
        from bench.data import data_figures

        self._say("tables and models")
        with self._server("data", AGENT) as server:
            return data_figures(server, self._sizes)

    @contextmanager
    def _server(self, name: str, flags: list[str]) -> Iterator[PrivateServer]:
        with PrivateServer(self._folder / name, ["--log-level", "warning", *flags]) as server:
            if "none" not in flags:
                with server.client() as client:
                    server.await_agent(client)
            yield server

    def _make_history(self) -> None:
        self._say(f"running {self._sizes.seed:,} jobs and multiplying their records")
        with self._server("full", AGENT) as server, Door(server) as door:
            gristmill_rate(door, self._sizes.seed)
        self.stored = multiply(self._folder / "full" / "gristmill.db", self._sizes.stored_complete)

    def _fill(self, door: Door) -> None:
        self._say(f"submitting {self._sizes.stored_ready:,} jobs that stay ready")
        door.ask("POST", "/v1/jobs", jobs_body(NOBODY, self._sizes.stored_ready))
        self.stored += self._sizes.stored_ready

    def _rate(self, doors: dict[str, Door]) -> list[Figure]:
        jobs = self._sizes.rate
        seen = self._rounds(
            "rate",
            {
                "xargs": lambda: xargs_rate(jobs),
                "empty": lambda: gristmill_rate(doors["empty"], jobs),
                "full": lambda: gristmill_rate(doors["full"], jobs),
            },
        )
        return [
            rate_figure(
                "`sh -c true` jobs, submitted to recorded", seen["empty"], seen["xargs"],
                f"`xargs -P{PARALLEL}`", RATE_GOAL,
            ),
            rate_figure(
                "the same in the full store", seen["full"], seen["empty"], "empty store", FULL_GOAL
            ),
        ]  # fmt: skip

    def _submission(self, full: Door) -> list[Figure]:
        raw: list[RawInserts] = []
        seen = self._rounds(
            "submission",
            {
                "empty": lambda: self._fresh_submission(raw),
                "full": lambda: gristmill_submission(full, self._sizes.submission),
                "same": lambda: raw[0].same_rate(self._fresh_path()),
                "bare": lambda: raw[0].bare_rate(self._fresh_path()),
            },
        )
        name = f"{self._sizes.submission:,} jobs in one request"
        return [
            rate_figure(name, seen["empty"], seen["same"], "same rows, raw", SUBMISSION_GOAL),
            rate_figure("the same", seen["empty"], seen["bare"], "2-column table, raw", None),
            rate_figure(
                "the same in the full store", seen["full"], seen["empty"], "empty store", FULL_GOAL
            ),
        ]

    def _fresh_submission(self, raw: list[RawInserts]) -> float:
        home = self._fresh_path().name
        with self._server(home, ["--engine", "none"]) as server, Door(server) as door:
            rate = gristmill_submission(door, self._sizes.submission)
        if not raw:
            raw.append(RawInserts(self._folder / home / "gristmill.db"))
        return rate

    def _fresh_path(self) -> Path:
        return self._folder / f"fresh-{len(os.listdir(self._folder))}"

    def _latency(self, doors: dict[str, Door]) -> list[Figure]:
        share = max(1, self._sizes.latency // self._sizes.repeats)
        acts: dict[str, Callable[[], list[float]]] = {
            "direct": lambda: direct_latency(share),
            "empty": lambda: gristmill_latency(doors["empty"], share),
            "full": lambda: gristmill_latency(doors["full"], share),
        }
        seen: Measured = defaultdict(list)
        for number in range(self._sizes.repeats):
            self._say(f"latency, round {number + 1} of {self._sizes.repeats}")
            for name, act in acts.items():
                seen[name] += act()
        figures = []
        for word, statistic in STATISTICS:
            direct, empty, full = (statistic(seen[name]) for name in ("direct", "empty", "full"))
            goal = LATENCY_GOALS[word]
            figures += [
                Figure(
                    f"request to running, {word}", _ms(empty), f"started directly: {_ms(direct)}",
                    f"{empty / direct:.1f}", f"under {_ms(goal)}", empty < goal,
                ),
                Figure(
                    f"the same in the full store, {word}", _ms(full), f"empty store: {_ms(empty)}",
                    f"{empty / full:.2f}", f"at least {FULL_GOAL:g}", empty / full >= FULL_GOAL,
                ),
            ]  # fmt: skip
        return figures

    def _footprints(self, empty: PrivateServer, full: PrivateServer) -> list[Figure]:
        bare = interpreter_megabytes()
        figures = []
        for place, server in (("empty", empty), ("full", full)):
            for who, seen in footprints(server, self._sizes.idle).items():
                figures += [
                    Figure(
                        f"memory of the {who}, {place} store",
                        f"{seen.proportional:.0f} MB (resident {seen.resident:.0f} MB)",
                        f"an idle Python: {bare:.0f} MB", f"{seen.proportional / bare:.1f}",
                    ),
                    Figure(
                        f"idle CPU of the {who}, {place} store", f"{100 * seen.idle:.2f} %",
                        "one core", f"{seen.idle:.4f}",
                    ),
                ]  # fmt: skip
        return figures

    def _posting(self) -> list[Figure]:
        points = self._sizes.points
        with (
            self._server("points", ["--engine", "none"]) as server,
            bare_endpoint("route") as route,
            bare_endpoint("callable") as bare,
        ):
            seen = self._rounds(
                "points",
                {
                    "route": lambda: posting_rate(route, points),
                    "bare": lambda: posting_rate(bare, points),
                    "ours": lambda: posting_rate(server.http, points),
                },
            )
        name = f"metric points, one a request, {CONNECTIONS} connections"
        return [
            rate_figure(name, seen["ours"], seen["route"], "a route storing nothing", POSTING_GOAL),
            rate_figure("the same", seen["ours"], seen["bare"], "no framework either", None),
        ]

    def _summary(self) -> list[Figure]:
        points = self._sizes.summary
        self._say(f"recording {points:,} points of one series")
        seconds = median(summary_seconds(self._fresh_path(), points, self._sizes.repeats))
        return [
            Figure(
                f"reading a summary of {points:,} points", _ms(seconds), "", "",
                f"under {_ms(SUMMARY_GOAL)}", seconds < SUMMARY_GOAL,
            )
        ]  # fmt: skip

    def _rounds(self, title: str, acts: dict[str, Callable[[], float]]) -> Measured:
        """Do each act once a round, so that a slow spell of the machine hits all alike."""
        seen: Measured = defaultdict(list)
        for number in range(self._sizes.repeats):
            for name, act in acts.items():
                seen[name].append(act())
            values = ", ".join(f"{name} {found[-1]:,.0f}/s" for name, found in seen.items())
            self._say(f"{title}, round {number + 1} of {self._sizes.repeats}: {values}")
        return seen


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"
