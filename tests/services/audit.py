"""What must be true of the tables whenever no transaction is open."""

from collections import Counter, defaultdict

import msgspec

from gristmill.domain.dialect import RUNS
from gristmill.domain.outcome import CANCELLED_WITH_WORKFLOW, DEPENDENCY_FAILED
from gristmill.domain.state import _MOVES as MOVES
from gristmill.domain.state import BUCKETS, HELD, INITIAL, TERMINAL, JobState
from gristmill.domain.workflow import ENDED, WorkflowState
from tests.raw import rows

_OUT = {JobState.COMPLETE, JobState.CANCELLED}
_STEPS = {
    (source, target)
    for sources, targets in MOVES.values()
    for source in sources
    for target in targets
}


class _Job(msgspec.Struct):
    id: int
    state: JobState
    bucket: int
    owner: int
    group: int
    dialect: int
    mutex: int | None
    parked: int
    unmet: int
    attempt: int
    agent: int | None
    key: str | None


def audit(url: str) -> None:
    """Compare everything that is derived with what it is derived from."""
    jobs = _jobs(url)
    _check_counts(url, jobs)
    _check_dependencies(url, jobs)
    _check_mutexes(url, jobs)
    _check_holding(url, jobs)
    _check_history(url, jobs)
    _check_workflows(url, jobs)
    _check_runs(url, jobs)


def _jobs(url: str) -> dict[int, _Job]:
    found = rows(
        url,
        "select id, state, bucket, owner_id, group_id, dialect, mutex_id, parked, unmet, attempt,"
        " agent_id, key from job",
    )
    return {row[0]: _Job(row[0], JobState(row[1]), *row[2:]) for row in found}


def _check_counts(url: str, jobs: dict[int, _Job]) -> None:
    owners = Counter((job.owner, job.dialect, int(job.state)) for job in jobs.values())
    stored = rows(url, "select owner_id, dialect, state, n from owner_count where n <> 0")
    assert {tuple(row[:3]): row[3] for row in stored} == dict(owners)
    groups = Counter((job.group, job.owner, job.dialect, int(job.state)) for job in jobs.values())
    stored = rows(url, "select group_id, owner_id, dialect, state, n from group_count where n <> 0")
    assert {tuple(row[:4]): row[4] for row in stored} == dict(groups)
    assert all(job.bucket == BUCKETS[job.state] for job in jobs.values())


def _check_dependencies(url: str, jobs: dict[int, _Job]) -> None:
    live: Counter[int] = Counter()
    for job, group in rows(url, "select job_id, group_id from dep_group_member"):
        live[group] += jobs[job].state not in _OUT
    stored: dict[int, int] = dict(rows(url, "select id, live from dep_group"))
    assert {group: n for group, n in stored.items() if n} == {g: n for g, n in live.items() if n}
    unmet: Counter[int] = Counter()
    for on, job, ended in rows(url, "select on_job_id, job_id, ended_is_enough from dependency"):
        unmet[job] += 1
        if on in jobs:
            over = TERMINAL if ended else {JobState.COMPLETE}
            assert jobs[on].state not in over, f"{job} still waits for {on}: {jobs[on].state}"
    for group, job in rows(url, "select group_id, job_id from dep_group_waiter"):
        unmet[job] += stored.get(group, 0) > 0
    blocked = (
        "select j.id from job j join workflow_node n on n.id = j.node_id"
        " where n.unmet > 0 and j.superseded_by is null"
    )
    unmet.update(row[0] for row in rows(url, blocked))
    standing = {(row.owner, row.key) for row in jobs.values() if row.state not in TERMINAL}
    for job_id, row in jobs.items():
        # A run of a schedule that is due is held until it is its turn.
        unmet[job_id] += row.dialect in RUNS and row.state is JobState.WAITING
        assert row.unmet == unmet[job_id], row
        if row.key and row.state is JobState.COMPLETE and (row.owner, row.key) in standing:
            continue
        assert (row.state is JobState.WAITING) == (row.unmet > 0) or row.state not in {
            JobState.WAITING,
            JobState.READY,
            JobState.DELAYED,
            JobState.COMPLETE,
        }, row


def _check_mutexes(url: str, jobs: dict[int, _Job]) -> None:
    fronts: defaultdict[int, list[int]] = defaultdict(list)
    for job in jobs.values():
        assert not job.parked or job.state is JobState.READY, job
        if job.mutex is not None and job.state in HELD | {JobState.READY} and not job.parked:
            fronts[job.mutex].append(job.id)
    stored = {mutex: front for mutex, front in rows(url, "select id, front from mutex") if front}
    assert {mutex: [front] for mutex, front in stored.items()} == dict(fronts)
    parked = {job.mutex for job in jobs.values() if job.parked}
    assert parked <= set(stored), "jobs wait for a mutex that nobody has"


