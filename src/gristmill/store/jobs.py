"""Jobs as the queue moves them, and as people see them."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gristmill.domain.job import JobSpec
from gristmill.domain.metrics import source_of_job
from gristmill.domain.state import BUCKETS, JobState
from gristmill.store.database import Transaction
from gristmill.store.metrics import delete_sources_named
from gristmill.store.objects import delete_objects_of_jobs

_decode_spec = msgspec.msgpack.Decoder(JobSpec).decode
encode_spec = msgspec.msgpack.Encoder().encode


class JobHead(msgspec.Struct, gc=False):
    """The part of a job that the queue works with; written back by ``save_heads``.

    unmet: dependencies not satisfied. parked: waits behind another job of its mutex.
    failures: failed attempts so far. attempt: number of the current or last attempt.
    starts: how often it got a process. node_id: its place in a workflow, if it is part of one.
    stored_bucket: where the indexes have it now. Times are epoch seconds.
    """

    id: int
    state: JobState
    shape_id: int
    priority: int
    group_id: int
    owner_id: int
    project_id: int
    dialect: int
    mutex_id: int | None
    parked: int
    unmet: int
    retries_left: int
    failures: int
    attempt: int
    agent_id: int | None
    cancel_requested: int
    created_at: float
    ready_at: float | None
    started_at: float | None
    ended_at: float | None
    exit_code: int | None
    reason: str | None
    starts: int
    node_id: int | None
    stored_bucket: int


class JobRow(msgspec.Struct, gc=False):
    """A job as people see it; interned words still as numbers.

    reckoned: megabytes, seconds and megabytes of disk that the last lease reckoned with, where
    that was learned. instance: which one of its node of a workflow it is, from 0.
    """

    head: JobHead
    name: str
    key: str | None
    spec: JobSpec
    dialect_data: bytes | None
    reckoned: tuple[int, float, int] | None
    instance: int | None


_HEAD_COLUMNS = 25
_STATES = {state.value: state for state in JobState}


def _head(row: Sequence[Any]) -> JobHead:
    head = JobHead(*row[:_HEAD_COLUMNS])
    head.state = _STATES[row[1]]
    return head


def take_job_ids(tx: Transaction, count: int) -> int:
    """Reserve count consecutive ids, never to be reused; return the first."""
    last: int = tx.must("next_job_ids", count=count)[0]
    return last - count + 1


def insert_jobs(tx: Transaction, rows: Iterable[Sequence[object]]) -> None:
    """Insert jobs; the columns of a row are those of ``insert_jobs.sql``, in its order."""
    tx.many("insert_jobs", rows)


def get_heads(tx: Transaction, ids: Sequence[int]) -> list[JobHead]:
    """Return the heads of the jobs that exist, in no order."""
    if not ids:
        return []
    return [_head(row) for row in tx.all("get_heads", ids=tx.array(ids))]


def get_head(tx: Transaction, job: int) -> JobHead | None:
    """Return one head."""
    heads = get_heads(tx, [job])
    return heads[0] if heads else None


def save_heads(tx: Transaction, heads: Iterable[JobHead]) -> None:
    """Write back every column of the heads that the queue may change.

    The indexes for listings are only touched when a job leaves its bucket.
    """
    stay: list[tuple[object, ...]] = []
    leave: list[tuple[object, ...]] = []
    for head in heads:
        bucket = BUCKETS[head.state]
        row = (
            int(head.state),
            head.parked,
            head.unmet,
            head.retries_left,
            head.failures,
            head.attempt,
            head.agent_id,
            head.cancel_requested,
            head.ready_at,
            head.started_at,
            head.ended_at,
            head.exit_code,
            head.reason,
            head.starts,
            head.id,
        )
        if bucket == head.stored_bucket:
            stay.append(row)
        else:
            leave.append((bucket, *row))
            head.stored_bucket = bucket
    if stay:
        tx.many("update_jobs", stay)
    if leave:
        tx.many("update_jobs_and_bucket", leave)


def take_ready(tx: Transaction, shape: int, most: int) -> list[tuple[JobHead, bytes]]:
    """Return the first ready jobs of a shape with their stored specs: priority, then age."""
    return [
        (_head(row), row[_HEAD_COLUMNS]) for row in tx.all("take_ready", shape=shape, most=most)
    ]


def get_specs(tx: Transaction, ids: Sequence[int]) -> dict[int, JobSpec]:
    """Return the specs of the jobs that exist."""
    if not ids:
        return {}
    rows = tx.all("get_specs", ids=tx.array(ids))
    return {job: _decode_spec(spec) for job, spec in rows}


def get_rows(tx: Transaction, ids: Sequence[int]) -> dict[int, JobRow]:
    """Return the whole jobs that exist, by id."""
    if not ids:
        return {}
    return {row[0]: _row(row) for row in tx.all("get_views", ids=tx.array(ids))}


def _row(row: Sequence[Any]) -> JobRow:
    name, key, spec, data, memory, seconds, disk, instance = row[_HEAD_COLUMNS:]
    reckoned = None if memory is None else (memory, seconds, disk)
    return JobRow(_head(row), name or "", key, _decode_spec(spec), data, reckoned, instance)


def get_states(tx: Transaction, ids: Sequence[int]) -> dict[int, tuple[JobState, int]]:
    """Return state and owner of the jobs that exist, by id."""
    if not ids:
        return {}
    rows = tx.all("get_states", ids=tx.array(ids))
    return {job: (_STATES[state], owner) for job, state, owner in rows}


def ids_of(rows: Iterable[Sequence[Any]]) -> list[int]:
    """Return the first column of rows."""
    return [row[0] for row in rows]


def delete_jobs(tx: Transaction, ids: Sequence[int]) -> list[str]:
    """Remove everything about jobs; return the files their output is in."""
    array = tx.array(ids)
    paths: list[str] = [row[0] for row in tx.all("get_output_paths", ids=array)]
    for statement in (
        "delete_jobs",
        "delete_attempts",
        "delete_outputs",
        "delete_labels",
        "delete_kept",
        "delete_aliases",
        "delete_dependencies_of",
        "delete_dep_group_waits",
        "delete_dep_group_memberships",
        "delete_gangs",
        "delete_job_callers",
        "delete_job_commands",
    ):
        tx.run(statement, ids=array)
    delete_sources_named(tx, [source_of_job(job) for job in ids])
    delete_objects_of_jobs(tx, ids)
    return paths
