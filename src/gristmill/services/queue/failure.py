"""An attempt failed: retry, bury or cancel, as the job's policy says."""

from gristmill.domain.job import JobSpec
from gristmill.domain.outcome import AGENT_DIED, CANCEL_REASONS, LOST, judge
from gristmill.domain.state import JobState, Trigger
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.ledger import Ledger
from gristmill.store.jobs import JobHead

_CUT_OFF = frozenset({LOST, AGENT_DIED})


def fail(
    core: QueueCore,
    ledger: Ledger,
    head: JobHead,
    spec: JobSpec,
    exit_code: int | None,
    reason: str,
) -> None:
    """Move a held job whose attempt did not succeed to where its spec sends it."""
    head.failures += 1
    if spec.kill_buries and reason in _CUT_OFF:
        # Nobody ended it: what was to be killed was lost before.
        head.cancel_requested = 0
    spared = head.started_at is None and not spec.retry.unstarted_counts
    verdict = judge(
        spec.retry,
        succeeded=False,
        exit_code=exit_code,
        reason=reason,
        cancel_requested=bool(head.cancel_requested) and not spec.kill_buries,
        retries_left=0 if head.cancel_requested else head.retries_left + spared,
        failures=head.failures,
        random=core.chance.random,
    )
    head.exit_code, head.reason = exit_code, CANCEL_REASONS.get(head.cancel_requested, reason)
    if head.ended_at is None:
        head.ended_at = ledger.now
    if verdict.trigger is Trigger.FAIL_RETRY:
        head.retries_left -= not spared
        head.ready_at = ledger.now + verdict.delay if verdict.delay else None
        head.agent_id = None
        ledger.set_deadline(head, None)
    head.cancel_requested = 0
    ledger.tx.run("delete_gang_members", job=head.id)
    ledger.move(head, verdict.trigger, verdict.state)
    if head.unmet and verdict.state in {JobState.READY, JobState.DELAYED}:
        ledger.wait(head)


def found_again(head: JobHead) -> None:
    """Take back that a job was lost; why a gang had failed before that stays."""
    head.ended_at = None
    if head.reason == LOST:
        head.reason = None
