"""Workflows as people look at them, and what they may ask for."""

from typing import Literal, NamedTuple

from gristmill.domain.dialect import Dialect
from gristmill.domain.workflow import WorkflowSpec, WorkflowState
from gristmill.services.queue.core import QueueCore
from gristmill.store.database import Transaction
from gristmill.store.workflows import NodeRow, WorkflowRow, get_labels

Order = Literal["newest", "oldest", "ended"]
"""By id, or the last to have ended first."""


class WorkflowFilter(NamedTuple):
    """What to list; None and empty mean: any.

    active: those that have not ended, and pinned ones.
    """

    states: tuple[WorkflowState, ...] = ()
    owner: str | None = None
    name: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    dialect: Dialect | None = None
    ids: tuple[int, ...] | None = None
    active: bool = False


class ListedWorkflow(NamedTuple):
    """A workflow with its words."""

    row: WorkflowRow
    owner: str
    labels: dict[str, str]


class WorkflowPage(NamedTuple):
    """Workflows in order; cursor: give it back for what follows, None at the end."""

    workflows: list[ListedWorkflow]
    cursor: str | None


class WorkflowDetail(NamedTuple):
    """A workflow with what was submitted, its nodes in order, and their parents by name."""

    listed: ListedWorkflow
    spec: WorkflowSpec
    data: bytes | None
    nodes: list[NodeRow]
    parents: dict[str, list[str]]


def listed(core: QueueCore, tx: Transaction, row: WorkflowRow) -> ListedWorkflow:
    """Return a workflow with its words written out."""
    return ListedWorkflow(row, core.words.text(tx, row.owner_id), get_labels(tx, row.id))
