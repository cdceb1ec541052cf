"""Workflows and their nodes: the named jobs, each standing for one job or for many."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from gristmill.domain.factories import Factory, Value, values_of
from gristmill.domain.workflow import WorkflowSpec, WorkflowState
from gristmill.store.database import Transaction

MOST_CACHED = 20_000

encode = msgspec.msgpack.Encoder().encode
_decode_spec = msgspec.msgpack.Decoder(WorkflowSpec).decode
_decode_factory = msgspec.msgpack.Decoder(Factory).decode


class WorkflowRow(msgspec.Struct, gc=False):
    """A workflow as the queue moves it; written back by ``save_workflows``.

    total, done, failed, waiting: its jobs, those that were submitted anew counted once. pinned:
    shown among the active ones even when it has ended. Times are epoch seconds.
    """

    id: int
    state: WorkflowState
    owner_id: int
    dialect: int
    name: str
    rerun_of: int | None
    pinned: int
    created_at: float
    started_at: float | None
    ended_at: float | None
    total: int
    done: int
    failed: int
    waiting: int
    retries: int
    reruns_left: int

    @property
    def queued(self) -> int:
        """Jobs that may run and have not ended."""
        return self.total - self.done - self.failed - self.waiting


class NodeRow(msgspec.Struct, gc=False):
    """One name of a workflow with the counts of its jobs. unmet: parents that are not done."""

    id: int
    workflow_id: int
    name: str
    queue_timeout: float | None
    total: int
    done: int
    failed: int
    waiting: int
    unmet: int

    @property
    def queued(self) -> int:
        """Jobs that may run and have not ended."""
        return self.total - self.done - self.failed - self.waiting


class Place(NamedTuple):
    """Where a job stands in a workflow.

    instance: which of its factory's jobs it is, from 0, None for one without a factory.
    data: what the dialect keeps of the node.
    """

    workflow: int
    workflow_name: str
    node: str
    instance: int | None
    parameters: dict[str, Value]
    data: bytes | None


class NodeInfo(NamedTuple):
    """What never changes about a node."""

    id: int
    workflow_id: int
    workflow_name: str
    name: str
    factory: Factory | None
    data: bytes | None

    def place(self, instance: int) -> Place:
        """Return the place of one of its jobs."""
        return Place(
            self.workflow_id,
            self.workflow_name,
            self.name,
            None if self.factory is None else instance,
            {} if self.factory is None else values_of(self.factory, instance),
            self.data,
        )


class Nodes:
    """The cache over what never changes about nodes."""

    def __init__(self) -> None:
        self._known: dict[int, NodeInfo] = {}

    def get(self, tx: Transaction, node: int) -> NodeInfo:
        """Return a node that exists."""
        known = self._known.get(node)
        if known is None:
            row = tx.must("get_node_info", node=node)
            factory = None if row[4] is None else _decode_factory(row[4])
            number, workflow, workflow_name, name, _, data = row
            known = NodeInfo(number, workflow, workflow_name, name, factory, data)
            if len(self._known) >= MOST_CACHED:
                self._known = {}
            self._known[node] = known
        return known


def take_node_ids(tx: Transaction, count: int) -> int:
    """Reserve count consecutive ids; return the first."""
    last: int = tx.must("next_node_ids", count=count)[0]
    return last - count + 1


def get_workflows(tx: Transaction, ids: Sequence[int]) -> dict[int, WorkflowRow]:
    """Return the workflows that exist, by id."""
    if not ids:
        return {}
    return {row[0]: _workflow(row) for row in tx.all("get_workflows", ids=tx.array(ids))}


def _workflow(row: Sequence[Any]) -> WorkflowRow:
    workflow = WorkflowRow(*row)
    workflow.state = WorkflowState(row[1])
    return workflow


def save_workflows(tx: Transaction, workflows: Iterable[WorkflowRow]) -> None:
    """Write back what the queue may change."""
    rows = [
        (
            int(each.state),
            each.started_at,
            each.ended_at,
            each.done,
            each.failed,
            each.waiting,
            each.reruns_left,
            each.id,
        )
        for each in workflows
    ]
    tx.many("update_workflows", rows)


def get_nodes(tx: Transaction, ids: Sequence[int]) -> list[NodeRow]:
    """Return the nodes that exist, in no order."""
    if not ids:
        return []
    return [NodeRow(*row) for row in tx.all("get_flow_nodes", ids=tx.array(ids))]


def nodes_of(tx: Transaction, workflow: int) -> list[NodeRow]:
    """Return the nodes of a workflow in the order of its submission."""
    return [NodeRow(*row) for row in tx.all("get_nodes_of_workflow", workflow=workflow)]


def save_nodes(tx: Transaction, nodes: Iterable[NodeRow]) -> None:
    """Write back the counts of nodes."""
    rows = [(each.done, each.failed, each.waiting, each.unmet, each.id) for each in nodes]
    tx.many("update_workflow_nodes", rows)


def get_data(tx: Transaction, workflow: int) -> tuple[WorkflowSpec, bytes | None]:
    """Return what was submitted, and what the dialect keeps of it."""
    spec, data = tx.must("get_workflow_data", workflow=workflow)
    return _decode_spec(spec), data


def get_node_data(tx: Transaction, workflow: int) -> dict[str, bytes]:
    """Return what the dialect keeps of each node."""
    return dict(tx.all("get_node_data", workflow=workflow))


def get_labels(tx: Transaction, workflow: int) -> dict[str, str]:
    """Return a workflow's labels."""
    return dict(tx.all("get_workflow_labels", workflow=workflow))


def delete_workflow(tx: Transaction, workflow: int) -> None:
    """Remove a workflow; its jobs, if there still are any, are jobs like others then."""
    for statement in (
        "detach_jobs",
        "delete_workflow_labels",
        "delete_workflow_edges",
        "delete_workflow_nodes",
        "delete_workflow",
    ):
        tx.run(statement, workflow=workflow)
