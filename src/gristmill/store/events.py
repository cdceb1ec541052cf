"""The append-only record of what happened."""

from collections.abc import Sequence

import msgspec

from gristmill.store.database import Transaction

_encode = msgspec.json.Encoder().encode


class Event(msgspec.Struct, frozen=True):
    """One thing that happened, possibly to many jobs at once.

    id: grows. at: epoch seconds. kind: such as ``job.running``. data: a JSON object.
    """

    id: int
    at: float
    kind: str
    jobs: list[int]
    data: msgspec.Raw


_decode_jobs = msgspec.json.Decoder(list[int]).decode


class _WorkflowData(msgspec.Struct):
    workflow: int = 0


_decode_workflow = msgspec.json.Decoder(_WorkflowData).decode


def workflow_of(event: Event) -> int:
    """Return the workflow that an event is about, 0 for others."""
    return _decode_workflow(event.data).workflow if event.kind.startswith("workflow.") else 0


def append_event(
    tx: Transaction, at: float, kind: str, jobs: Sequence[int], data: object = None
) -> None:
    """Record an event as part of the transaction that makes it true."""
    tx.many("insert_event", [(at, kind, _encode(jobs).decode(), _encode(data or {}).decode())])


def events_after(tx: Transaction, after: int, most: int) -> list[Event]:
    """Return up to most events that follow the one with id after, in order."""
    return [
        Event(number, at, kind, _decode_jobs(jobs), msgspec.Raw((data or "{}").encode()))
        for number, at, kind, jobs, data in tx.all("get_events_after", after=after, most=most)
    ]


def last_event(tx: Transaction) -> int:
    """Return the id of the newest event, 0 when there is none."""
    last: int = tx.must("get_last_event")[0]
    return last
