"""What all parts of the queue share: the database, time, and the caches over the tables."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gristmill.domain.clock import Chance
from gristmill.services.notices import Notices
from gristmill.services.output_files import OutputFiles
from gristmill.services.signals import Signals
from gristmill.store.database import Database, Transaction
from gristmill.store.jobs import JobHead
from gristmill.store.shapes import Shapes
from gristmill.store.words import Words

Ending = Callable[[Transaction, Sequence[JobHead]], None]


@dataclass(frozen=True)
class QueueCore:
    """Handed to every queue service. endings: called in the transaction in which jobs end."""

    database: Database
    chance: Chance
    outputs: OutputFiles
    words: Words = field(default_factory=Words)
    shapes: Shapes = field(default_factory=Shapes)
    signals: Signals = field(default_factory=Signals)
    notices: Notices = field(default_factory=Notices)
    endings: list[Ending] = field(default_factory=list)

    async def load(self) -> None:
        """Fill the caches; wake the dispatcher for what was ready before a restart."""
        ready = await self.database.read(self._load)
        self.signals.ready(ready)

    def _load(self, tx: Transaction) -> Iterable[int]:
        self.shapes.load(tx)
        return {row[0] for row in tx.all("get_ready_shapes")}
