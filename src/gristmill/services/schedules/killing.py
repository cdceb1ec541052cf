"""Requests to kill runs: put to the worker or the agent that has the run, once it has begun."""

from functools import partial

from gristmill.domain.runs import KillRequest, Run
from gristmill.domain.state import HELD, JobState
from gristmill.services.queue.control import holders
from gristmill.services.schedules.board import RunEvent
from gristmill.services.schedules.turn import Turn
from gristmill.store.jobs import JobHead
from gristmill.store.runs import (
    insert_kill_request,
    save_kill_request,
    unexecuted_kills,
)


def request_kill(turn: Turn, run: Run) -> int:
    """Add a request, whatever the state of the run; return its id."""
    number = insert_kill_request(turn.tx, run, round(turn.now, 6))
    call_for_kills(turn, run)
    return number


def call_for_kills(turn: Turn, run: Run) -> None:
    """Put the open requests for a run to whoever has it, if it has begun."""
    if run.ended or run.started_at is None:
        return
    requests = unexecuted_kills(turn.tx, [run.id])
    if not requests:
        return
    head = turn.head(run)
    if head.state in HELD and head.agent_id is not None:
        _end_by_agent(turn, head, requests)
    elif run.pid is not None and run.worker_id is not None:
        _call_worker(turn, run.worker_id, requests)


def _end_by_agent(turn: Turn, head: JobHead, requests: list[KillRequest]) -> None:
    if head.state is JobState.RUNNING:
        for agent, held in holders(turn.tx, head):
            turn.tx.after_commit(partial(turn.core.registry.order_kill, agent, [held]))
    for request in requests:
        if request.enqueued_at is None:
            save_kill_request(turn.tx, request._replace(enqueued_at=round(turn.now, 6)))
            turn.tell(RunEvent("kill_request", "enqueued", request.id))


def _call_worker(turn: Turn, worker: int, requests: list[KillRequest]) -> None:
    colleague = turn.staff.all.get(worker)
    if colleague is None:
        return
    board = turn.core.board
    for request in requests:
        if request.enqueued_at is None:
            turn.tx.after_commit(partial(board.kill, request.id, worker, colleague.api_key))


def note_executed(turn: Turn, run: Run) -> None:
    """Take the requests for a run that an agent had for fulfilled: it has ended."""
    for request in unexecuted_kills(turn.tx, [run.id]):
        executed = request._replace(
            enqueued_at=request.enqueued_at or run.returned_at, executed_at=run.returned_at
        )
        save_kill_request(turn.tx, executed)
        turn.tell(RunEvent("kill_request", "executed", request.id))


def close_kills(turn: Turn, run: Run) -> None:
    """Call for no more kills of a run that has ended."""
    for request in unexecuted_kills(turn.tx, [run.id]):
        turn.tx.after_commit(partial(turn.core.board.killed, request.id))
