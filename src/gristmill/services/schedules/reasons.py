"""Why a run that is due has not begun: a sentence for people."""

from gristmill.domain.state import HELD, JobState
from gristmill.store.database import Transaction
from gristmill.store.jobs import get_states
from gristmill.store.runs import get_runs, open_runs
from gristmill.store.schedules import ScheduleRow, get_schedules, workers_of_pool


def why_held(tx: Transaction, number: int) -> str:
    """Say what a run waits for."""
    run = get_runs(tx, [number]).get(number)
    row = get_schedules(tx, [run.schedule_id]).get(run.schedule_id) if run else None
    if run is None or row is None:
        return "waits for its turn"
    if not run.manual and not row.switched_on:
        return f"{_switch(row)} is switched off"
    others = [one.id for one in open_runs(tx, [row.id]).values() if one.set_id != run.set_id]
    for other, (state, _) in sorted(get_states(tx, others).items()):
        if state in HELD or state is JobState.READY:
            return f"waits for run {other} of its schedule ({state.word})"
    if not row.pool_agents and not any(one.enabled for one in workers_of_pool(tx, row.pool_id)):
        return f"no worker of pool {row.pool_name!r} is enabled"
    return "waits for its turn"


def why_offered(tx: Transaction, number: int) -> str:
    """Say who may claim a run that is ready."""
    run = get_runs(tx, [number]).get(number)
    if run is not None and run.worker_id is not None:
        return f"offered to worker {run.worker_id}, which has not claimed it yet"
    return "offered to the workers of its pool, none has claimed it yet"


def _switch(row: ScheduleRow) -> str:
    for name, on in (
        ("its schedule", row.enabled),
        (f"template {row.template_name!r}", row.template_enabled),
        (f"project {row.project_name!r}", row.project_enabled),
    ):
        if not on:
            return name
    return f"pool {row.pool_name!r}"
