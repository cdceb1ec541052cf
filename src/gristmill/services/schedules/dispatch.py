"""Whose turn it is: one set of runs of a schedule is out at a time, the earliest due first."""

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.intervals import Moment, from_epoch, missed
from gristmill.domain.runs import Run
from gristmill.domain.state import HELD, JobState
from gristmill.services.queue.registry import LiveAgent
from gristmill.services.queue.submit import Submission, prepare
from gristmill.services.schedules.board import Standing
from gristmill.services.schedules.ending import fail_run
from gristmill.services.schedules.making import Wanted, ensure_next, job_spec, make_run
from gristmill.services.schedules.turn import Turn
from gristmill.store.jobs import JobHead
from gristmill.store.schedules import ScheduleRow

MISSED = "its time was missed"
_OUT = HELD | {JobState.READY}


def dispatch(turn: Turn, number: int) -> None:
    """Let the next run of a schedule be claimed, if it may be; take back what no longer may."""
    row = turn.schedule(number)
    if row is None:
        return
    waiting: list[Run] = []
    out: list[Run] = []
    for run in turn.unreturned(number):
        head = turn.head(run)
        if head.state is JobState.READY and not _may(row, run):
            turn.ledger.hold(head)
            turn.withdraw(run)
        (out if head.state in _OUT else waiting).append(run)
    if out:
        _go_on(turn, row, out[0].set_id)
        return
    for run in waiting:
        due = turn.head(run).state is JobState.WAITING
        if due and _may(row, run) and _begin(turn, row, run):
            return


def take_turn(turn: Turn, run: Run) -> None:
    """Let a run out that is due and asked for by itself, before others that nobody has claimed."""
    row = turn.schedule(run.schedule_id)
    if row is None or turn.head(run).state is not JobState.WAITING or not _may(row, run):
        return
    others = [one for one in turn.unreturned(row.id) if one.set_id != run.set_id]
    if any(turn.head(one).state in HELD for one in others):
        return
    for other in others:
        if turn.head(other).state is JobState.READY:
            turn.ledger.hold(turn.head(other))
            turn.withdraw(other)
    _begin(turn, row, run)


def _may(row: ScheduleRow, run: Run) -> bool:
    return run.manual or row.switched_on


def _go_on(turn: Turn, row: ScheduleRow, set_id: int) -> None:
    """Offer what is left of the set that is out."""
    for run in turn.unreturned(row.id):
        if run.set_id != set_id or not _may(row, run):
            continue
        head = turn.head(run)
        if head.state is JobState.WAITING:
            open_run(turn, row, run, head)
        elif head.state is JobState.READY:
            _offer(turn, row, run)


def _begin(turn: Turn, row: ScheduleRow, run: Run) -> bool:
    """Let a run out; return whether it is this run's turn, even when nobody is there to take it."""
    if _is_skipped(turn, row, run):
        _skip(turn, row, run)
        return False
    if run.worker_id is None and row.run_on_all_workers:
        begun = _spread(turn, row, run)
    else:
        begun = run.worker_id is not None or _is_served(turn, row)
        if begun:
            open_run(turn, row, run, turn.head(run))
    if begun:
        ensure_next(turn, row, run.set_id)
    return True


def _is_served(turn: Turn, row: ScheduleRow) -> bool:
    return row.pool_agents or bool(_enabled(turn, row))


def _is_skipped(turn: Turn, row: ScheduleRow, run: Run) -> bool:
    if row.catch_up != "skip" or run.manual:
        return False
    rhythm = turn.rhythm(row)
    due = Moment(from_epoch(run.due_at))
    return rhythm is not None and missed(rhythm, due, from_epoch(turn.now))


def _skip(turn: Turn, row: ScheduleRow, run: Run) -> None:
    """Leave out a run whose time has passed; its job tells why."""
    turn.ledger.cancel_held(turn.head(run), MISSED)
    turn.drop(run)
    ensure_next(turn, row, run.set_id)


def _spread(turn: Turn, row: ScheduleRow, run: Run) -> bool:
    """Put a run for each worker and each of our agents in the place of one; say if any is there."""
    workers = _enabled(turn, row)
    nodes = [agent.row.node for agent in _agents(turn, row)] if row.pool_agents else []
    if not workers and not nodes:
        return False
    due = Moment(from_epoch(run.due_at))
    base = row.base_at, row.base_shift
    places = [(worker, "") for worker in workers] + [(None, node) for node in nodes]
    for worker, node in places:
        copy = Wanted(due, run.manual, run.chains, worker, node, run.set_id)
        sibling = make_run(turn, row, copy)
        open_run(turn, row, sibling, turn.head(sibling), node)
    row.base_at, row.base_shift = base
    turn.drop_with_job(run)
    return True


def _agents(turn: Turn, row: ScheduleRow) -> list[LiveAgent]:
    return [
        agent
        for agent in turn.core.registry.all()
        if row.pool_name in agent.pools and not agent.draining and not agent.stop
    ]


def open_run(turn: Turn, row: ScheduleRow, run: Run, head: JobHead, node: str = "") -> None:
    """Make a run ready, with the script as it is now, and offer it."""
    if row.pool_agents:
        try:
            spec = job_spec(row, run.due_at, node)
            core, tx = turn.core.queue, turn.tx
            prepared = prepare(core, Submission([spec], ""))
            head.shape_id = core.shapes.number(tx, prepared.shapes[0])
            values = {"job": run.id, "spec": prepared.blobs[0], "name": spec.name}
            tx.run("set_job_spec", shape=head.shape_id, **values)
        except InvalidInputError as error:
            fail_run(turn, run, f"the script cannot be run: {error}")
            return
    if head.state is JobState.DELAYED:
        # A copy of a run that a person brought forward: its own time has not come.
        head.ready_at = None
        turn.ledger.hold(head)
    turn.ledger.release(head)
    _offer(turn, row, run)


def _offer(turn: Turn, row: ScheduleRow, run: Run) -> None:
    """Offer a run to one worker of its pool; it stays with that one while it is there."""
    workers = [run.worker_id] if run.worker_id is not None else _enabled(turn, row)
    standing = turn.core.board.standing.get(run.id)
    if standing is not None:
        if standing.worker_id in workers or not workers:
            return
        turn.withdraw(run)
    turn.offer(run, _standing(turn, row, run, workers))


def _enabled(turn: Turn, row: ScheduleRow) -> list[int]:
    return [worker.id for worker in turn.workers(row.pool_id) if worker.enabled]


def _standing(turn: Turn, row: ScheduleRow, run: Run, workers: list[int]) -> Standing:
    chance = turn.core.queue.chance
    standing = Standing(
        row.id, row.pool_id, None, "", run.worker_id is not None, chance.monotonic()
    )
    known = [number for number in workers if number in turn.staff.all] if workers else []
    if known:
        best = [turn.staff.all[known[0]]] if standing.fixed else turn.staff.rank(known)
        chosen = chance.random.choice(best)
        turn.staff.offered(chosen.id)
        standing.worker_id, standing.api_key = chosen.id, chosen.api_key
    return standing
