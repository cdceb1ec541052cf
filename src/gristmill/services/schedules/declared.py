"""What a file declared takes effect: first runs, switches, and schedules that are no more."""

from functools import partial

from gristmill.domain.declared import Schedule
from gristmill.domain.intervals import Moment
from gristmill.domain.state import HELD, TERMINAL
from gristmill.services.declaration_plan import Plan, Slot
from gristmill.services.queue.control import holders
from gristmill.services.schedules.core import ScheduleCore
from gristmill.services.schedules.index import ScheduleIndex
from gristmill.services.schedules.making import Wanted, make_run
from gristmill.services.schedules.turn import Turn
from gristmill.store.database import Transaction
from gristmill.store.runs import delete_schedule_runs

DECLARED_NO_MORE = "its schedule was removed"


class DeclaredFollower:
    """Called in the transaction that wrote a plan."""

    def __init__(self, core: ScheduleCore, index: ScheduleIndex) -> None:
        self._core, self._index = core, index

    def __call__(self, tx: Transaction, plan: Plan) -> None:
        """Let the plan take effect."""
        turn = Turn(self._core, tx)
        for slot in plan.schedules:
            if slot.id is not None and slot.changed:
                _follow(turn, slot, slot.id)
        for worker in plan.workers:
            before, after = worker.before, worker.after
            if after is not None and after.enabled and (before is None or not before.enabled):
                tx.run("set_worker_since", id=worker.id, since=turn.now)
        turn.close()
        tx.after_commit(self._index.forget)
        tx.after_commit(self._core.nudges.all)


def _follow(turn: Turn, slot: Slot[Schedule], number: int) -> None:
    before, after = slot.before, slot.after
    if after is None:
        _end(turn, number)
        return
    row = turn.schedule(number)
    assert row is not None
    if before is None and after.first_run is not None:
        make_run(turn, row, Wanted(Moment(after.first_run)))
    elif before is not None and after.enabled and not before.enabled:
        row.failures = 0
        turn.progressed(row)


def _end(turn: Turn, number: int) -> None:
    """Cancel what is left of a schedule, and forget its runs; their jobs stay."""
    for run in turn.unreturned(number):
        head = turn.head(run)
        if head.state in HELD and head.agent_id is not None:
            turn.ledger.request_cancel(head)
            for agent, held in holders(turn.tx, head):
                turn.tx.after_commit(partial(turn.core.registry.order_kill, agent, [held]))
        elif head.state not in TERMINAL:
            turn.ledger.cancel_held(head, DECLARED_NO_MORE)
        turn.drop(run)
    delete_schedule_runs(turn.tx, number)
