"""All data services of one server."""

from pathlib import Path

from gristmill.services.data.core import DataCore
from gristmill.services.data.datasets import Datasets
from gristmill.services.data.models import Models
from gristmill.services.data.notebooks import Notebooks
from gristmill.services.data.pool import PATIENCE, WorkerPool
from gristmill.services.data.scripts import Scripts
from gristmill.services.data.sweeper import Sweeper
from gristmill.services.data.tasks import Tasks
from gristmill.services.queue.control import Control
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.submit import Submitter
from gristmill.services.tokens import Tokens


class Data:
    """Tables, models, notebooks, scripts, and the tasks on them."""

    def __init__(
        self,
        queue: QueueCore,
        home: Path,
        submitter: Submitter,
        control: Control,
        tokens: Tokens,
        *,
        url: str = "",
        workers: bool = True,
    ) -> None:
        """Take what the services need.

        url: where blobs are kept, such as ``s3://bucket/prefix``; '' for a folder of the home.
        workers: whether an agent with workers runs beside this server.
        """
        pool = WorkerPool(home, queue.chance, PATIENCE if workers else 0.0)
        root = url or str(home / "blobs" / "data")
        self.core = DataCore(queue, pool, home, root)
        self.datasets = Datasets(self.core)
        self.models = Models(self.core, self.datasets)
        self.notebooks = Notebooks(self.core)
        self.scripts = Scripts(self.core)
        self.tasks = Tasks(
            self.core, self.models, self.notebooks, self.scripts, submitter, control, tokens
        )
        self.sweeper = Sweeper(self.core)

    async def load(self) -> None:
        """Learn what was going on before a restart."""
        await self.tasks.load()
        await self.sweeper.begin()
