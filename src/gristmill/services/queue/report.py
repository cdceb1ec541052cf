"""What agents report becomes true: starts, ends, and what follows for the job."""

from collections.abc import Iterable, Sequence

import msgspec

from gristmill.domain.job import JobSpec
from gristmill.domain.outcome import GANG_MEMBER_FAILED, LOST
from gristmill.domain.state import HELD, JobState, Trigger
from gristmill.protocol.messages import (
    Finished,
    Held,
    Output,
    Report,
    Started,
    Stream,
    output_name,
)
from gristmill.services.accounting import UsageTally
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.failure import fail, found_again
from gristmill.services.queue.learning import learn_from_failure, learn_from_success, with_cause
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.registry import Registry
from gristmill.services.queue.removal import forget_buried
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead, get_specs

LONGEST_REASON, LONGEST_MESSAGE = 200, 4_000
"""Characters; an agent's word goes into an index."""

_encode_details = msgspec.msgpack.Encoder().encode
_encode_tasks = msgspec.msgpack.Encoder().encode
_Row = tuple[object, ...]


class Reporter:
    """Takes the reports of agents."""

    def __init__(self, core: QueueCore, registry: Registry) -> None:
        self._core, self._registry = core, registry

    async def report(self, report: Report) -> list[Held]:
        """Record starts and ends; they are on disk when this returns.

        Returns members the agent must end silently: fenced, or unknown here. Telling the same
        twice changes nothing.
        """
        return await self._core.database.write(lambda tx: self.apply(tx, report))

    def apply(self, tx: Transaction, report: Report) -> list[Held]:
        """Record a report within a transaction."""
        round_ = _Round(self._core, self._registry, tx, report.agent)
        round_.take(report)
        return round_.drop


