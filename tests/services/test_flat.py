"""What is asked all the time costs the same however many jobs are stored."""

import re
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import pytest

from gristmill.domain.state import JobState
from gristmill.services.queue.submit import Submission
from gristmill.services.queue.views import JobFilter
from gristmill.store.database import open_database
from gristmill.store.statements import load
from tests.services.mill import ANN, EVERYBODY, FakeAgent, Mill, play, spec

SMALL_TABLES = frozenset({
    "account", "agent", "membership", "pool", "project", "project_group", "project_pool",
    "schedule", "schedule_exclude", "schema_version", "template", "token", "user_group", "worker",
    "worker_pool", "shape", "owner_count", "learned",
})  # fmt: skip
"""As large as the installation or the number of kinds of jobs, not as the number of jobs."""

SCANS_BY_NATURE = {
    "get_ready_shapes": "a loose scan of an index: one step a shape, at start only",
    "find_groups_with": "looks for a part of a word in every group that has jobs",
    "count_metric_tails": "fresh points alone, which are few; at start only",
    "count_device_logins": "counts no further than a limit",
    "list_doomed_blobs": "takes the first few, whichever they are",
    "get_oldest_open_data_task": "the first of an index of those that are open alone",
    "list_open_data_tasks": "an index of those that are open alone; at start only",
    "list_all_open_runs": "runs that have not returned, which have an index of their own",
    "list_open_kills": "requests that nobody has taken, which have an index of their own",
    "list_done_runs": "walks an index to the page that is asked for",
    "list_done_runs_by_success": "walks an index to the page that is asked for",
    "list_done_run_logs": "walks an index to the page that is asked for",
    "delete_old_kept": "once an hour, as many as people asked to keep listed",
    "delete_events_before": "looks at the oldest few, in the order they came",
    "unpin_old_workflows": "once an hour, an index of those that are listed",
}
SORTED = re.compile(
    r"take_ready|get_ready_heads|get_next_.*|get_due_.*|get_events_after|list_by_.*|list_ended|list_kept_.*"
)
"""Statements that return the first few of very many: an index must have them in order."""


@pytest.fixture
def planner(tmp_path: Path) -> apsw.Connection:
    database = open_database(f"sqlite://{tmp_path}/plans.db", tmp_path)
    database.start()
    database.close()
    return apsw.Connection(f"{tmp_path}/plans.db")


@pytest.mark.parametrize("name", sorted(load("sqlite")))
def test_no_statement_scans_a_table_of_jobs(planner: apsw.Connection, name: str) -> None:
    sql = load("sqlite")[name]
    named = dict.fromkeys(re.findall(r"(?<![:\w]):([a-z_]\w*)", sql))
    steps = [
        row[3]
        for row in planner.execute(f"explain query plan {sql}", named or [None] * sql.count("?"))
    ]
    for step in steps:
        scanned = re.match(r"SCAN (\w+)", step)
        table = _table(sql, scanned.group(1)) if scanned else None
        bounded = table is None or table in SMALL_TABLES or "CONSTANT ROW" in step
        assert bounded or name in SCANS_BY_NATURE, f"{name}: {steps}"
        assert "TEMP B-TREE" not in step or not SORTED.fullmatch(name), f"{name}: {steps}"


def _table(sql: str, alias: str) -> str | None:
    """Return the table behind an alias; None for lists of values and common table expressions."""
    if alias in {"json_each", "s"}:
        return None
    found = re.search(rf"(?:from|join)\s+(\w+)\s+(?:as\s+)?{alias}\b", sql, re.IGNORECASE)
    return found.group(1) if found else alias


Costs = dict[str, float]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_costs_with_two_hundred_thousand_jobs(tmp_path: Path) -> None:
    costs: list[Costs] = []

    async def story(mill: Mill) -> None:
        agent = await mill.agent(cpus=1)
        await mill.submit(*[spec(group="g") for _ in range(100)])
        costs.append(await _measure(mill, agent))
        some = [
            spec(group=f"g{n % 7}", priority=n % 3 - 1, cpus=1 + n % 2, labels={"n": str(n % 5)})
            for n in range(1_000)
        ]
        for _ in range(4):
            await mill.submitter.submit(Submission(some * 50, "ann"))
        costs.append(await _measure(mill, agent))

    play(f"sqlite://{tmp_path}/gristmill.db", tmp_path, story)
    empty, full = costs
    for act, cost in full.items():
        assert cost <= 2 * empty[act] + 0.002, f"{act}: {empty[act]:.5f} s became {cost:.5f} s"


async def _measure(mill: Mill, agent: FakeAgent) -> Costs:
    """Return the median CPU seconds of each thing that is done all the time."""
    wanted = JobFilter(states=(JobState.READY,), group="g")
    spent: dict[str, list[float]] = {}
    for _ in range(60):
        acts: dict[str, Callable[[], Awaitable[object]]] = {
            "submit": lambda: mill.one(group="g"),
            "claim": agent.ask,
            "finish": lambda: agent.finish(*list(agent.holding)),
            "page": lambda: mill.listing.page(ANN, wanted, limit=50, cursor=None, newest=True),
            "count": lambda: mill.listing.counts(EVERYBODY, None, None),
            "count group": lambda: mill.listing.counts(ANN, "g", None),
        }
        for name, act in acts.items():
            began = time.process_time()
            await act()
            spent.setdefault(name, []).append(time.process_time() - began)
    return {name: statistics.median(times) for name, times in spent.items()}
