"""Workers for tables and models: started by the first question, gone after a while without one.

The agent holds the sockets that questions come in on, so that none is refused while a worker
starts or another takes the place of one that died.
"""

import asyncio
import contextlib
import fcntl
import importlib.util
import os
import signal
import socket
import sys

import structlog

from gristmill.agent.config import AgentConfig
from gristmill.domain.clock import Chance
from gristmill.protocol.data import CALLS_SOCKET, DATA_LABEL, TASKS_SOCKET

NEEDED = ("pandas", "pyarrow", "sklearn", "skops", "nbclient", "nbconvert")
BACKLOG = 512
MOST_WORKERS = 8
STEADY = 10.0
LONGEST_PAUSE = 30.0
"""Seconds the parent of the workers must have lived to be replaced at once, and else the pause."""

_DESCRIPTORS = (3, 4)
_ONE_THREAD_EACH = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""The workers share the cores among themselves; threads of libraries would fight for them."""

log = structlog.get_logger()


class DataWorkers:
    """Keeps the parent of the workers running while there are questions."""

    def __init__(self, config: AgentConfig, bystanders: set[int], chance: Chance) -> None:
        """Take what open needs. bystanders: learns which child is no member of a job."""
        self._config, self._bystanders, self._chance = config, bystanders, chance
        self._able = all(importlib.util.find_spec(name) is not None for name in NEEDED)
        self._sockets: list[socket.socket] = []
        self._pid: int | None = None
        self._descriptor = -1
        self._began = 0.0
        self._pause = 0.0

    @property
    def labels(self) -> dict[str, str]:
        """What jobs that need such workers look for."""
        return {DATA_LABEL: "here"} if self._able else {}

    def open(self) -> None:
        """Take questions from now on, if the libraries are installed."""
        if not self._able:
            return
        for name in (CALLS_SOCKET, TASKS_SOCKET):
            self._sockets.append(_listen(str(self._config.home / name)))
        self._await_question()

    def close(self) -> None:
        """Take no questions; end the workers."""
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            loop.remove_reader(each)
            each.close()
        if self._pid is not None:
            loop.remove_reader(self._descriptor)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            os.close(self._descriptor)

    def _await_question(self) -> None:
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            if each.fileno() >= 0:
                loop.add_reader(each, self._start)

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            loop.remove_reader(each)
        try:
            self._pid = self._spawn()
        except OSError as error:
            log.warning("data.start_failed", error=str(error))
            loop.call_later(LONGEST_PAUSE, self._await_question)
            return
        self._began = self._chance.monotonic()
        self._bystanders.add(self._pid)
        self._descriptor = os.pidfd_open(self._pid)
        loop.add_reader(self._descriptor, self._ended)
        log.info("data.started", pid=self._pid)

    def _ended(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        pid, self._pid = self._pid, None
        assert pid is not None
        # The runner may have collected it already, with all other children.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        self._bystanders.discard(pid)
        if self._chance.monotonic() - self._began >= STEADY:
            self._pause = 0.0
            self._await_question()
            return
        log.warning("data.ended_at_once", pid=pid)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause or 0.5)
        loop.call_later(self._pause, self._await_question)

    def _spawn(self) -> int:
        config = self._config
        workers = config.data_workers or max(2, min(MOST_WORKERS, os.cpu_count() or 1))
        calls, tasks = _DESCRIPTORS
        words = [sys.executable, "-m", "gristmill.workers", "--parent", str(os.getpid())]
        words += ["--calls", str(calls), "--tasks", str(tasks), "--workers", str(workers)]
        words += ["--memory", str(config.data_memory), "--limit", str(config.data_limit)]
        words += ["--idle", str(config.data_idle)]
        # High numbers, so that putting one in its place cannot cover the other.
        high = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 64) for each in self._sockets]
        try:
            return os.posix_spawn(
                sys.executable,
                words,
                {**os.environ, **_ONE_THREAD_EACH},
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, given, wanted)
                    for given, wanted in zip(high, _DESCRIPTORS, strict=True)
                ],
                setsid=True,
                setsigmask=(),
                setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD),
            )
        finally:
            for each in high:
                os.close(each)


def _listen(path: str) -> socket.socket:
    """Return a listening socket in the place of whatever an earlier agent left there."""
    fresh = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    listener.bind(fresh)
    os.chmod(fresh, 0o600)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    os.rename(fresh, path)
    return listener
