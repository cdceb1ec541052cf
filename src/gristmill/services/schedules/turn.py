"""One transaction on runs: what is loaded once, changed in memory, and written at its close."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import NamedTuple

from gristmill.domain.declared import Every
from gristmill.domain.intervals import Moment, Rhythm, find_zone, from_epoch, rhythm
from gristmill.domain.runs import Phase, Run, phase_of
from gristmill.services.queue.ledger import Ledger
from gristmill.services.schedules.board import RunEvent, Standing
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.staff import Staff
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead, delete_jobs
from gristmill.store.runs import (
    delete_runs,
    get_runs,
    insert_runs,
    logged,
    open_runs,
    runs_of_sets,
    save_runs,
)
from gristmill.store.schedules import (
    PoolWorker,
    ScheduleRow,
    get_schedules,
    save_progress,
    workers_of_pool,
)


class _Outcome(NamedTuple):
    completed: bool
    success: bool | None


class Turn:
    """The runs and schedules of one transaction.

    ledger: of whoever moves the jobs, when that is not this turn; then it is not closed here.
    """

    def __init__(self, core: ScheduleCore, tx: Transaction, ledger: Ledger | None = None) -> None:
        self.core, self.tx = core, tx
        self.now = core.queue.chance.now()
        self.ledger = ledger or Ledger(core.queue, tx, self.now, follow=False)
        self._own_ledger = ledger is None
        self._schedules: dict[int, ScheduleRow] = {}
        self._runs: dict[int, Run] = {}
        self._was: dict[int, _Outcome | None] = {}
        self._open: set[int] = set()
        self._changed_runs: dict[int, Run] = {}
        self._changed_schedules: dict[int, ScheduleRow] = {}
        self._new: set[int] = set()
        self._gone: set[int] = set()
        self._jobs_gone: list[int] = []
        self._pools: dict[int, list[PoolWorker]] = {}
        self._staff: Staff | None = None
        self._events: list[RunEvent] = []
        self._offers: list[tuple[int, Standing]] = []
        self._withdrawn: list[int] = []
        self._nudged: list[int] = []
        self._mails: list[Callable[[], None]] = []

    def schedule(self, number: int) -> ScheduleRow | None:
        """Return a schedule, the same object each time; None when there is none."""
        if number not in self._schedules:
            self._schedules.update(get_schedules(self.tx, [number]))
        return self._schedules.get(number)

    def load_schedules(self, numbers: Iterable[int]) -> None:
        """Read many schedules and their open runs at once."""
        missing = [number for number in numbers if number not in self._schedules]
        self._schedules.update(get_schedules(self.tx, missing))
        self._adopt(open_runs(self.tx, missing).values())
        self._open.update(missing)

    def run(self, number: int) -> Run | None:
        """Return a run, the same object each time; None when there is none."""
        if number not in self._runs and number not in self._gone:
            self._adopt(get_runs(self.tx, [number]).values())
        return self._runs.get(number)

    def runs(self, numbers: Iterable[int]) -> list[Run]:
        """Return the runs that exist."""
        wanted = list(numbers)
        self._adopt(get_runs(self.tx, [one for one in wanted if one not in self._runs]).values())
        return [self._runs[one] for one in wanted if one in self._runs]

    def siblings(self, run: Run) -> list[Run]:
        """Return the runs of a run's set, itself among them."""
        self._adopt(runs_of_sets(self.tx, [run.set_id]).values())
        return [one for one in self._runs.values() if one.set_id == run.set_id]

    def unreturned(self, schedule: int) -> list[Run]:
        """Return the runs of a schedule that have not returned, the earliest due first."""
        if schedule not in self._open:
            self._adopt(open_runs(self.tx, [schedule]).values())
            self._open.add(schedule)
        runs = (run for run in self._runs.values() if run.schedule_id == schedule and not run.ended)
        return sorted(runs, key=lambda run: (run.due_at, run.id))

    def head(self, run: Run) -> JobHead:
        """Return the head of a run's job."""
        (head,) = self.ledger.load([run.id])
        return head

    def _adopt(self, runs: Iterable[Run]) -> None:
        for run in runs:
            if run.id not in self._runs and run.id not in self._gone:
                self._runs[run.id] = run
                self._was[run.id] = _outcome(run)

    def workers(self, pool: int) -> list[PoolWorker]:
        """Return the external workers of a pool."""
        if pool not in self._pools:
            self._pools[pool] = workers_of_pool(self.tx, pool)
        return self._pools[pool]

    @property
    def staff(self) -> Staff:
        """Return the external workers with their load."""
        if self._staff is None:
            self._staff = Staff(self.tx, self.core.board, self.core.rules, self.now)
        return self._staff

    def rhythm(self, row: ScheduleRow) -> Rhythm | None:
        """Return the rhythm of a schedule, if it has one."""
        every: Every | None = row.every
        zone = find_zone(row.timezone or self.core.rules.zone)
        return rhythm(zone, every, row.cron, row.exclude)

    def add(self, run: Run) -> None:
        """Take a new run in; its job is there already."""
        self._runs[run.id] = run
        self._was[run.id] = None
        self._new.add(run.id)
        self.changed(run)

    def changed(self, run: Run) -> None:
        """Have a run written back."""
        run.phase = phase_of(run)
        self._changed_runs[run.id] = run

    def progressed(self, row: ScheduleRow) -> None:
        """Have what runs change of a schedule written back."""
        self._changed_schedules[row.id] = row

    def drop(self, run: Run) -> None:
        """Forget a run; its job stays, or is deleted by whoever does this."""
        self._count(run.schedule_id, self._was.pop(run.id, None), -1)
        row = self.schedule(run.schedule_id)
        if row is not None and logged(self.tx, [run.id]):
            row.logs -= 1
            self.progressed(row)
        self._runs.pop(run.id, None)
        self._changed_runs.pop(run.id, None)
        self._new.discard(run.id)
        self._gone.add(run.id)
        self._withdrawn.append(run.id)

    def drop_with_job(self, run: Run) -> None:
        """Delete a run that has not begun, and its job."""
        self.ledger.forget(self.head(run))
        self._jobs_gone.append(run.id)
        self.drop(run)

    def tell(self, event: RunEvent) -> None:
        """Tell onlookers once this is durable."""
        self._events.append(event)

    def offer(self, run: Run, standing: Standing) -> None:
        """Offer a run once this is durable."""
        self._offers.append((run.id, standing))

    def withdraw(self, run: Run) -> None:
        """Offer a run no longer."""
        self._withdrawn.append(run.id)

    def nudge(self, schedule: int) -> None:
        """Have a schedule looked at once this is durable."""
        self._nudged.append(schedule)

    def notify(self, mail: Callable[[], None]) -> None:
        """Tell people at the close of this transaction."""
        self._mails.append(mail)

    def close(self) -> None:
        """Write everything, and have everybody told once it is durable."""
        self._write()
        for mail in self._mails:
            mail()
        if self._own_ledger:
            self.ledger.close()
        if self._jobs_gone:
            delete_jobs(self.tx, self._jobs_gone)
        if self._gone:
            delete_runs(self.tx, sorted(self._gone))
        self.tx.after_commit(self._announce)

    def _write(self) -> None:
        for run in self._changed_runs.values():
            was, outcome = self._was[run.id], _outcome(run)
            if was != outcome:
                self._count(run.schedule_id, was, -1)
                self._count(run.schedule_id, outcome, 1)
                self._was[run.id] = outcome
        insert_runs(self.tx, [self._changed_runs[number] for number in sorted(self._new)])
        save_runs(
            self.tx,
            [run for number, run in self._changed_runs.items() if number not in self._new],
        )
        for row in self._changed_schedules.values():
            save_progress(self.tx, row)
        self._new.clear()
        self._changed_runs.clear()
        self._changed_schedules.clear()

    def _count(self, schedule: int, outcome: _Outcome | None, change: int) -> None:
        """Keep count of a schedule's completed runs."""
        row = self.schedule(schedule)
        if row is None or outcome is None or not outcome.completed:
            return
        if outcome.success is None:
            row.runs_unjudged += change
        elif outcome.success:
            row.runs_succeeded += change
        else:
            row.runs_failed += change
        self.progressed(row)

    def _announce(self) -> None:
        board = self.core.board
        for run in self._withdrawn:
            board.withdraw(run)
        for run, standing in self._offers:
            board.offer(run, standing)
        for event in self._events:
            board.tell(event)
        if self._nudged:
            self.core.nudges.add(self._nudged)


def base_of(row: ScheduleRow) -> Moment | None:
    """Return the newest time of a schedule that a run by its rhythm was made for."""
    if row.base_at is None:
        return None
    return Moment(from_epoch(row.base_at), timedelta(seconds=row.base_shift))


def _outcome(run: Run) -> _Outcome:
    return _Outcome(run.phase is Phase.COMPLETED, run.success)
