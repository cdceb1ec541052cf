"""Runs of schedules, their logs, and the requests to kill them."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from gristmill.domain.runs import KillRequest, Phase, Run
from gristmill.store.database import Transaction

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[float, ...]).decode
_PHASES = {phase.value: phase for phase in Phase}
_SUCCESS, _MANUAL, _CHAINS, _RETURNS = 9, 11, 12, 13


class RunLog(NamedTuple):
    """What a run wrote. attempt: it is the output of this attempt of the job, when it is not None.

    content: UTF-8, None for nothing.
    """

    run_id: int
    schedule_id: int
    attempt: int | None
    content: bytes | None


def _run(row: Sequence[Any]) -> Run:
    values = list(row)
    values[3] = _PHASES[row[3]]
    values[_SUCCESS] = None if row[_SUCCESS] is None else bool(row[_SUCCESS])
    values[_MANUAL], values[_CHAINS] = bool(row[_MANUAL]), bool(row[_CHAINS])
    values[_RETURNS] = _decode(row[_RETURNS]) if row[_RETURNS] else ()
    return Run(*values)


def _values(run: Run) -> tuple[object, ...]:
    return (
        run.schedule_id, run.set_id, int(run.phase), run.worker_id, run.due_at, run.enqueued_at,
        run.started_at, run.returned_at, run.success, run.pid, run.manual, run.chains,
        _encode(run.returns).decode() if run.returns else "",
    )  # fmt: skip


def insert_runs(tx: Transaction, runs: Iterable[Run]) -> None:
    """Insert runs of jobs that are there."""
    tx.many("insert_run", [(run.id, *_values(run)) for run in runs])


def save_runs(tx: Transaction, runs: Iterable[Run]) -> None:
    """Write runs back."""
    tx.many("update_run", [(*_values(run), run.id) for run in runs])


def delete_runs(tx: Transaction, ids: Sequence[int]) -> None:
    """Delete runs with their logs and kill requests; the jobs stay."""
    array = tx.array(ids)
    for statement in ("delete_runs", "delete_run_logs", "delete_kill_requests"):
        tx.run(statement, ids=array)


def get_runs(tx: Transaction, ids: Sequence[int]) -> dict[int, Run]:
    """Return the runs that exist, by id."""
    return _by_ids(tx, "get_runs", ids)


def open_runs(tx: Transaction, schedules: Sequence[int]) -> dict[int, Run]:
    """Return the runs of these schedules that are not completed, by id."""
    return _by_ids(tx, "get_open_runs", schedules)


def all_open_runs(tx: Transaction) -> dict[int, Run]:
    """Return every run that is not completed, by id."""
    return {row[0]: _run(row) for row in tx.all("list_all_open_runs")}


def open_runs_of_workers(tx: Transaction, workers: Sequence[int]) -> dict[int, Run]:
    """Return the runs of these workers that are not completed, by id."""
    return _by_ids(tx, "get_open_runs_of_workers", workers)


def runs_of_sets(tx: Transaction, sets: Sequence[int]) -> dict[int, Run]:
    """Return the runs of these sets, by id."""
    return _by_ids(tx, "get_runs_of_sets", sets)


def done_runs(
    tx: Transaction, schedules: Sequence[int], success: bool | None, *, skip: int, most: int
) -> list[Run]:
    """Return completed runs of these schedules, newest first. success: None for any."""
    page: dict[str, Any] = {"skip": skip, "most": most}
    any_outcome, one_outcome = "list_done_runs", "list_done_runs_by_success"
    if len(schedules) == 1:
        any_outcome, one_outcome = "list_done_runs_of", "list_done_runs_of_by_success"
        page["schedule"] = schedules[0]
    else:
        page["ids"] = tx.array(schedules)
    if success is None:
        return [_run(row) for row in tx.all(any_outcome, **page)]
    return [_run(row) for row in tx.all(one_outcome, success=success, **page)]


def _by_ids(tx: Transaction, statement: str, ids: Sequence[int]) -> dict[int, Run]:
    if not ids:
        return {}
    return {row[0]: _run(row) for row in tx.all(statement, ids=tx.array(ids))}


def get_logs(tx: Transaction, ids: Sequence[int]) -> dict[int, RunLog]:
    """Return the logs of these runs, by run."""
    if not ids:
        return {}
    return {row[0]: _log(row) for row in tx.all("get_run_logs", ids=tx.array(ids))}


def logged(tx: Transaction, ids: Sequence[int]) -> frozenset[int]:
    """Return which of these runs have a log."""
    if not ids:
        return frozenset()
    return frozenset(row[0] for row in tx.all("get_logged_runs", ids=tx.array(ids)))


def done_logs(tx: Transaction, schedules: Sequence[int], *, skip: int, most: int) -> list[RunLog]:
    """Return logs of completed runs of these schedules, oldest first."""
    ids = tx.array(schedules)
    return [_log(row) for row in tx.all("list_done_run_logs", ids=ids, skip=skip, most=most)]


def put_log(tx: Transaction, log: RunLog) -> None:
    """Write a run's log, in place of any other."""
    tx.run(
        "put_run_log",
        run=log.run_id,
        schedule=log.schedule_id,
        attempt=log.attempt,
        content=log.content,
    )


