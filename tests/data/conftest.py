"""Real workers for a session, and the data services of one server beside them."""

import contextlib
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from gristmill.protocol.data import CALLS_SOCKET, TASKS_SOCKET
from tests.data.barn import Story, play
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
    with short_folder() as made, _listeners(made) as (calls, tasks):
        words = [sys.executable, "-m", "gristmill.workers", "--parent", str(os.getpid())]
        words += ["--calls", str(calls.fileno()), "--tasks", str(tasks.fileno())]
        words += ["--workers", "2", "--limit", "5", "--memory", "2048"]
        process = subprocess.Popen(words, pass_fds=[calls.fileno(), tasks.fileno()])
        try:
            yield made
        finally:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _listeners(home: Path) -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.socket(socket.AF_UNIX) as calls, socket.socket(socket.AF_UNIX) as tasks:
        calls.bind(str(home / CALLS_SOCKET))
        tasks.bind(str(home / TASKS_SOCKET))
        for each in (calls, tasks):
            each.listen(64)
        yield calls, tasks


@pytest.fixture(name="play")
def _play(database_url: str, workers: Path, folder: Path) -> Iterator[Callable[[Story], None]]:
    """Run a story on services of the test's own, once on each database."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    yield lambda story: play(database_url, folder, workers, story)
    structlog.reset_defaults()
