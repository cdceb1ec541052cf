"""Every change of state goes through here, with all that follows from it.

A ledger lives for one transaction. It loads heads, moves them by the transition table, and at
``close`` works out what the moves mean for dependents, groups and mutexes, then writes heads,
counters and events together.
"""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence

from gristmill.domain.dialect import RUNS
from gristmill.domain.outcome import CANCEL_REASONS
from gristmill.domain.state import HELD, JobState, Trigger, check
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.flow import Flow
from gristmill.services.queue.live_keys import LiveKeys
from gristmill.store.database import Transaction
from gristmill.store.events import append_event
from gristmill.store.jobs import JobHead, get_heads, get_specs, save_heads
from gristmill.store.workflows import WorkflowRow

JOBS_AN_EVENT = 1_000

_KEEPS_MUTEX = HELD | {JobState.READY}
_LEFT_GROUPS = frozenset({JobState.COMPLETE, JobState.CANCELLED})
_ENDED = _LEFT_GROUPS | {JobState.BURIED}
_EVENTS = {state: f"job.{state.word}" for state in JobState}
_Tally = tuple[int, int, int, JobState | None, JobState | None]
"""Owner, group, dialect, and the move: None for from nowhere, or to nowhere."""


class Ledger:
    """The moves of one transaction.

    follow: whether those who follow runs are told; they are not told of what they did themselves.
    runs: state before the first move of each run that was moved. cancelling, forgotten: runs that
    were asked to end, and that are about to be deleted.
    """

    def __init__(
        self, core: QueueCore, tx: Transaction, now: float, *, follow: bool = True
    ) -> None:
        self.tx = tx
        self.now = now
        self.runs: dict[int, JobState] = {}
        self.cancelling: list[JobHead] = []
        self.forgotten: list[int] = []
        self._follow = follow
        self._core = core
        self._heads: dict[int, JobHead] = {}
        self._changed: dict[int, JobHead] = {}
        self._tallies: defaultdict[_Tally, int] = defaultdict(int)
        self._events: list[dict[JobState, list[int]]] = [{}]
        self._ended: list[JobHead] = []
        self._moved: dict[int, JobHead] = {}
        self._was_out: dict[int, bool] = {}
        self._mutexes_left: set[int] = set()
        self.keys = LiveKeys(tx)
        self._timed = False
        self._flow = Flow(self)

    @property
    def core(self) -> QueueCore:
        """What the parts of the queue share."""
        return self._core

    def load(self, ids: Iterable[int]) -> list[JobHead]:
        """Return the heads of the jobs that exist, each object once per ledger."""
        wanted = list(dict.fromkeys(ids))
        missing = [job for job in wanted if job not in self._heads]
        for head in get_heads(self.tx, missing):
            self._heads[head.id] = head
        return [self._heads[job] for job in wanted if job in self._heads]

    def adopt(self, head: JobHead) -> JobHead:
        """Take a head that was read elsewhere in this transaction; return the ledger's own."""
        return self._heads.setdefault(head.id, head)

    def cancel_workflow(self, workflow: WorkflowRow) -> None:
        """End a workflow by its owner's will; its jobs are the caller's to cancel."""
        self._flow.cancel(workflow)

    def touch(self, head: JobHead) -> None:
        """Have a change that is not a move written back."""
        self._changed[head.id] = head

    def request_cancel(self, head: JobHead, wish: int = 1) -> None:
        """Take note that a job somebody holds is to end; it is still theirs until it has."""
        head.cancel_requested = head.cancel_requested or wish
        self.touch(head)
        if head.dialect in RUNS:
            self.cancelling.append(head)

    def hold(self, head: JobHead) -> None:
        """Let a job wait until it is released, besides for what else it waits for."""
        self._wait_again(head, ())

    def release(self, head: JobHead) -> None:
        """Undo one hold."""
        self._meet(Counter({head.id: 1}))

    def cancel_held(self, head: JobHead, reason: str) -> None:
        """Cancel a job that nobody has, and any hold on it: tried again, it is as any other."""
        head.unmet -= head.state is JobState.WAITING
        head.reason, head.ended_at = reason, self.now
        self.move(head, Trigger.CANCEL, JobState.CANCELLED)

    def added(
        self,
        counts: Mapping[tuple[int, int, int, JobState], int],
        events: Mapping[JobState, list[int]],
    ) -> None:
        """Count newly inserted jobs: (owner, group, dialect, state) -> how many."""
        for (owner, group, dialect, state), count in counts.items():
            self._tallies[owner, group, dialect, None, state] += count
        for state, ids in events.items():
            self._events[-1].setdefault(state, []).extend(ids)
            self._timed = self._timed or state is JobState.DELAYED

    def move(self, head: JobHead, trigger: Trigger, target: JobState) -> None:
        """Move a job; raises IllegalMoveError when the table has no such move."""
        source = head.state
        check(trigger, source, target)
        head.state = target
        if trigger is Trigger.START:
            head.starts += 1
        self._changed[head.id] = head
        self._tallies[head.owner_id, head.group_id, head.dialect, source, target] += 1
        self._happened(head.id, source, target)
        if target in _ENDED:
            self._ended.append(head)
        if source in _LEFT_GROUPS or target in _LEFT_GROUPS:
            self._was_out.setdefault(head.id, source in _LEFT_GROUPS)
            self._moved[head.id] = head
        if target is JobState.DELAYED:
            self._timed = True
        if head.mutex_id is not None:
            self._pass_mutex(head, source, target)
        if head.node_id is not None:
            self._flow.moved(head, source, target)
        if head.dialect in RUNS:
            self.runs.setdefault(head.id, source)

    def forget(self, head: JobHead) -> None:
        """Uncount a job that is about to be deleted."""
        self._tallies[head.owner_id, head.group_id, head.dialect, head.state, None] += 1
        self._changed.pop(head.id, None)
        if head.dialect in RUNS:
            self.forgotten.append(head.id)

    def close(self) -> None:
        """Work out the consequences and write everything."""
        if self._follow and (self.runs or self.cancelling or self.forgotten):
            for follower in self._core.run_followers:
                follower(self)
        while self._ended or self._moved or self._flow.pending:
            ended, self._ended = self._ended, []
            moved, self._moved = self._moved, {}
            over = [head for head in ended if head.state in _ENDED]
            self._satisfy_dependents(over)
            for act in self._core.endings:
                act(self.tx, over)
            self._change_groups(moved.values())
            self._flow.advance()
        save_heads(self.tx, self._changed.values())
        if self._mutexes_left:
            self._release_mutexes()
        self._write_counts()
        self._write_events()
        self._flow.write()
        self._signal()

    def _satisfy_dependents(self, ended: Sequence[JobHead]) -> None:
        if not ended:
            return
        states = {head.id: head.state for head in ended}
        rows = self.tx.all("get_waiting_on", ids=self.tx.array(list(states)))
        met = [
            (on, job)
            for on, job, ended_is_enough in rows
            if ended_is_enough or states[on] is JobState.COMPLETE
        ]
        if met:
            self.tx.many("delete_dependencies", met)
            self._meet(Counter(job for _, job in met))

    def _change_groups(self, moved: Iterable[JobHead]) -> None:
        """Tell groups whose members came or went; who went and came back changed nothing."""
        left: list[int] = []
        back: list[int] = []
        for head in moved:
            out = head.state in _LEFT_GROUPS
            if out != self._was_out[head.id]:
                self._was_out[head.id] = out
                (left if out else back).append(head.id)
        for group, members in self._groups_of(left).items():
            if self._change_live(group, -members) == 0:
                self._meet(Counter(self._waiters(group)))
        for group, members in self._groups_of(back).items():
            self.join_group(group, members)

    def join_group(self, group: int, members: int) -> None:
        """Count new live members of a group; what already waits for it must wait (again)."""
        if self._change_live(group, members) == members:
            waiting = self.load(self._waiters(group))
            complete = [head for head in waiting if head.state is JobState.COMPLETE]
            again = {head.id for head in self.renew(complete)}
            for head in waiting:
                self._wait_again(head, again)

    def renew(self, heads: Sequence[JobHead]) -> list[JobHead]:
        """Give jobs that succeeded and are to run again all their retries back; return them.

        One that a newer job stands in for, by its key, need not run again.
        """
        specs = get_specs(self.tx, [head.id for head in heads]) if heads else {}
        again = []
        for head in sorted(heads, key=lambda head: head.id, reverse=True):
            key = specs[head.id].key
            if key is None or self.keys.claim(head, key) is None:
                again.append(head)
        for head in again:
            head.retries_left, head.failures = specs[head.id].retry.retries, 0
            self.touch(head)
        return again

    def _wait_again(self, head: JobHead, again: Container[int]) -> None:
        head.unmet += 1
        if head.state in {JobState.READY, JobState.DELAYED} or head.id in again:
            self.wait(head)
        else:
            self.touch(head)

    def wait(self, head: JobHead) -> None:
        """Move a job back to waiting: it has unmet dependencies (again)."""
        if head.state is JobState.COMPLETE:
            self.set_deadline(head, None)
        self.move(head, Trigger.DEPENDENCY_ADDED, JobState.WAITING)

    def give_back(self, head: JobHead) -> None:
        """Undo a lease of which nothing was begun."""
        head.agent_id = None
        self.tx.run("delete_gang_members", job=head.id)
        if head.cancel_requested:
            head.reason, head.ended_at = CANCEL_REASONS[head.cancel_requested], self.now
            head.cancel_requested = 0
            self.move(head, Trigger.CANCEL, JobState.CANCELLED)
            return
        self.move(head, Trigger.LEASE_RETURNED, JobState.READY)
        if head.unmet:
            self.wait(head)

    def set_deadline(self, head: JobHead, at: float | None) -> None:
        """Set or lift the time by which a job must have started."""
        self.tx.run("set_queue_deadline", job=head.id, at=at)
        self._timed = self._timed or at is not None

    def _meet(self, met: Counter[int]) -> None:
        for head in self.load(met):
            head.unmet -= met[head.id]
            assert head.unmet >= 0, f"job {head.id} has more dependencies met than it had"
            if head.unmet == 0 and head.state is JobState.WAITING:
                self.make_ready(head, Trigger.DEPENDENCIES_MET)
            else:
                self.touch(head)

    def make_ready(self, head: JobHead, trigger: Trigger) -> None:
        """Move a job to ready, or to delayed while its time has not come.

        The pause before a retry is over: what has come now may be why it had failed.
        """
        early = not head.failures and head.ready_at is not None and head.ready_at > self.now
        self.move(head, trigger, JobState.DELAYED if early else JobState.READY)

    def _groups_of(self, ids: Sequence[int]) -> Counter[int]:
        if not ids:
            return Counter()
        rows = self.tx.all("get_dep_groups_of", ids=self.tx.array(ids))
        return Counter(group for _, group in rows)

    def _waiters(self, group: int) -> list[int]:
        return [row[0] for row in self.tx.all("get_dep_group_waiters", group=group)]

    def _change_live(self, group: int, change: int) -> int:
        live: int = self.tx.must("add_dep_group_live", group=group, change=change)[0]
        return live

    def _pass_mutex(self, head: JobHead, source: JobState, target: JobState) -> None:
        if target is JobState.READY and source not in HELD:
            row = self.tx.one("get_mutex_front", mutex=head.mutex_id)
            free = row is None or row[0] is None or row[0] == head.id
            head.parked = 0 if free else 1
            if free:
                self.tx.run("set_mutex_front", mutex=head.mutex_id, front=head.id)
        elif source in _KEEPS_MUTEX and target not in _KEEPS_MUTEX:
            if not head.parked and head.mutex_id is not None:
                self._mutexes_left.add(head.mutex_id)
            head.parked = 0

    def _release_mutexes(self) -> None:
        for mutex in self._mutexes_left:
            row = self.tx.one("get_next_parked", mutex=mutex)
            following = row[0] if row else None
            self.tx.run("set_mutex_front", mutex=mutex, front=following)
            if following is not None:
                (head,) = self.load([following])
                head.parked = 0
                save_heads(self.tx, [head])
                self._changed[head.id] = head

    def _write_counts(self) -> None:
        owners: Counter[tuple[int, int, int]] = Counter()
        groups: Counter[tuple[int, int, int, int]] = Counter()
        for (owner, group, dialect, source, target), moved in self._tallies.items():
            for state, change in ((source, -moved), (target, moved)):
                if state is not None:
                    owners[owner, dialect, int(state)] += change
                    groups[group, owner, dialect, int(state)] += change
        self.tx.many("add_owner_counts", [(*key, n) for key, n in owners.items() if n])
        self.tx.many("add_group_counts", [(*key, n) for key, n in groups.items() if n])

    def _happened(self, job: int, source: JobState, target: JobState) -> None:
        """Note a move, so that a job's moves are told in their order."""
        events = self._events[-1]
        if source in events and target in events:
            order = list(events)
            if order.index(target) < order.index(source):
                events = {}
                self._events.append(events)
        events.setdefault(target, []).append(job)

    def _write_events(self) -> None:
        for events in self._events:
            for state, ids in events.items():
                for start in range(0, len(ids), JOBS_AN_EVENT):
                    some = ids[start : start + JOBS_AN_EVENT]
                    append_event(self.tx, self.now, _EVENTS[state], some)

    def _signal(self) -> None:
        ready = {
            head.shape_id
            for head in self._changed.values()
            if head.state is JobState.READY and not head.parked
        }
        signals, timed = self._core.signals, self._timed
        happened = bool(self._events[0]) or self._flow.told

        def wake() -> None:
            if ready:
                signals.ready(ready)
            if timed:
                signals.timer.set()
            if happened:
                signals.events()

        self.tx.after_commit(wake)
