"""Real workers for a session, and the data services of one server beside them."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from tests.data.barn import Story, play
from tests.data.workers import running_workers
from tests.databases import database, database_url, postgres_cluster
from tests.e2e.conftest import folder, home, server, shared_server, start
from tests.e2e.harness import short_folder

__all__ = [
    "database", "database_url", "folder", "home", "postgres_cluster", "server", "shared_server",
    "start",
]  # fmt: skip


@pytest.fixture(scope="session")
def workers() -> Iterator[Path]:
    """A home with workers behind its sockets."""
    with short_folder() as made, running_workers(made):
        yield made


@pytest.fixture(name="play")
def _play(database_url: str, workers: Path, folder: Path) -> Iterator[Callable[[Story], None]]:
    """Run a story on services of the test's own, once on each database."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield lambda story: play(database_url, folder, workers, story)
    structlog.reset_defaults()
