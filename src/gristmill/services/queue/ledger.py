"""Every change of state goes through here, with all that follows from it.

A ledger lives for one transaction. It loads heads, moves them by the transition table, and at
``close`` works out what the moves mean for dependents, groups and mutexes, then writes heads,
counters and events together.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from gristmill.domain.state import HELD, JobState, Trigger, check
from gristmill.services.queue.core import QueueCore
from gristmill.store.database import Transaction
from gristmill.store.events import append_event
from gristmill.store.jobs import JobHead, get_heads, save_heads

JOBS_AN_EVENT = 1_000

_KEEPS_MUTEX = HELD | {JobState.READY}
_LEFT_GROUPS = frozenset({JobState.COMPLETE, JobState.CANCELLED})
_ENDED = _LEFT_GROUPS | {JobState.BURIED}


class Ledger:
    """The moves of one transaction."""

    def __init__(self, core: QueueCore, tx: Transaction, now: float) -> None:
        self.tx = tx
        self.now = now
        self._core = core
        self._heads: dict[int, JobHead] = {}
        self._changed: dict[int, JobHead] = {}
        self._owner_counts: Counter[tuple[int, int, int]] = Counter()
        self._group_counts: Counter[tuple[int, int, int]] = Counter()
        self._events: defaultdict[str, list[int]] = defaultdict(list)
        self._ended: list[JobHead] = []
        self._revived: list[JobHead] = []
        self._mutexes_left: list[JobHead] = []
        self._delayed = False

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

    def touch(self, head: JobHead) -> None:
        """Have a change that is not a move written back."""
        self._changed[head.id] = head

    def added(
        self,
        counts: Mapping[tuple[int, int, int, JobState], int],
        events: Mapping[JobState, list[int]],
    ) -> None:
        """Count newly inserted jobs: (owner, group, dialect, state) -> how many."""
        for (owner, group, dialect, state), count in counts.items():
            self._owner_counts[owner, dialect, state.value] += count
            self._group_counts[group, owner, state.value] += count
        for state, ids in events.items():
            self._events[f"job.{state.word}"].extend(ids)
            self._delayed = self._delayed or state is JobState.DELAYED

    def move(self, head: JobHead, trigger: Trigger, target: JobState) -> None:
        """Move a job; raises IllegalMoveError when the table has no such move."""
        source = head.state
        check(trigger, source, target)
        head.state = target
        self._changed[head.id] = head
        self._count(head, source, -1)
        self._count(head, target, 1)
        self._events[f"job.{target.word}"].append(head.id)
        if target in _ENDED:
            self._ended.append(head)
        if source in _LEFT_GROUPS:
            self._revived.append(head)
        if target is JobState.DELAYED:
            self._delayed = True
        if head.mutex_id is not None:
            self._pass_mutex(head, source, target)

    def forget(self, head: JobHead) -> None:
        """Uncount a job that is about to be deleted."""
        self._count(head, head.state, -1)
        self._changed.pop(head.id, None)

    def close(self) -> None:
        """Work out the consequences and write everything."""
        while self._ended or self._revived:
            ended, self._ended = self._ended, []
            revived, self._revived = self._revived, []
            self._satisfy_dependents(ended)
            self._leave_groups(ended)
            self._rejoin_groups(revived)
        save_heads(self.tx, self._changed.values())
        if self._mutexes_left:
            self._release_mutexes()
        self._write_counts()
        self._write_events()
        self._signal()

    def _count(self, head: JobHead, state: JobState, change: int) -> None:
        self._owner_counts[head.owner_id, head.dialect, state.value] += change
        self._group_counts[head.group_id, head.owner_id, state.value] += change

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

    def _leave_groups(self, ended: Sequence[JobHead]) -> None:
        left = [head.id for head in ended if head.state in _LEFT_GROUPS]
        for group, members in self._groups_of(left).items():
            if self._change_live(group, -members) == 0:
                self._meet(Counter(self._waiters(group)))

    def _rejoin_groups(self, revived: Sequence[JobHead]) -> None:
        live = [head.id for head in revived if head.state not in _LEFT_GROUPS]
        for group, members in self._groups_of(live).items():
            self.join_group(group, members)

    def join_group(self, group: int, members: int) -> None:
        """Count new live members of a group; what already waits for it must wait (again)."""
        if self._change_live(group, members) == members:
            for head in self.load(self._waiters(group)):
                self._wait_again(head)

    def _wait_again(self, head: JobHead) -> None:
        head.unmet += 1
        if head.state in {JobState.READY, JobState.DELAYED, JobState.COMPLETE}:
            self.move(head, Trigger.DEPENDENCY_ADDED, JobState.WAITING)
        else:
            self.touch(head)

    def _meet(self, met: Counter[int]) -> None:
        for head in self.load(met):
            head.unmet -= met[head.id]
            assert head.unmet >= 0, f"job {head.id} has more dependencies met than it had"
            if head.unmet == 0 and head.state is JobState.WAITING:
                self.make_ready(head, Trigger.DEPENDENCIES_MET)
            else:
                self.touch(head)

    def make_ready(self, head: JobHead, trigger: Trigger) -> None:
        """Move a job to ready, or to delayed while its time has not come."""
        early = head.ready_at is not None and head.ready_at > self.now
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
            if not head.parked:
                self._mutexes_left.append(head)
            head.parked = 0

    def _release_mutexes(self) -> None:
        unparked: list[JobHead] = []
        for left in self._mutexes_left:
            row = self.tx.one("get_next_parked", mutex=left.mutex_id)
            following = row[0] if row else None
            self.tx.run("set_mutex_front", mutex=left.mutex_id, front=following)
            if following is not None:
                (head,) = self.load([following])
                head.parked = 0
                unparked.append(head)
                save_heads(self.tx, [head])
                self._changed[head.id] = head

    def _write_counts(self) -> None:
        self.tx.many("add_owner_counts", [(*key, n) for key, n in self._owner_counts.items() if n])
        self.tx.many("add_group_counts", [(*key, n) for key, n in self._group_counts.items() if n])

    def _write_events(self) -> None:
        for kind, ids in self._events.items():
            for start in range(0, len(ids), JOBS_AN_EVENT):
                append_event(self.tx, self.now, kind, ids[start : start + JOBS_AN_EVENT])

    def _signal(self) -> None:
        ready = {
            head.shape_id
            for head in self._changed.values()
            if head.state is JobState.READY and not head.parked
        }
        signals, delayed, happened = self._core.signals, self._delayed, bool(self._events)

        def wake() -> None:
            if ready:
                signals.ready(ready)
            if delayed:
                signals.timer.set()
            if happened:
                signals.events()

        self.tx.after_commit(wake)
