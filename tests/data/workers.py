"""Workers without an agent, for tests that need no jobs."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from gristmill.protocol.data import CALLS_SOCKET, TASKS_SOCKET


@contextlib.contextmanager
def running_workers(home: Path) -> Iterator[None]:
    """Have workers behind the sockets of a home."""
    with _listeners(home) as (calls, tasks):
        words = [sys.executable, "-m", "gristmill.workers", "--parent", str(os.getpid())]
        words += ["--calls", str(calls.fileno()), "--tasks", str(tasks.fileno())]
        words += ["--workers", "2", "--limit", "5", "--memory", "2048"]
        process = subprocess.Popen(words, pass_fds=[calls.fileno(), tasks.fileno()])
        try:
            yield
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