def _check_holding(url: str, jobs: dict[int, _Job]) -> None:
    for job in jobs.values():
        assert job.state not in HELD or job.agent is not None or job.dialect in RUNS, job
    unfinished = "select job_id, attempt from gang_member where finished = 0"
    for job_id, attempt in rows(url, unfinished):
        assert jobs[job_id].state in HELD, jobs[job_id]
        assert jobs[job_id].attempt == attempt, jobs[job_id]


def _check_history(url: str, jobs: dict[int, _Job]) -> None:
    """Replay the events: every step is in the table, and the last one is where the job stands."""
    at: dict[int, JobState] = {}
    for kind, ids in rows(url, "select kind, jobs from event where kind like 'job.%' order by id"):
        state = JobState[kind.removeprefix("job.").upper()]
        for job in msgspec.json.decode(ids, type=list[int]):
            if job in at:
                assert (at[job], state) in _STEPS, f"job {job}: {at[job].word} -> {state.word}"
            else:
                assert state in INITIAL, f"job {job} began as {state.word}"
            at[job] = state
    for job_id, row in jobs.items():
        assert at[job_id] is row.state, f"job {job_id} is {row.state.word}, not {at[job_id].word}"


_NEVER_RAN = {CANCELLED_WITH_WORKFLOW, DEPENDENCY_FAILED}


def _check_workflows(url: str, jobs: dict[int, _Job]) -> None:
    """Recount what nodes and workflows count, and what they wait for."""
    found = rows(
        url,
        "select id, node_id, reason, unmet, superseded_by from job where node_id is not null",
    )
    counted: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for job, node, reason, unmet, superseded_by in found:
        if superseded_by is None:
            counted[node][_phase(jobs[job].state, reason, unmet)] += 1
    columns = "id, workflow_id, total, done, failed, waiting, unmet"
    nodes = {row[0]: row for row in rows(url, f"select {columns} from workflow_node")}
    parents: Counter[int] = Counter()
    for parent, child in rows(url, "select parent_id, child_id from workflow_edge"):
        parents[child] += nodes[parent][3] < nodes[parent][2]
    ended: dict[int, float | None] = dict(rows(url, "select id, ended_at from workflow"))
    sums: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for node, workflow, total, done, failed, waiting, unmet in nodes.values():
        sums[workflow].update(total=total, done=done, failed=failed, waiting=waiting)
        if ended[workflow] is None:
            assert unmet == parents[node], f"node {node}: {unmet} unmet, {parents[node]} not done"
        mine = counted[node]
        if mine.total() in {total, total - done + mine["done"]}:
            earlier = total - mine.total()
            assert (done, failed, waiting) == (
                mine["done"] + earlier, mine["failed"], mine["waiting"]
            ), f"node {node} of workflow {workflow}: {mine}"  # fmt: skip
    columns = "id, state, total, done, failed, waiting, reruns_left"
    for workflow, state, total, done, failed, waiting, _ in rows(
        url, f"select {columns} from workflow"
    ):
        assert sums[workflow] == Counter(total=total, done=done, failed=failed, waiting=waiting)
        queued = total - done - failed - waiting
        assert queued >= 0, workflow
        assert (ended[workflow] is not None) == (WorkflowState(state) in ENDED)
        assert queued > 0 or ended[workflow] is not None, f"workflow {workflow} hangs"
        assert (state == WorkflowState.COMPLETED) <= (done == total)
        assert (state == WorkflowState.FAILED) <= (failed > 0), f"why did {workflow} fail?"


def _phase(state: JobState, reason: str | None, unmet: int) -> str:
    if state is JobState.COMPLETE:
        return "done"
    if state is JobState.WAITING or (unmet and reason in _NEVER_RAN):
        return "waiting"
    return "failed" if state in TERMINAL else "queued"


def _check_runs(url: str, jobs: dict[int, _Job]) -> None:
    """Compare the stamps of runs with their jobs, and the counters of schedules with their runs."""
    done: Counter[tuple[int, bool | None]] = Counter()
    columns = "job_id, schedule_id, phase, enqueued_at, started_at, returned_at, success"
    for job, schedule, phase, enqueued, started, returned, success in rows(
        url, f"select {columns} from run"
    ):
        state = jobs[job].state
        assert jobs[job].dialect in RUNS, jobs[job]
        assert (state in TERMINAL) == (returned is not None), (job, state)
        if returned is None:
            assert (enqueued is not None) == (state in HELD), (job, state)
        if enqueued is not None and started is not None and returned is not None:
            assert phase == 3
            done[schedule, None if success is None else bool(success)] += 1
        else:
            assert phase < 3
    stored: Counter[tuple[int, bool | None]] = Counter()
    columns = "id, runs_succeeded, runs_failed, runs_unjudged, logs"
    for schedule, good, bad, unjudged, logs in rows(url, f"select {columns} from schedule"):
        stored.update({(schedule, True): good, (schedule, False): bad, (schedule, None): unjudged})
        found = rows(url, f"select count(*) from run_log where schedule_id = {schedule}")
        assert found == [(logs,)], schedule
    assert +stored == +done
