"""What ties the jobs of a submission to others: keys, dependencies, groups, mutexes, labels."""

from collections import Counter
from collections.abc import Sequence

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.job import JobSpec
from gristmill.domain.state import TERMINAL, JobState
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.ledger import Ledger
from gristmill.store.database import Transaction
from gristmill.store.jobs import get_states
from gristmill.store.words import private


class Links:
    """Collected while a batch is built, written after its jobs."""

    def __init__(
        self, core: QueueCore, tx: Transaction, owner: int, *, reach: int | None, single: bool
    ) -> None:
        """reach: the owner whose jobs alone may be waited for, None for everybody's.

        single: the submission is one job, so that errors need not tell which.
        """
        self._words, self._tx, self._owner = core.words, tx, owner
        self._reach, self._single = reach, single
        self._states: dict[int, JobState] = {}
        self._live: dict[str, bool] = {}
        self._dependencies: list[tuple[int, int, int]] = []
        self._members: list[tuple[int, int]] = []
        self._waits: list[tuple[int, int]] = []
        self._labels: list[tuple[str, str, int]] = []
        self._kept: list[tuple[int, int]] = []
        self._taken_mutexes: set[int] = set()

    def join(
        self, ledger: Ledger, specs: Sequence[JobSpec], first: int, indexes: Sequence[int]
    ) -> None:
        """Make the batch's jobs members of their groups, and learn what they depend on."""
        members: Counter[int] = Counter()
        wanted: set[int] = set()
        for index, spec in zip(indexes, specs, strict=True):
            if spec.dep_groups:
                for name in dict.fromkeys(spec.dep_groups):
                    group = self.private_word(name)
                    members[group] += 1
                    self._members.append((first + index, group))
            if spec.after or spec.after_any:
                wanted.update(spec.after, spec.after_any)
        self._states = {
            job: state
            for job, (state, owner) in get_states(self._tx, sorted(wanted)).items()
            if self._reach in {None, owner}
        }
        if members:
            keys = [spec.key for spec in specs if spec.key is not None]
            ledger.keys.reserve(self._owner, keys, first)
        for group, count in members.items():
            ledger.join_group(group, count)

    def unmet(self, spec: JobSpec, job: int, index: int) -> int:
        """Record what the job waits for; return how many of those are not satisfied yet."""
        for label, value in spec.labels.items():
            self._labels.append((label, value, job))
        if spec.stays_listed:
            self._kept.append((self._owner, job))
        if not (spec.after or spec.after_any or spec.after_groups):
            return 0
        unmet = 0
        for on in dict.fromkeys(spec.after):
            unmet += self._needs_success(on, job, index)
        for on in dict.fromkeys(spec.after_any):
            if on not in spec.after:
                unmet += self._needs_end(on, job, index)
        for name in dict.fromkeys(spec.after_groups):
            group = self.private_word(name)
            self._waits.append((group, job))
            unmet += self._is_live(group)
        return unmet

    def private_word(self, name: str) -> int:
        """Return the number of a word that means something only among the owner's jobs."""
        return self._words.intern(self._tx, private(self._owner, name))

    def parked(self, mutex: int, job: int) -> int:
        """Queue a ready job for its mutex: 1 when another job is in front of it."""
        if mutex in self._taken_mutexes:
            return 1
        self._taken_mutexes.add(mutex)
        row = self._tx.one("get_mutex_front", mutex=mutex)
        if row is not None and row[0] is not None:
            return 1
        self._tx.run("set_mutex_front", mutex=mutex, front=job)
        return 0

    def write(self) -> None:
        """Write the collected rows."""
        for statement, rows in (
            ("insert_dependencies", self._dependencies),
            ("insert_dep_group_members", self._members),
            ("insert_dep_group_waiters", self._waits),
            ("insert_labels", self._labels),
            ("insert_kept", self._kept),
        ):
            if rows:
                self._tx.many(statement, rows)

    def _needs_success(self, on: int, job: int, index: int) -> int:
        state = self._state(on, index, "after")
        if state is JobState.COMPLETE:
            return 0
        if state is JobState.CANCELLED:
            raise InvalidInputError(
                f"job {on} was cancelled and will never succeed", self.field(index, "after")
            )
        self._dependencies.append((on, job, 0))
        return 1

    def _needs_end(self, on: int, job: int, index: int) -> int:
        if self._state(on, index, "after_any") in TERMINAL:
            return 0
        self._dependencies.append((on, job, 1))
        return 1

    def _state(self, on: int, index: int, field: str) -> JobState:
        state = self._states.get(on)
        if state is None:
            raise InvalidInputError(f"there is no job {on} to wait for", self.field(index, field))
        return state

    def field(self, index: int, field: str) -> str:
        """Return the name of a job's field in errors."""
        return field if self._single else f"[{index}].{field}"

    def _is_live(self, group: int) -> int:
        row = self._tx.one("get_dep_group_live", group=group)
        return int(row is not None and row[0] > 0)
