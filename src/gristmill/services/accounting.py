"""What was used: counters by day, owner and project, added to when an attempt ends."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from gristmill.domain.identity import Identity
from gristmill.domain.shape import Shape
from gristmill.protocol.messages import Finished
from gristmill.services.queue.core import QueueCore
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead

DAY = 86_400
SHARES_A_CORE = 1_000


class Usage(NamedTuple):
    """What one owner used within one project. wall, cpu: seconds; wall is that of every core.

    jobs: those that executed something, counted on the day they were submitted.
    """

    owner: str
    project: str
    jobs: int
    wall: float
    cpu: float


class UsageTally:
    """What the attempts of one report used."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._sums: defaultdict[tuple[int, int, int], list[float]] = defaultdict(
            lambda: [0, 0.0, 0.0]
        )
        self._counted: set[int] = set()

    def add(self, head: JobHead, shape: Shape, end: Finished) -> None:
        """Take in a member of an attempt that has ended; called before its row is written."""
        if end.started_at is None:
            return
        sums = self._sums[head.owner_id, int(head.created_at // DAY), head.project_id]
        taken = end.details.cpus if end.details is not None else 0.0
        cores = taken or shape.cpu_shares / SHARES_A_CORE
        wall = sum(task.wall_seconds for task in end.tasks)
        cpu = sum(task.cpu_seconds for task in end.tasks)
        sums[0] += self._is_new(head, shape)
        sums[1] += (wall if end.tasks else max(0.0, end.ended_at - end.started_at)) * cores
        sums[2] += cpu if end.tasks else end.cpu
        self._counted.add(head.id)

    def write(self) -> None:
        """Add to the counters."""
        rows = [(*key, int(jobs), wall, cpu) for key, (jobs, wall, cpu) in self._sums.items()]
        if rows:
            self._tx.many("add_usage", rows)

    def _is_new(self, head: JobHead, shape: Shape) -> bool:
        if head.id in self._counted:
            return False
        if head.attempt == 1 and shape.nodes == 1:
            return True
        return self._tx.one("find_executed_attempt", job=head.id) is None


class Accounting:
    """Reads the counters. Days count from 1970-01-01 in UTC; both ends are included."""

    def __init__(self, core: QueueCore) -> None:
        self._core = core

    async def of_owner(self, owner: str, first: int, last: int) -> list[Usage]:
        """Return what an owner used, by project."""
        return await self._read("get_usage_of_owner", first, last, owner=owner)

    async def of_project(self, project: str, first: int, last: int) -> list[Usage]:
        """Return what was used within a project, by owner."""
        return await self._read("get_usage_of_project", first, last, project=project)

    async def of_all(self, who: Identity, first: int, last: int) -> list[Usage]:
        """Return what everybody used, for an administrator; else what who used."""
        if not who.admin:
            return await self.of_owner(who.user, first, last)
        return await self._read("get_usage", first, last)

    async def _read(self, statement: str, first: int, last: int, **words: str) -> list[Usage]:
        def work(tx: Transaction) -> list[Usage]:
            ids = {name: self._core.words.find(tx, word) for name, word in words.items()}
            if None in ids.values():
                return []
            rows = tx.all(statement, first=first, last=last, **ids)
            return [self._usage(tx, row) for row in rows]

        return sorted(await self._core.database.read(work))

    def _usage(self, tx: Transaction, row: Sequence[float]) -> Usage:
        owner, project, jobs, wall, cpu = row
        words = self._core.words
        return Usage(
            words.text(tx, int(owner)),
            words.text(tx, int(project)),
            int(jobs),
            float(wall),
            float(cpu),
        )
