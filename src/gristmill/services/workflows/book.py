"""Workflows that are there: look at them, wait for them, find their jobs, end and forget them."""

from collections.abc import Sequence
from typing import NamedTuple

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import ConflictError, NotFoundError
from gristmill.domain.identity import Identity
from gristmill.domain.workflow import ENDED, WorkflowState
from gristmill.services.queue.control import Control
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.submit import Submitter
from gristmill.services.workflows.search import Cursor, WorkflowSearch
from gristmill.services.workflows.submit import WorkflowSubmitter, own
from gristmill.services.workflows.views import (
    ListedWorkflow,
    Order,
    WorkflowDetail,
    WorkflowFilter,
    WorkflowPage,
    listed,
)
from gristmill.store.database import Transaction
from gristmill.store.jobs import ids_of
from gristmill.store.workflows import (
    WorkflowRow,
    delete_workflow,
    get_data,
    get_workflows,
    nodes_of,
)

LONGEST_WAIT = 60.0
WITH_WORKFLOW = 2
"""Key of CANCEL_REASONS."""

JOBS_AT_ONCE = 1_000


class Ended(NamedTuple):
    """Which workflows were ended, and the states of those that had ended before."""

    ids: list[int]
    unchanged: dict[int, WorkflowState]


class Workflows(WorkflowSubmitter):
    """Workflows of the caller's own; an admin's reach is everybody's."""

    def __init__(self, core: QueueCore, submitter: Submitter, control: Control) -> None:
        super().__init__(core, submitter)
        self._control = control

    async def get(self, who: Identity, workflow: int) -> ListedWorkflow:
        """Return a workflow. Raises NotFoundError, also for somebody else's."""

        def look(tx: Transaction) -> ListedWorkflow:
            return listed(self._core, tx, own(self._core, tx, who, workflow))

        return await self._core.database.read(look)

    async def detail(self, who: Identity, workflow: int) -> WorkflowDetail:
        """Return a workflow with its nodes. Raises NotFoundError, also for somebody else's."""

        def look(tx: Transaction) -> WorkflowDetail:
            row = own(self._core, tx, who, workflow)
            nodes = nodes_of(tx, workflow)
            names = {node.id: node.name for node in nodes}
            parents: dict[str, list[str]] = {node.name: [] for node in nodes}
            for parent, child in tx.all("get_edges_of_workflow", workflow=workflow):
                parents[names[child]].append(names[parent])
            return WorkflowDetail(
                listed(self._core, tx, row), *get_data(tx, workflow), nodes, parents
            )

        return await self._core.database.read(look)

    async def data_of(self, rows: Sequence[WorkflowRow]) -> dict[int, bytes | None]:
        """Return what the dialect keeps of workflows, by id."""

        def look(tx: Transaction) -> dict[int, bytes | None]:
            there = get_workflows(tx, [row.id for row in rows])
            return {number: get_data(tx, number)[1] for number in there}

        return await self._core.database.read(look)

    async def page(
        self,
        who: Identity,
        wanted: WorkflowFilter,
        *,
        limit: int,
        cursor: str | None = None,
        order: Order = "newest",
    ) -> WorkflowPage:
        """Return up to limit workflows. order ``ended`` lists only own ones."""
        start = Cursor.parse(cursor, order)
        search = WorkflowSearch(self._core, who, wanted, limit, order)
        return await self._core.database.read(lambda tx: search.run(tx, start))

    async def until_ended(self, who: Identity, workflow: int, seconds: float) -> ListedWorkflow:
        """Return the workflow once it has ended, or as it is after that many seconds."""
        clock, signals = self._core.chance.monotonic, self._core.signals
        deadline = clock() + min(seconds, LONGEST_WAIT)
        while True:
            changed = signals.waiting_for_events()
            one = await self.get(who, workflow)
            left = deadline - clock()
            if one.row.state in ENDED or left <= 0 or signals.closing:
                return one
            await changed(left)

    async def find_job(self, who: Identity, workflow: int, node: str, instance: int = 0) -> int:
        """Return the job that stands for an instance now, be it of a workflow this one reruns.

        Raises NotFoundError.
        """
        return await self._core.database.read(
            lambda tx: self._find(tx, who, workflow, (node, instance))
        )

    async def cancel(self, who: Identity, ids: Sequence[int]) -> Ended:
        """End workflows with all their jobs.

        Raises NotFoundError when one does not exist for this caller; then nothing is changed.
        """
        return await self._core.database.write(lambda tx: self._cancel(tx, who, ids))

    async def end_active(self, who: Identity, ids: Sequence[int], dialect: Dialect) -> list[int]:
        """End those of the workflows that can be, of one dialect; return their ids."""

        def work(tx: Transaction) -> list[int]:
            there = get_workflows(tx, list(dict.fromkeys(ids)))
            owner = self._core.words.find(tx, who.user)
            mine = [
                number
                for number, row in there.items()
                if row.owner_id == owner and row.dialect == dialect
            ]
            return self._cancel(tx, who, mine).ids

        return await self._core.database.write(work)

    async def exists(self, workflow: int, dialect: Dialect) -> bool:
        """Whether there is such a workflow of anybody's, submitted through this dialect."""

        def look(tx: Transaction) -> bool:
            row = get_workflows(tx, [workflow]).get(workflow)
            return row is not None and row.dialect == dialect

        return await self._core.database.read(look)

    async def unpin(self, who: Identity, workflow: int) -> bool:
        """List the workflow no more once it has ended; whether that changed anything."""

        def work(tx: Transaction) -> bool:
            row = own(self._core, tx, who, workflow)
            tx.run("unpin_workflow", workflow=workflow)
            return bool(row.pinned) or row.state not in ENDED

        return await self._core.database.write(work)

    async def forget(self, who: Identity, workflow: int) -> None:
        """Delete an ended workflow with its jobs. Raises ConflictError while it is active."""
        more = True
        while more:
            paths, more = await self._core.database.write(
                lambda tx: self._forget_some(tx, who, workflow)
            )
            for path in paths:
                self._core.outputs.remove(path)

    def _find(self, tx: Transaction, who: Identity, workflow: int, place: tuple[str, int]) -> int:
        row: WorkflowRow | None = own(self._core, tx, who, workflow)
        while row is not None:
            node = tx.one("find_node", workflow=row.id, name=place[0])
            found = node and tx.one("find_instance", node=node[0], instance=place[1])
            if found:
                return int(found[0])
            earlier = row.rerun_of or 0
            row = get_workflows(tx, [earlier]).get(earlier)
        raise NotFoundError(f"workflow {workflow} has no job {place[0]!r} {place[1]}")

    def _cancel(self, tx: Transaction, who: Identity, ids: Sequence[int]) -> Ended:
        ledger = Ledger(self._core, tx, self._core.chance.now())
        ended = Ended([], {})
        for number in dict.fromkeys(ids):
            row = own(self._core, tx, who, number)
            if row.state in ENDED:
                ended.unchanged[number] = row.state
                continue
            ledger.cancel_workflow(row)
            for node in nodes_of(tx, number):
                jobs = ids_of(tx.all("get_active_of_node", node=node.id))
                self._control.end(ledger, ledger.load(jobs), wish=WITH_WORKFLOW)
            ended.ids.append(number)
        ledger.close()
        return ended

    def _forget_some(self, tx: Transaction, who: Identity, workflow: int) -> tuple[list[str], bool]:
        row = own(self._core, tx, who, workflow)
        if row.state not in ENDED or row.queued:
            raise ConflictError(f"workflow {workflow} is active: cancel it first")
        ids = ids_of(tx.all("get_jobs_of_workflow", workflow=workflow, most=JOBS_AT_ONCE))
        paths = [path for job in ids for path in self._control.delete(tx, who, job)]
        if len(ids) < JOBS_AT_ONCE:
            delete_workflow(tx, workflow)
        return paths, len(ids) == JOBS_AT_ONCE
