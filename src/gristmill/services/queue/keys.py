"""Keys: the identity of work, so that the same is not queued twice."""

from collections.abc import Sequence

from gristmill.domain.job import JobSpec
from gristmill.domain.state import JobState
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.ledger import Ledger
from gristmill.store.database import Transaction
from gristmill.store.jobs import delete_jobs


class Keys:
    """The keys of one submission, looked up in its transaction."""

    def __init__(self, core: QueueCore, tx: Transaction, owner: int) -> None:
        self._core, self._tx, self._owner = core, tx, owner
        self._done: list[int] = []
        self._aliases: list[tuple[int, int]] = []

    def resolve(
        self, specs: Sequence[JobSpec], first: int, rerun: Sequence[bool] | None
    ) -> list[int]:
        """Return an id a spec: a new one (first + index), a known job's, or 0 to leave it out."""
        ids = list(range(first, first + len(specs)))
        seen: dict[str, int] = {}
        for index, spec in enumerate(specs):
            key = spec.key
            if key is None:
                continue
            if key not in seen:
                again = None if rerun is None else rerun[index]
                seen[key] = self._known(key, again) or ids[index]
                if seen[key] != ids[index]:
                    self._note_group(spec, abs(seen[key]))
            ids[index] = max(seen[key], 0)
        return ids

    def begin_anew(self, ledger: Ledger) -> None:
        """Forget the complete jobs that are to run again; remember known jobs' further groups."""
        if self._done:
            for head in ledger.load(self._done):
                ledger.forget(head)
            for path in delete_jobs(self._tx, self._done):
                self._tx.after_commit(lambda path=path: self._core.outputs.remove(path))  # type: ignore[misc]
        if self._aliases:
            self._tx.many("insert_aliases", self._aliases)

    def _known(self, key: str, rerun: bool | None) -> int:
        """Return the job that stands for the key: 0 for none, negative for one that is done."""
        if rerun is None:
            row = self._tx.one("find_key", key=key, owner=self._owner)
            return int(row[0]) if row else 0
        row = self._tx.one("find_any_key", key=key, owner=self._owner)
        if row is None:
            return 0
        if JobState(row[1]) is not JobState.COMPLETE:
            return int(row[0])
        if rerun:
            self._done.append(row[0])
            return 0
        return -int(row[0])

    def _note_group(self, spec: JobSpec, job: int) -> None:
        """Let a known job be found under the group it was submitted for this time, too."""
        if spec.group:
            self._aliases.append((self._core.words.intern(self._tx, spec.group), job))
