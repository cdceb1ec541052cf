"""A failed job of a workflow runs again as another job, with an id and a history of its own."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from gristmill.domain.state import JobState
from gristmill.store.jobs import JobHead, get_specs, take_job_ids
from gristmill.store.mail import renew_notifications

if TYPE_CHECKING:
    from gristmill.services.queue.ledger import Ledger


class Again(NamedTuple):
    """A job to submit anew. resubmits: how often that was done. blocked: its node must wait."""

    head: JobHead
    resubmits: int
    blocked: bool


def submit_again(ledger: "Ledger", jobs: Sequence[Again]) -> list[JobHead]:
    """Add a copy of each job, waiting for a move of the caller's; return their heads in order."""
    if not jobs:
        return []
    tx, now = ledger.tx, ledger.now
    first = take_job_ids(tx, len(jobs))
    specs = get_specs(tx, [job.head.id for job in jobs])
    rows = []
    for number, (head, resubmits, blocked) in enumerate(jobs, first):
        spec = specs[head.id]
        late = spec.queue_timeout is None or blocked
        deadline = None if late else now + (spec.queue_timeout or 0)
        rows.append((number, int(blocked), spec.retry.retries, now, deadline, resubmits, head.id))
    tx.many("copy_jobs", rows)
    pairs = [(number, job.head.id) for number, job in enumerate(jobs, first)]
    tx.many("copy_labels", pairs)
    tx.many("copy_job_callers", pairs)
    tx.many("supersede_jobs", pairs)
    wanted = [(number, old) for number, old in pairs if specs[old].notify]
    if wanted:
        renew_notifications(tx, wanted)
        tx.after_commit(ledger.core.signals.notify.set)
    copies = ledger.load(range(first, first + len(jobs)))
    counts = Counter(
        (head.owner_id, head.group_id, head.dialect, JobState.WAITING) for head in copies
    )
    ledger.added(counts, {JobState.WAITING: [head.id for head in copies]})
    return copies
