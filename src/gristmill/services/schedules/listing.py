"""Lists of runs: the completed ones from their index, newest first, then the few open ones."""

from collections.abc import Iterable, Iterator

from gristmill.domain.runs import Phase, Run, order
from gristmill.services.schedules.index import Index
from gristmill.services.schedules.pages import (
    OPEN_PHASES,
    OUTCOMES,
    Page,
    RunFilter,
    RunState,
    RunView,
)
from gristmill.store.database import Transaction
from gristmill.store.runs import (
    all_open_runs,
    done_runs,
    get_runs,
    logged,
    open_runs,
    open_runs_of_workers,
    runs_of_sets,
)
from gristmill.store.schedules import last_sets, sum_completed

MOST_AT_ONCE = 5_000


def list_runs(
    tx: Transaction, index: Index, wanted: RunFilter, offset: int, limit: int
) -> Page[RunView]:
    """Return a page of runs in their order, and how many there are in all."""
    return _Search(tx, index, wanted).page(offset, limit)


def views(tx: Transaction, index: Index, runs: Iterable[Run]) -> list[RunView]:
    """Return runs as people see them; those of a schedule that is gone are left out."""
    found = [run for run in runs if run.schedule_id in index.by_id]
    logs = logged(tx, [run.id for run in found])
    return [_view(index, run, has_log=run.id in logs) for run in found]


def _view(index: Index, run: Run, *, has_log: bool) -> RunView:
    row = index.by_id[run.schedule_id]
    return RunView(
        id=run.id,
        schedule_id=run.schedule_id,
        project_id=row.project_id,
        pool_id=row.pool_id,
        set_id=run.set_id,
        due_at=run.due_at,
        enqueued_at=run.enqueued_at,
        started_at=run.started_at,
        returned_at=run.returned_at,
        success=run.success,
        pid=run.pid,
        worker_id=run.worker_id,
        log_id=run.id if has_log else None,
        manual=run.manual,
        chains=run.chains,
        phase=run.phase,
    )


class _Search:
    """One list within a transaction."""

    def __init__(self, tx: Transaction, index: Index, wanted: RunFilter) -> None:
        self._tx, self._index, self._wanted = tx, index, wanted
        self._schedules = index.choose(wanted.project_ids, wanted.pool_ids, wanted.schedule_ids)
        self._scope = frozenset(self._schedules)

    def page(self, offset: int, limit: int) -> Page[RunView]:
        wanted = self._wanted
        if not self._schedules:
            return Page(0, [])
        if wanted.ids is not None or wanted.state is RunState.LAST_COMPLETED:
            return self._cut(sorted(filter(self._fits, self._named()), key=order), offset, limit)
        still = sorted(filter(self._fits, self._open()), key=order)
        if wanted.state in OPEN_PHASES:
            return self._cut(still, offset, limit)
        if wanted.state is not None:
            still = []
        if self._is_picky():
            return self._cut([*filter(self._fits, self._done()), *still], offset, limit)
        return self._counted(still, offset, limit)

    def _cut(self, runs: list[Run], offset: int, limit: int) -> Page[RunView]:
        return Page(len(runs), views(self._tx, self._index, runs[offset : offset + limit]))

    def _counted(self, still: list[Run], offset: int, limit: int) -> Page[RunView]:
        """Page through an index, with a total from counters."""
        outcome = OUTCOMES.get(self._wanted.state) if self._wanted.state else None
        sums = sum_completed(self._tx, self._schedules)
        done = sums.succeeded + sums.failed + sums.unjudged
        if outcome is not None:
            done = sums.succeeded if outcome else sums.failed
        page: list[Run] = []
        if offset < done:
            page = done_runs(self._tx, self._schedules, outcome, skip=offset, most=limit)
        start = max(0, offset - done)
        page += still[start : start + limit - len(page)]
        return Page(done + len(still), views(self._tx, self._index, page))

    def _is_picky(self) -> bool:
        wanted = self._wanted
        conditions = (wanted.worker_ids, wanted.manual, wanted.due_from, wanted.due_to, wanted.keep)
        return any(condition is not None for condition in conditions)

    def _named(self) -> Iterable[Run]:
        if self._wanted.ids is not None:
            return get_runs(self._tx, list(self._wanted.ids)).values()
        sets = last_sets(self._tx, self._schedules)
        return runs_of_sets(self._tx, sets).values()

    def _open(self) -> Iterable[Run]:
        workers = self._wanted.worker_ids
        if workers is not None:
            return open_runs_of_workers(self._tx, list(workers)).values()
        if len(self._schedules) == len(self._index.rows):
            return all_open_runs(self._tx).values()
        return open_runs(self._tx, self._schedules).values()

    def _done(self) -> Iterator[Run]:
        outcome = OUTCOMES.get(self._wanted.state) if self._wanted.state else None
        skip = 0
        while True:
            some = done_runs(self._tx, self._schedules, outcome, skip=skip, most=MOST_AT_ONCE)
            yield from some
            if len(some) < MOST_AT_ONCE:
                return
            skip += MOST_AT_ONCE

    def _fits(self, run: Run) -> bool:
        wanted = self._wanted
        return (
            run.schedule_id in self._scope
            and self._in_state(run)
            and (wanted.worker_ids is None or run.worker_id in wanted.worker_ids)
            and (wanted.manual is None or run.manual is wanted.manual)
            and (wanted.due_from is None or run.due_at >= wanted.due_from)
            and (wanted.due_to is None or run.due_at <= wanted.due_to)
            and (wanted.keep is None or wanted.keep(_view(self._index, run, has_log=False)))
        )

    def _in_state(self, run: Run) -> bool:
        state = self._wanted.state
        if state is None:
            return True
        if state in OPEN_PHASES:
            return run.phase is OPEN_PHASES[state]
        return run.phase is Phase.COMPLETED and OUTCOMES.get(state) in {None, run.success}
