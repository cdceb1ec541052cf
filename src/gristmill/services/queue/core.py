"""What all parts of the queue share: the database, time, and the caches over the tables."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gristmill.domain.clock import Chance
from gristmill.services.keyring import SecretBox
from gristmill.services.notices import Notices
from gristmill.services.output_files import OutputFiles
from gristmill.services.signals import Signals
from gristmill.store.database import Database, Transaction
from gristmill.store.jobs import JobHead
from gristmill.store.shapes import Shapes
from gristmill.store.words import Words
from gristmill.store.workflows import Nodes, WorkflowRow

OnWorkflowEnd = Callable[[Transaction, WorkflowRow], None]

if TYPE_CHECKING:
    from gristmill.services.queue.ledger import Ledger

Ending = Callable[[Transaction, Sequence[JobHead]], None]


@dataclass(frozen=True)
class QueueCore:
    """Handed to every queue service.

    endings: called in the transaction in which jobs end.
    on_workflow_end: called in the transaction that ends a workflow.
    run_followers: called at the close of a ledger that moved runs of schedules, in its
    transaction.
    """

    database: Database
    chance: Chance
    outputs: OutputFiles
    box: SecretBox | None = None
    words: Words = field(default_factory=Words)
    shapes: Shapes = field(default_factory=Shapes)
    nodes: Nodes = field(default_factory=Nodes)
    signals: Signals = field(default_factory=Signals)
    notices: Notices = field(default_factory=Notices)
    on_workflow_end: list[OnWorkflowEnd] = field(default_factory=list)
    run_followers: "list[Callable[[Ledger], None]]" = field(default_factory=list)
    endings: list[Ending] = field(default_factory=list)

    async def load(self) -> None:
        """Fill the caches; wake the dispatcher for what was ready before a restart."""
        ready = await self.database.read(self._load)
        self.signals.ready(ready)

    def _load(self, tx: Transaction) -> Iterable[int]:
        self.shapes.load(tx)
        return {row[0] for row in tx.all("get_ready_shapes")}
