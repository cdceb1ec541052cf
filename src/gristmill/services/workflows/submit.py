"""Workflows come in: all jobs, or none, in one transaction."""

import asyncio
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import ConflictError, NotFoundError
from gristmill.domain.factories import instances
from gristmill.domain.identity import Identity
from gristmill.domain.job import JobSpec
from gristmill.domain.workflow import WorkflowSpec, WorkflowState, check_workflow
from gristmill.services.job_secrets import sealed
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.submit import Placement, Prepared, Submission, Submitter
from gristmill.services.workflows.planning import Node, Plan, parents_of, plan
from gristmill.store.database import Transaction
from gristmill.store.events import append_event
from gristmill.store.jobs import get_specs, take_job_ids
from gristmill.store.mail import insert_notifications
from gristmill.store.workflows import (
    WorkflowRow,
    encode,
    get_data,
    get_node_data,
    get_workflows,
    nodes_of,
    take_node_ids,
)

_RERUNNABLE = frozenset({WorkflowState.FAILED, WorkflowState.CANCELLED})


class WorkflowSubmission(NamedTuple):
    """What is handed in. data: a dialect's own bytes; node_data: the same for each name.

    pinned: stays among the active workflows after its end, until it is unpinned or long over.
    notify: the address that a mail goes to when it has ended.
    """

    spec: WorkflowSpec
    caller: Identity
    owner: str = ""
    dialect: Dialect = Dialect.NATIVE
    data: bytes | None = None
    node_data: Mapping[str, bytes] = MappingProxyType({})
    pinned: bool = False
    notify: str = ""
    idempotency_key: str | None = None
    rerun_of: int | None = None


class WorkflowSubmitter:
    """Takes workflows, also those that were there before."""

    def __init__(self, core: QueueCore, submitter: Submitter) -> None:
        self._core, self._submitter = core, submitter

    async def submit(self, submission: WorkflowSubmission) -> int:
        """Add a workflow with all its jobs; return its id.

        Raises InvalidInputError naming the field, and then nothing was added.
        """
        check_workflow(submission.spec)
        spec = self._sealed(submission.spec, submission.owner or submission.caller.user)
        planned = await asyncio.to_thread(plan, spec)
        return await self._insert(submission._replace(spec=spec), planned)

    async def clone(self, who: Identity, workflow: int) -> int:
        """Submit what was submitted as a workflow once more; return the new id."""
        submission, _ = await self._core.database.read(lambda tx: self._again(tx, who, workflow))
        planned = await asyncio.to_thread(plan, submission.spec)
        return await self._insert(submission, planned)

    async def rerun(
        self, who: Identity, workflow: int, *, pinned: bool = False, notify: str = ""
    ) -> int:
        """Run what did not succeed as a new workflow; return its id.

        pinned, notify: as in a submission.

        Raises ConflictError while the workflow goes on, and when all of it succeeded.
        """

        def look(tx: Transaction) -> tuple[WorkflowSubmission, Plan]:
            submission, row = self._again(tx, who, workflow)
            if row.state not in _RERUNNABLE:
                raise ConflictError(f"workflow {workflow} is {row.state.word}")
            if row.queued:
                raise ConflictError(f"{row.queued} jobs of workflow {workflow} are being ended")
            again = submission._replace(rerun_of=workflow, pinned=pinned, notify=notify)
            return again, _rest(tx, row, submission.spec)

        submission, planned = await self._core.database.read(look)
        return await self._insert(submission, planned)

    def _again(
        self, tx: Transaction, who: Identity, workflow: int
    ) -> tuple[WorkflowSubmission, WorkflowRow]:
        row = own(self._core, tx, who, workflow)
        spec, data = get_data(tx, workflow)
        submission = WorkflowSubmission(
            spec,
            who,
            self._core.words.text(tx, row.owner_id),
            Dialect(row.dialect),
            data,
            get_node_data(tx, workflow),
        )
        return submission, row

    def _sealed(self, spec: WorkflowSpec, owner: str) -> WorkflowSpec:
        box = self._core.box
        if box is None:
            return spec
        jobs = {name: sealed(job, box, owner) for name, job in spec.jobs.items()}
        return msgspec.structs.replace(spec, jobs=jobs)

    async def _insert(self, submission: WorkflowSubmission, planned: Plan) -> int:
        jobs = Submission(
            planned.specs,
            submission.owner or submission.caller.user,
            submission.dialect,
            caller=submission.caller,
            sealed=True,
        )
        prepared = await self._submitter.prepare(jobs)
        return await self._core.database.write(
            lambda tx: self._add(tx, submission, planned, jobs, prepared)
        )

    def _add(
        self,
        tx: Transaction,
        submission: WorkflowSubmission,
        planned: Plan,
        jobs: Submission,
        prepared: Prepared,
    ) -> int:
        owner, now = self._core.words.intern(tx, jobs.owner), self._core.chance.now()
        key = f"workflow {submission.idempotency_key}"
        if submission.idempotency_key is not None:
            earlier = tx.one("find_idempotent", owner=owner, key=key)
            if earlier:
                return int(earlier[0])
        workflow = take_job_ids(tx, 1)
        _insert_workflow(tx, workflow, owner, now, submission, planned)
        if submission.notify:
            insert_notifications(tx, [(workflow, submission.notify)])
            tx.after_commit(self._core.signals.notify.set)
        first = take_node_ids(tx, len(planned.nodes))
        _insert_nodes(tx, workflow, first, planned, submission.node_data)
        append_event(tx, now, "workflow.pending", [], {"workflow": workflow})
        places = [
            Placement(workflow, number, instance, blocked)
            for number, (node, blocked) in enumerate(planned.blocked(), first)
            for instance in node.todo
        ]
        self._submitter.add(tx, jobs._replace(places=places), prepared)
        if submission.idempotency_key is not None:
            tx.many("insert_idempotent", [(owner, key, str(workflow), now)])
        return workflow


