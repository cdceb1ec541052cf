"""The shapes of /v1/workflows, and how they come from the core's values."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from gristmill.domain.dialect import Dialect
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.workflow import BY_WORD, WorkflowSpec, WorkflowState
from gristmill.services.workflows.views import ListedWorkflow, WorkflowDetail
from gristmill.store.workflows import NodeRow


class Progress(msgspec.Struct):
    """Jobs by how far they are. queued: may run and have not ended; waiting: for other jobs."""

    total: int
    done: int
    failed: int
    queued: int
    waiting: int


class WorkflowView(msgspec.Struct):
    """A workflow at a glance. rerun_of: the workflow whose failed part it runs again."""

    id: int
    name: str
    state: str
    owner: str
    dialect: str
    labels: dict[str, str]
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    progress: Progress
    rerun_of: int | None


class NodeView(msgspec.Struct):
    """One name of a workflow. after: what it waits for."""

    name: str
    after: list[str]
    progress: Progress


class WorkflowDetailView(WorkflowView):
    """A workflow with its nodes, in the order of the submission, and what was submitted."""

    nodes: list[NodeView]
    spec: WorkflowSpec


class WorkflowPage(msgspec.Struct):
    """Workflows in order; next: pass it as cursor for what follows, null at the end."""

    workflows: list[WorkflowView]
    next: str | None


def workflow_view(one: ListedWorkflow) -> WorkflowView:
    """Return a workflow at a glance."""
    return WorkflowView(*_fields(one))


def workflow_detail(detail: WorkflowDetail) -> WorkflowDetailView:
    """Return a workflow with all that is known of it."""
    nodes = [
        NodeView(node.name, detail.parents[node.name], _progress(node)) for node in detail.nodes
    ]
    return WorkflowDetailView(*_fields(detail.listed), nodes, detail.spec)


def parse_states(words: Sequence[str]) -> tuple[WorkflowState, ...]:
    """Turn words, each possibly a comma list, into states. Raises InvalidInputError."""
    given = [word for word in ",".join(words).split(",") if word]
    for word in given:
        if word not in BY_WORD:
            known = ", ".join(BY_WORD)
            raise InvalidInputError(f"{word[:40]!r} is not a state: choose from {known}", "state")
    return tuple(dict.fromkeys(BY_WORD[word] for word in given))


def _fields(
    one: ListedWorkflow,
) -> tuple[
    int, str, str, str, str, dict[str, str], datetime, datetime | None, datetime | None,
    Progress, int | None,
]:  # fmt: skip
    row = one.row
    return (
        row.id,
        row.name,
        row.state.word,
        one.owner,
        Dialect(row.dialect).word,
        one.labels,
        datetime.fromtimestamp(row.created_at, UTC),
        _moment(row.started_at),
        _moment(row.ended_at),
        Progress(row.total, row.done, row.failed, row.queued, row.waiting),
        row.rerun_of,
    )


def _progress(node: NodeRow) -> Progress:
    return Progress(node.total, node.done, node.failed, node.queued, node.waiting)


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
