"""The metrics of a server: one object that the apps talk to."""

from functools import partial

from gristmill.domain.identity import Identity
from gristmill.services.metrics.feed import Feed
from gristmill.services.metrics.reader import MetricReader
from gristmill.services.metrics.recorder import Recorder
from gristmill.services.metrics.usage import Usages
from gristmill.services.queue.core import QueueCore
from gristmill.store import metrics as store
from gristmill.store.database import Transaction

MOST_SOURCES = 1000


class Metrics:
    """Recorder, reader and feed over the same tables."""

    def __init__(self, core: QueueCore) -> None:
        self._core = core
        self.feed = Feed()
        self.recorder = Recorder(core, self.feed)
        self.reader = MetricReader(core, self.recorder)
        self.usages = Usages(core, self.recorder)

    async def sources(
        self, who: Identity, *, after: str = "", limit: int = MOST_SOURCES
    ) -> list[str]:
        """Return the names of the caller's own sources, by name."""

        def work(tx: Transaction) -> list[str]:
            owner = self._core.words.find(tx, who.user)
            if owner is None:
                return []
            return [name for _, name, _ in store.list_sources(tx, owner, after, limit)]

        return await self._core.database.read(work)

    async def delete(self, who: Identity, source: str) -> None:
        """Remove a source with all its points. Raises NotFoundError."""
        number = await self.reader.find(who, source)
        if number is None:
            return
        await self._core.database.write(partial(store.delete_source, source=number))
        self.recorder.forget()