def own(core: QueueCore, tx: Transaction, who: Identity, workflow: int) -> WorkflowRow:
    """Return a workflow of the caller's. Raises NotFoundError, also for somebody else's."""
    row = get_workflows(tx, [workflow]).get(workflow)
    if row is None or not (who.admin or row.owner_id == core.words.find(tx, who.user)):
        raise NotFoundError(f"there is no workflow {workflow}")
    return row


def _insert_workflow(
    tx: Transaction,
    workflow: int,
    owner: int,
    now: float,
    submission: WorkflowSubmission,
    planned: Plan,
) -> None:
    spec = submission.spec
    tx.run(
        "insert_workflow",
        id=workflow,
        state=int(WorkflowState.PENDING),
        owner=owner,
        dialect=submission.dialect.value,
        name=spec.name,
        rerun_of=submission.rerun_of,
        pinned=int(submission.pinned),
        created_at=now,
        total=sum(node.total for node in planned.nodes),
        done=sum(node.done for node in planned.nodes),
        waiting=sum(len(node.todo) for node in planned.nodes if planned.unmet(node)),
        retries=spec.retries,
        reruns=spec.reruns,
        spec=encode(spec),
        data=submission.data,
    )
    tx.many("insert_workflow_labels", [(*label, workflow) for label in spec.labels.items()])


def _insert_nodes(
    tx: Transaction, workflow: int, first: int, planned: Plan, data: Mapping[str, bytes]
) -> None:
    rows, edges = [], []
    for number, node in enumerate(planned.nodes, first):
        unmet = planned.unmet(node)
        factory = None if node.factory is None else encode(node.factory)
        waiting = len(node.todo) if unmet else 0
        row = (number, workflow, node.name, node.queue_timeout, node.total, node.done, waiting)
        rows.append((*row, unmet, factory, data.get(node.name)))
        edges += [(first + parent, number) for parent in node.parents]
    tx.many("insert_workflow_nodes", rows)
    tx.many("insert_workflow_edges", edges)


def _rest(tx: Transaction, row: WorkflowRow, spec: WorkflowSpec) -> Plan:
    """Return the plan to run what of a workflow did not succeed."""
    parents, made_by = parents_of(spec), instances(spec.factories)
    nodes = []
    for node in nodes_of(tx, row.id):
        left = list(tx.all("get_unfinished_of_node", node=node.id))
        if len(left) != node.total - node.done:
            raise ConflictError(f"jobs of workflow {row.id} were forgotten: submit it anew")
        factory = made_by.get(node.name)
        specs = _specs_in_order(tx, [job for job, _ in left])
        todo = [instance for _, instance in left]
        nodes.append(
            Node(node.name, factory, parents[node.name], node.total, node.done, todo, specs)
        )
    return Plan(nodes)


def _specs_in_order(tx: Transaction, jobs: Iterable[int]) -> list[JobSpec]:
    ids = list(jobs)
    specs = get_specs(tx, ids)
    return [specs[job] for job in ids]