def oldest_logs(tx: Transaction, schedule: int, most: int) -> list[int]:
    """Return the first completed runs of a schedule that have a log."""
    return [row[0] for row in tx.all("list_oldest_run_logs", schedule=schedule, most=most)]


def logs_before(tx: Transaction, schedule: int, before: float, most: int) -> list[int]:
    """Return runs of a schedule that have a log and returned before a moment."""
    found = tx.all("list_run_logs_before", schedule=schedule, before=before, most=most)
    return [row[0] for row in found]


def delete_logs(tx: Transaction, ids: Sequence[int]) -> None:
    """Delete the logs of runs; the runs stay."""
    tx.run("delete_run_logs", ids=tx.array(ids))


def _log(row: Sequence[Any]) -> RunLog:
    content = row[3]
    return RunLog(row[0], row[1], row[2], None if content is None else bytes(content))


def get_kill_requests(tx: Transaction, ids: Sequence[int]) -> dict[int, KillRequest]:
    """Return the requests that exist, by id."""
    if not ids:
        return {}
    return {row[0]: KillRequest(*row) for row in tx.all("get_kill_requests", ids=tx.array(ids))}


def unexecuted_kills(tx: Transaction, runs: Sequence[int]) -> list[KillRequest]:
    """Return the requests for these runs that are not fulfilled."""
    if not runs:
        return []
    rows = tx.all("get_kill_requests_of_runs", ids=tx.array(runs))
    return [KillRequest(*row) for row in rows]


def list_kill_requests(
    tx: Transaction, schedules: Sequence[int], *, skip: int, most: int
) -> tuple[int, list[KillRequest]]:
    """Return how many requests there are for runs of these schedules, and a page of them."""
    ids = tx.array(schedules)
    total: int = tx.must("count_kill_requests", ids=ids)[0]
    rows = tx.all("list_kill_requests", ids=ids, skip=skip, most=most)
    return total, [KillRequest(*row) for row in rows]


def insert_kill_request(tx: Transaction, run: Run, at: float) -> int:
    """Add a request; return its id."""
    number: int = tx.must("insert_kill_request", run=run.id, schedule=run.schedule_id, at=at)[0]
    return number


def save_kill_request(tx: Transaction, request: KillRequest) -> None:
    """Write a request's stamps back."""
    tx.run(
        "update_kill_request",
        id=request.id,
        enqueued_at=request.enqueued_at,
        executed_at=request.executed_at,
    )


def delete_schedule_runs(tx: Transaction, schedule: int) -> None:
    """Delete all runs of a schedule with their logs and kill requests; the jobs stay."""
    for statement in (
        "delete_open_runs_of_schedule",
        "delete_done_runs_of_schedule",
        "delete_run_logs_of_schedule",
        "delete_kill_requests_of_schedule",
    ):
        tx.run(statement, schedule=schedule)
