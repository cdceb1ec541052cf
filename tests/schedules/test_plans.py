"""What schedules ask of the database costs the same however many runs there were."""

import re
from pathlib import Path

import apsw
import pytest

from gristmill.store.database import open_database
from gristmill.store.statements import load

HOT = (
    "get_runs", "get_open_runs", "get_open_runs_of_workers", "get_runs_of_sets", "count_claims",
    "list_all_open_runs", "list_done_runs", "list_done_runs_of", "list_done_runs_of_by_success",
    "get_schedule_rows", "get_schedule_excludes", "get_schedule_children", "get_pool_workers",
    "get_logged_runs", "get_run_logs", "list_done_run_logs", "get_kill_requests_of_runs",
    "list_open_kills", "find_schedule", "delete_open_runs_of_schedule",
    "delete_done_runs_of_schedule", "delete_runs", "sum_completed", "get_last_sets",
    "list_oldest_run_logs", "list_run_logs_before",
)  # fmt: skip


@pytest.mark.parametrize("name", HOT)
def test_no_statement_looks_at_all_runs(name: str, tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/plans.db"
    database = open_database(url, tmp_path)
    database.start()
    database.close()
    connection = apsw.Connection(url.removeprefix("sqlite://"))
    sql = load("sqlite")[name]
    values = dict.fromkeys(re.findall(r"(?<![:\w]):([a-z_]\w*)", sql))
    plan = [row[3] for row in connection.execute(f"explain query plan {sql}", values)]
    connection.close()
    assert plan
    for step in plan:
        assert not re.match(r"SCAN (?!json_each)\w+$", step), plan
        # Sorting is for what was found by id, never for a history.
        assert not ("TEMP B-TREE" in step and name.startswith("list_done")), plan
