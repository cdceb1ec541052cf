"""What finished attempts teach about their kind of work."""

import math
import signal

import msgspec

from gristmill.domain.learning import (
    Override,
    Resource,
    raised_disk,
    raised_memory,
    raised_time,
)
from gristmill.domain.outcome import (
    DISK_FULL,
    NON_ZERO_EXIT,
    OVER_MEMORY,
    OVER_WALLTIME,
    SIGNALLED,
)
from gristmill.protocol.messages import Finished
from gristmill.services.queue.core import QueueCore
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead

_STOP_SIGNALS = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_ASKED_TO_STOP = frozenset(
    code for number in _STOP_SIGNALS for code in (-number.value, 128 + number.value)
)
"""Exit codes of a command that such a signal ended, and of a shell that tells of one."""

_PLAIN_FAILURES = frozenset({NON_ZERO_EXIT, SIGNALLED})


def with_cause(core: QueueCore, head: JobHead, end: Finished) -> Finished:
    """Return the end of a job that learns: asked to stop after its time, time was the cause."""
    shape = core.shapes.by_id[head.shape_id]
    if not shape.bucket or end.started_at is None or end.exit_code not in _ASKED_TO_STOP:
        return end
    if end.reason not in _PLAIN_FAILURES or end.ended_at - end.started_at <= shape.seconds:
        return end
    return msgspec.structs.replace(end, reason=OVER_WALLTIME)


def learn_from_success(core: QueueCore, tx: Transaction, head: JobHead, end: Finished) -> None:
    """Take note of what a job that succeeded had used."""
    shape = core.shapes.by_id[head.shape_id]
    if not shape.bucket or end.started_at is None:
        return
    core.shapes.learn(tx, shape.bucket, Resource.MEMORY, end.peak_memory)
    seconds = math.ceil(end.ended_at - end.started_at)
    core.shapes.learn(tx, shape.bucket, Resource.TIME, seconds)
    if end.disk:
        # One that left nothing says nothing: its kind must not be taken to need the least.
        core.shapes.learn(tx, shape.bucket, Resource.DISK, end.disk)


def learn_from_failure(core: QueueCore, tx: Transaction, head: JobHead, end: Finished) -> None:
    """Take note of the resource that ran out, and ask for more of it next time."""
    shape = core.shapes.by_id[head.shape_id]
    if not shape.bucket or end.started_at is None:
        return
    seconds = end.ended_at - end.started_at
    if end.reason == OVER_MEMORY:
        core.shapes.learn(tx, shape.bucket, Resource.MEMORY, end.peak_memory)
        raised = shape._replace(memory=raised_memory(end.peak_memory, shape.memory))
    elif end.reason == OVER_WALLTIME:
        core.shapes.learn(tx, shape.bucket, Resource.TIME, math.ceil(seconds))
        raised = shape._replace(seconds=raised_time(seconds, shape.seconds))
    elif end.reason == DISK_FULL:
        if end.disk:
            core.shapes.learn(tx, shape.bucket, Resource.DISK, end.disk)
        wanted = raised_disk(end.disk or shape.disk, shape.disk)
        raised = shape._replace(disk=wanted, disk_given=True)
    else:
        return
    if shape.override != Override.REQUEST:
        # From now on the job is worth its own experience, whatever the advice says.
        number = core.shapes.number(tx, raised._replace(override=Override.LARGER.value))
        tx.run("set_job_shape", shape=number, job=head.id)
        head.shape_id = number
