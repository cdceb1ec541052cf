"""The server's replies about workflows as values. Times are UTC."""

from datetime import datetime
from typing import Literal

import msgspec

from gristmill.domain.workflow import BY_WORD, ENDED, WorkflowSpec

State = Literal["pending", "running", "completed", "failed", "cancelled"]


class _Reply(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Progress(_Reply, frozen=True, kw_only=True):
    """Jobs by how far they are. queued: may run and have not ended; waiting: for other jobs."""

    total: int
    done: int
    failed: int
    queued: int
    waiting: int


class WorkflowView(_Reply, frozen=True, kw_only=True):
    """One workflow as lists show it. rerun_of: the one whose failed part it runs again."""

    id: int
    name: str
    state: State
    owner: str
    dialect: str
    created_at: datetime
    progress: Progress
    labels: dict[str, str] = {}
    started_at: datetime | None = None
    ended_at: datetime | None = None
    rerun_of: int | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of it will run any more by itself."""
        return BY_WORD[self.state] in ENDED

    @property
    def succeeded(self) -> bool:
        """Whether all its jobs did."""
        return self.state == "completed"


class Node(_Reply, frozen=True, kw_only=True):
    """One name of a workflow. after: what it waits for."""

    name: str
    after: tuple[str, ...]
    progress: Progress


class WorkflowDetail(WorkflowView, frozen=True, kw_only=True):
    """A workflow with its nodes in the order of the submission, and what was submitted."""

    nodes: tuple[Node, ...]
    spec: WorkflowSpec


class WorkflowPage(_Reply, frozen=True, kw_only=True):
    """A piece of a list. next: the cursor of the following piece, None at the end."""

    workflows: tuple[WorkflowView, ...]
    next: str | None = None