class _Round:
    """One report inside its transaction."""

    def __init__(self, core: QueueCore, registry: Registry, tx: Transaction, agent: int) -> None:
        self.drop: list[Held] = []
        self._core, self._registry, self._tx, self._agent = core, registry, tx, agent
        self._ledger = Ledger(core, tx, core.chance.now())
        self._attempts: dict[tuple[int, int, int], _Row] = {}
        self._outputs: list[_Row] = []
        self._failed: list[tuple[JobHead, Finished]] = []
        self._forgotten: list[int] = []
        self._usage = UsageTally(tx)

    def take(self, report: Report) -> None:
        jobs = [start.job for start in report.started]
        jobs += [end.job for end in report.finished]
        jobs += [held.job for held in (*report.returned, *report.goals)]
        heads = {head.id: head for head in self._ledger.load(jobs)}
        for start in report.started:
            head = heads.get(start.job)
            if head is not None and self._holds(head, start.attempt):
                self._start(head, start)
            else:
                self.drop.append(Held(start.job, start.attempt, start.rank))
        for held in report.goals:
            head = heads.get(held.job)
            if head is not None and self._holds(head, held.attempt):
                self._wind_down_others(head, held)
        # Failures are judged last, so an end told twice in one report would still seem to be news.
        for end in {(end.job, end.attempt, end.rank): end for end in report.finished}.values():
            head = heads.get(end.job)
            if head is not None and self._holds(head, end.attempt):
                self._end(head, with_cause(self._core, head, end))
        for held in report.returned:
            head = heads.get(held.job)
            if head is not None and self._holds(head, held.attempt):
                self._return(head, held)
        self._judge_failed()
        self._write()

    def _return(self, head: JobHead, held: Held) -> None:
        """Take back a member that was not begun; a gang that runs cannot do without it."""
        if head.state is JobState.LOST and head.started_at is None and head.reason == LOST:
            found_again(head)
            self._ledger.move(head, Trigger.RECOVER, JobState.RESERVED)
        if head.state is JobState.RESERVED:
            others = self._others_of_gang(head, held.rank)
            self._ledger.give_back(head)
            self._end_others(head, others)
        elif self._is_gang(head):
            self._end(head, _never_begun(held, self._ledger.now))

    def _wind_down_others(self, head: JobHead, held: Held) -> None:
        """Pass on that the gang has reached its goal."""
        registry = self._registry
        for rank, agent, _ in self._others_of_gang(head, held.rank):
            other = Held(held.job, held.attempt, rank)
            self._tx.after_commit(
                lambda agent=agent, other=other: registry.order_wind_down(agent, other)  # type: ignore[misc]
            )

    def _holds(self, head: JobHead, attempt: int) -> bool:
        """Whether the report is about the attempt that counts, by an agent that has it."""
        if head.state not in HELD or head.attempt != attempt:
            return False
        return head.agent_id == self._agent or self._in_gang(head)

    def _in_gang(self, head: JobHead) -> bool:
        members = self._tx.all("get_gang_members", job=head.id, attempt=head.attempt)
        return any(agent == self._agent for _, agent, _ in members)

    def _is_gang(self, head: JobHead) -> bool:
        return self._core.shapes.by_id[head.shape_id].nodes > 1

    def _others_of_gang(self, head: JobHead, rank: int) -> list[Sequence[int]]:
        """Return the members of the gang, besides this rank, that have not ended."""
        if not self._is_gang(head):
            return []
        members = self._tx.all("get_gang_members", job=head.id, attempt=head.attempt)
        return [member for member in members if member[0] != rank and not member[2]]

    def _start(self, head: JobHead, start: Started) -> None:
        if self._is_gang(head) and self._has_ended(head, start.rank):
            return
        if head.state is JobState.RESERVED:
            head.started_at = start.at
            self._ledger.move(head, Trigger.START, JobState.RUNNING)
        elif head.state is JobState.LOST:
            found_again(head)
            head.started_at = head.started_at or start.at
            self._ledger.move(head, Trigger.RECOVER, JobState.RUNNING)
        self._attempts[start.job, start.attempt, start.rank] = (
            start.job,
            start.attempt,
            start.rank,
            self._agent,
            start.at,
            None,
            None,
            None,
            None,
            start.pid,
            start.cwd,
            None,
            None,
            None,
            None,
        )

    def _end(self, head: JobHead, end: Finished) -> None:
        if not self._last_of_gang(head, end):
            return
        if head.state is JobState.RESERVED and end.started_at is not None:
            head.started_at = end.started_at
            self._ledger.move(head, Trigger.START, JobState.RUNNING)
        if head.state is JobState.LOST:
            found_again(head)
        head.ended_at = end.ended_at
        if not head.reason:
            head.exit_code = end.exit_code
        self._record(head, end)
        if end.succeeded and not head.reason:
            head.reason, head.cancel_requested = None, 0
            learn_from_success(self._core, self._tx, head, end)
            self._ledger.move(head, Trigger.SUCCEED, JobState.COMPLETE)
            if head.unmet:
                for again in self._ledger.renew([head]):
                    self._ledger.wait(again)
        else:
            self._failed.append((head, end))

    def _last_of_gang(self, head: JobHead, end: Finished) -> bool:
        """Whether the job's fate is decided by this end: always, but for members of a gang."""
        if not self._is_gang(head):
            return True
        row = self._tx.one("finish_gang_member", job=end.job, attempt=end.attempt, rank=end.rank)
        if row is None:
            return False
        others = self._others_of_gang(head, end.rank)
        if not end.succeeded and head.reason in {None, LOST}:
            head.reason = end.reason[:LONGEST_REASON] or GANG_MEMBER_FAILED
            head.exit_code = end.exit_code
            self._ledger.touch(head)
            self._end_others(head, others)
        if others:
            if end.succeeded and end.rank == 0:
                self._let_go(head, others)
            self._record(head, end)
            return False
        return True

    def _has_ended(self, head: JobHead, rank: int) -> bool:
        members = self._tx.all("get_gang_members", job=head.id, attempt=head.attempt)
        return any(member[0] == rank and member[2] for member in members)

    def _end_others(self, head: JobHead, others: Iterable[Sequence[int]]) -> None:
        registry, job, attempt = self._registry, head.id, head.attempt
        for rank, agent, _ in others:
            held = Held(job, attempt, rank)
            self._tx.after_commit(
                lambda agent=agent, held=held: registry.order_kill(agent, [held])  # type: ignore[misc]
            )

    def _let_go(self, head: JobHead, others: Iterable[Sequence[int]]) -> None:
        """Tell the other nodes that the first one needs them no longer."""
        registry, job, attempt = self._registry, head.id, head.attempt
        for rank, agent, _ in others:
            held = Held(job, attempt, rank)
            self._tx.after_commit(
                lambda agent=agent, held=held: registry.order_release(agent, [held])  # type: ignore[misc]
            )

    def _record(self, head: JobHead, end: Finished) -> None:
        self._usage.add(head, self._core.shapes.by_id[head.shape_id], end)
        self._attempts[end.job, end.attempt, end.rank] = (
            end.job,
            end.attempt,
            end.rank,
            self._agent,
            end.started_at,
            end.ended_at,
            end.exit_code,
            end.reason[:LONGEST_REASON] or None,
            end.message[:LONGEST_MESSAGE] or None,
            end.pid or None,
            end.cwd or None,
            end.peak_memory,
            end.cpu,
            _encode_tasks(end.tasks) if end.details is not None or len(end.tasks) > 1 else None,
            None if end.details is None else _encode_details(end.details),
        )
        for stream, output in ((Stream.STDOUT, end.stdout), (Stream.STDERR, end.stderr)):
            if output is not None and output.size:
                self._outputs.append(_output_row(end, stream, output))

    def _judge_failed(self) -> None:
        if not self._failed:
            return
        specs = get_specs(self._tx, [head.id for head, _ in self._failed])
        for head, end in self._failed:
            reason = head.reason or end.reason[:LONGEST_REASON]
            exit_code = head.exit_code if head.reason else end.exit_code
            learn_from_failure(self._core, self._tx, head, end)
            fail(self._core, self._ledger, head, specs[head.id], exit_code, reason)
            if head.state is JobState.BURIED and _is_forgotten(specs[head.id]):
                self._forgotten.append(head.id)

    def _write(self) -> None:
        if self._attempts:
            self._tx.many("put_attempts", list(self._attempts.values()))
        if self._outputs:
            self._tx.many("put_outputs", self._outputs)
        self._usage.write()
        self._ledger.close()
        if self._forgotten:
            remove = self._core.outputs.remove
            for path in forget_buried(self._core, self._tx, self._forgotten):
                self._tx.after_commit(lambda path=path: remove(path))  # type: ignore[misc]


def _is_forgotten(spec: JobSpec) -> bool:
    return any(hook.forget for hook in (*spec.hooks.on_failure, *spec.hooks.on_exit))


def _never_begun(held: Held, now: float) -> Finished:
    return Finished(
        held.job,
        held.attempt,
        held.rank,
        0,
        succeeded=False,
        exit_code=None,
        reason=GANG_MEMBER_FAILED,
        started_at=None,
        ended_at=now,
        pid=0,
        cwd="",
        peak_memory=0,
        cpu=0.0,
        tasks=[],
    )


def _output_row(end: Finished, stream: Stream, output: Output) -> _Row:
    return (
        end.job,
        end.attempt,
        end.rank,
        stream.value,
        output.size,
        output.data or None,
        None if output.data else output_name(end.job, end.attempt, end.rank, stream),
    )
