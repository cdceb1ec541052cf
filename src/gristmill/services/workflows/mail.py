"""The mail about a workflow that has ended."""

from gristmill.domain.workflow import WorkflowState
from gristmill.services.notifications import Ended, Notifications
from gristmill.services.queue.core import OnWorkflowEnd
from gristmill.store.database import Transaction
from gristmill.store.workflows import WorkflowRow

_OUTCOMES = {
    WorkflowState.COMPLETED: "completed",
    WorkflowState.FAILED: "failed",
    WorkflowState.CANCELLED: "was cancelled",
}


def mail_at_end(notifications: Notifications) -> OnWorkflowEnd:
    """Return what puts the mail into the outbox in the transaction that ends a workflow."""

    def tell(tx: Transaction, row: WorkflowRow) -> None:
        outcome = _OUTCOMES[row.state]
        took = 0.0 if row.started_at is None else (row.ended_at or 0.0) - row.started_at
        facts = (
            ("Name", row.name or "-"),
            ("Id", str(row.id)),
            ("Outcome", outcome),
            ("Jobs", str(row.total)),
            ("Done", str(row.done)),
            ("Failed", str(row.failed)),
            ("Wall time", f"{took:.2f} s"),
        )
        summary = "".join(f"{name + ':':<11}{value}\n" for name, value in facts)
        notifications.workflow_ended(tx, Ended(row.id, row.name, outcome, summary.rstrip("\n")))

    return tell
