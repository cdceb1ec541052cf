"""What the moves of jobs mean for the workflows they are part of.

A node stands for one job or for thousands, and is done when all of them have succeeded. Its
children count nodes and not jobs, so a fan-in of thousands costs no more than its jobs do. The
counts of nodes and workflows are written with the moves they count, and never recounted.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gristmill.domain.outcome import CANCELLED_WITH_WORKFLOW, DEPENDENCY_FAILED
from gristmill.domain.state import TERMINAL, JobState, Trigger
from gristmill.domain.workflow import ENDED, WorkflowState
from gristmill.services.queue.resubmission import Again, submit_again
from gristmill.store.database import Transaction
from gristmill.store.events import append_event
from gristmill.store.jobs import JobHead, ids_of
from gristmill.store.workflows import (
    NodeRow,
    WorkflowRow,
    get_nodes,
    get_workflows,
    nodes_of,
    save_nodes,
    save_workflows,
)

if TYPE_CHECKING:
    from gristmill.services.queue.ledger import Ledger

NEVER_RAN = frozenset({DEPENDENCY_FAILED, CANCELLED_WITH_WORKFLOW})


class Change(NamedTuple):
    """How counts move; what is not named here is queued."""

    done: int = 0
    failed: int = 0
    waiting: int = 0

    def plus(self, other: "Change", times: int = 1) -> "Change":
        """Return the sum."""
        return Change(
            self.done + times * other.done,
            self.failed + times * other.failed,
            self.waiting + times * other.waiting,
        )


_QUEUED, _DONE, _FAILED, _WAITING = Change(), Change(done=1), Change(failed=1), Change(waiting=1)


def _counted_as(state: JobState) -> Change:
    if state is JobState.WAITING:
        return _WAITING
    if state is JobState.COMPLETE:
        return _DONE
    return _FAILED if state in TERMINAL else _QUEUED


class Flow:
    """The workflows that one ledger's moves touch.

    told: whether there are events to hear about.
    """

    def __init__(self, ledger: "Ledger") -> None:
        self.told = False
        self._ledger = ledger
        self._changes: defaultdict[int, Change] = defaultdict(Change)
        self._began: set[int] = set()
        self._buried: list[JobHead] = []
        self._touched: set[int] = set()
        self._nodes: dict[int, NodeRow] = {}
        self._workflows: dict[int, WorkflowRow] = {}
        self._dirty: set[int] = set()
        self._news: list[WorkflowRow] = []

    @property
    def pending(self) -> bool:
        """Whether something happened that was not worked out yet."""
        return bool(self._changes or self._began or self._buried or self._touched)

    def moved(self, head: JobHead, source: JobState, target: JobState) -> None:
        """Take note of a move of a workflow's job."""
        assert head.node_id is not None
        if target is JobState.RUNNING:
            self._began.add(head.node_id)
        before, after = _counted_as(source), _counted_as(target)
        if source is JobState.WAITING and target in TERMINAL and head.reason in NEVER_RAN:
            after = before
        if before is not after:
            self._change(head.node_id, after)
            self._change(head.node_id, before, -1)
        if target is JobState.BURIED:
            self._buried.append(head)

    def cancel(self, workflow: WorkflowRow) -> None:
        """End a workflow by its owner's will; its jobs are the caller's to cancel."""
        self._workflows[workflow.id] = workflow
        self._end(workflow, WorkflowState.CANCELLED)

    def advance(self) -> None:
        """Work out what the moves so far mean; that may move other jobs."""
        while self.pending:
            self._load({*self._changes, *self._began, *(head.node_id for head in self._buried)})
            self._submit_anew()
            self._begin()
            for node in self._count():
                self._release_children(node)
            if not self._changes:
                self._judge()

    def write(self) -> None:
        """Write back every count that changed, and tell how workflows fare."""
        if not self._workflows:
            return
        tx, now = self._ledger.tx, self._ledger.now
        save_nodes(tx, [self._nodes[number] for number in sorted(self._dirty)])
        save_workflows(tx, self._workflows.values())
        for workflow in self._news:
            kind = f"workflow.{workflow.state.word}"
            append_event(tx, now, kind, [], {"workflow": workflow.id})
            if workflow.state in ENDED:
                for hook in self._ledger.core.on_workflow_end:
                    hook(tx, workflow)

    def _change(self, node: int, change: Change, times: int = 1) -> None:
        self._changes[node] = self._changes[node].plus(change, times)

    def _load(self, nodes: Iterable[int | None]) -> None:
        tx = self._ledger.tx
        missing = [node for node in nodes if node is not None and node not in self._nodes]
        self._keep(get_nodes(tx, missing))

    def _keep(self, nodes: Iterable[NodeRow]) -> list[NodeRow]:
        """Take nodes that were read; return those that count, which may be here already."""
        kept = [self._nodes.setdefault(node.id, node) for node in nodes]
        missing = {node.workflow_id for node in kept} - self._workflows.keys()
        self._workflows.update(get_workflows(self._ledger.tx, sorted(missing)))
        return kept

    def _workflow(self, node: int) -> WorkflowRow:
        return self._workflows[self._nodes[node].workflow_id]

    def _begin(self) -> None:
        began, self._began = self._began, set()
        for node in began:
            workflow = self._workflow(node)
            if workflow.started_at is None:
                workflow.started_at = self._ledger.now
                if workflow.state is WorkflowState.PENDING:
                    self._enter(workflow, WorkflowState.RUNNING)

    def _count(self) -> list[NodeRow]:
        """Count what moved; return the nodes that are done now."""
        changes, self._changes = self._changes, defaultdict(Change)
        finished = []
        for number, change in changes.items():
            node = self._nodes[number]
            for row in (node, self._workflow(number)):
                row.done += change.done
                row.failed += change.failed
                row.waiting += change.waiting
            self._dirty.add(number)
            self._touched.add(node.workflow_id)
            if change.done > 0 and node.done == node.total:
                finished.append(node)
        return finished

    def _release_children(self, node: NodeRow) -> None:
        if self._workflow(node.id).state in ENDED:
            return
        children = ids_of(self._ledger.tx.all("get_child_nodes", node=node.id))
        self._load(children)
        for number in children:
            child = self._nodes[number]
            child.unmet -= 1
            self._dirty.add(number)
            if child.unmet == 0:
                self._release(child)

    def _release(self, node: NodeRow) -> None:
        ledger = self._ledger
        for head in self._blocked(node):
            head.unmet = 0
            if head.state is not JobState.WAITING:
                ledger.touch(head)
                continue
            if node.queue_timeout is not None:
                ledger.set_deadline(head, ledger.now + node.queue_timeout)
            ledger.make_ready(head, Trigger.DEPENDENCIES_MET)

    def _blocked(self, node: NodeRow) -> list[JobHead]:
        return self._ledger.load(ids_of(self._ledger.tx.all("get_blocked_of_node", node=node.id)))

    def _submit_anew(self) -> None:
        """Give jobs that failed for good another try where the workflow grants it."""
        buried, self._buried = self._buried, []
        hopeful = [head for head in buried if self._grants_retries(head)]
        if hopeful:
            ids = self._ledger.tx.array([head.id for head in hopeful])
            tries: dict[int, int] = dict(self._ledger.tx.all("get_resubmits", ids=ids))
            self._copy(
                (head, tries[head.id] + 1)
                for head in hopeful
                if tries[head.id] < self._workflow(_node_of(head)).retries
            )

    def _grants_retries(self, head: JobHead) -> bool:
        workflow = self._workflow(_node_of(head))
        still = head.state is JobState.BURIED
        return still and workflow.retries > 0 and workflow.state not in ENDED

    def _copy(self, failed: Iterable[tuple[JobHead, int]]) -> bool:
        """Submit failed jobs under new ids; whether there were any."""
        again = [
            Again(head, resubmits, blocked=self._nodes[_node_of(head)].unmet > 0)
            for head, resubmits in failed
        ]
        for head in submit_again(self._ledger, again):
            self._change(_node_of(head), _FAILED, -1)
            self._change(_node_of(head), _WAITING)
            if not head.unmet:
                self._ledger.make_ready(head, Trigger.DEPENDENCIES_MET)
        return bool(again)

    def _judge(self) -> None:
        """End the workflows in which nothing can go on."""
        touched, self._touched = self._touched, set()
        for number in sorted(touched):
            workflow = self._workflows[number]
            if workflow.state in ENDED or workflow.queued:
                continue
            if workflow.done == workflow.total:
                self._end(workflow, WorkflowState.COMPLETED)
            elif not self._rerun(workflow):
                self._give_up(workflow)

    def _rerun(self, workflow: WorkflowRow) -> bool:
        if not workflow.reruns_left:
            return False
        tx, ledger = self._ledger.tx, self._ledger
        failed: list[JobHead] = []
        for node in self._keep(nodes_of(tx, workflow.id)):
            if node.failed:
                left = ids_of(tx.all("get_unfinished_of_node", node=node.id))
                failed += [head for head in ledger.load(left) if head.state is JobState.BURIED]
        workflow.reruns_left -= 1
        return self._copy((head, 0) for head in failed)

    def _give_up(self, workflow: WorkflowRow) -> None:
        ledger = self._ledger
        self._end(workflow, WorkflowState.FAILED)
        for node in self._keep(nodes_of(ledger.tx, workflow.id)):
            for head in self._blocked(node) if node.waiting else ():
                if head.state is JobState.WAITING:
                    head.reason, head.ended_at = DEPENDENCY_FAILED, ledger.now
                    ledger.move(head, Trigger.CANCEL, JobState.CANCELLED)

    def _end(self, workflow: WorkflowRow, state: WorkflowState) -> None:
        workflow.ended_at = self._ledger.now
        self._enter(workflow, state)

    def _enter(self, workflow: WorkflowRow, state: WorkflowState) -> None:
        workflow.state = state
        self._news.append(msgspec.structs.replace(workflow))
        self.told = True


def _node_of(head: JobHead) -> int:
    assert head.node_id is not None
    return head.node_id


def bound(tx: Transaction, heads: Iterable[JobHead]) -> set[int]:
    """Return the ids of jobs that only their workflow may run again.

    Those are what others have built on, what was submitted anew, and all of a workflow that ended.
    """
    placed = [head for head in heads if head.node_id is not None]
    if not placed:
        return set()
    complete = {head.id for head in placed if head.state is JobState.COMPLETE}
    rows = tx.all("get_placed", ids=tx.array([head.id for head in placed]))
    return complete | {
        job
        for job, state, superseded_by in rows
        if superseded_by is not None or WorkflowState(state) in ENDED
    }
