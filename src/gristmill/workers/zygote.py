"""One process has the heavy libraries loaded; those that work are its forks.

A few of them answer calls, each one at a time, all from the same listening socket. A task gets a
fork of its own. All end when this process ends, and it ends with the agent, or when nobody has
asked anything for a while.
"""

import argparse
import ctypes
import gc
import mmap
import os
import resource
import select
import signal
import socket
import struct
import sys
import threading
import time

from gristmill.workers.calls import serve

PARENT_DEATH_SIGNAL = 1
SECOND = struct.Struct("d")
STEADY = 5.0
"""Seconds a worker must have lived for another to take its place at once."""


class Zygote:
    """The parent of all workers. idle: seconds without a question after which it leaves."""

    def __init__(
        self,
        calls: socket.socket,
        tasks: socket.socket,
        *,
        workers: int,
        memory: int,
        limit: float,
        idle: float,
    ) -> None:
        self._calls, self._tasks = calls, tasks
        self._workers, self._memory, self._limit, self._idle = workers, memory, limit, idle
        self._last = mmap.mmap(-1, SECOND.size)
        self._pool: dict[int, float] = {}
        self._busy: set[int] = set()
        self._pause = 0.0

    def run(self) -> int:
        """Keep workers until told to stop or idle; return the exit code."""
        self._touch()
        awake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        # What is loaded now is shared with every fork as long as nobody writes to it.
        gc.collect()
        gc.freeze()
        while True:
            self._reap()
            self._fill()
            left = self._left()
            if left <= 0:
                self._end_pool()
                return 0
            ready, _, _ = select.select([awake, self._tasks.fileno()], [], [], left)
            if awake in ready:
                os.read(awake, 4096)
            if self._tasks.fileno() in ready:
                self._begin_task()

    def _left(self) -> float:
        """Return seconds until it is time to leave, or to try again after failures."""
        if self._pause:
            return max(0.1, self._pause - time.monotonic())
        if self._busy:
            return self._idle
        (last,) = SECOND.unpack_from(self._last, 0)
        return float(last) + self._idle - time.monotonic()

    def _touch(self) -> None:
        SECOND.pack_into(self._last, 0, time.monotonic())

    def _reap(self) -> None:
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._busy.discard(pid)
            born = self._pool.pop(pid, None)
            if born is not None and time.monotonic() - born < STEADY:
                self._pause = time.monotonic() + 1.0

    def _fill(self) -> None:
        if self._pause > time.monotonic():
            return
        self._pause = 0.0
        while len(self._pool) < self._workers:
            pid = self._fork()
            if pid == 0:
                self._answer_calls()
            self._pool[pid] = time.monotonic()

    def _fork(self) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            become_child(parent)
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_DATA, (self._memory, self._memory))
        return pid

    def _answer_calls(self) -> None:
        good = True
        while good:
            connection, _ = self._calls.accept()
            self._touch()
            good = serve(connection, self._limit)
            self._touch()
        os._exit(0)

    def _begin_task(self) -> None:
        try:
            connection, _ = self._tasks.accept()
        except BlockingIOError:
            return
        self._touch()
        pid = self._fork()
        if pid == 0:
            connection.setblocking(True)
            _end_with(connection)
            serve(connection, None)
            os._exit(0)
        connection.close()
        self._busy.add(pid)

    def _end_pool(self) -> None:
        for pid in self._pool:
            os.kill(pid, signal.SIGTERM)


def _end_with(connection: socket.socket) -> None:
    """End this process as soon as whoever asked is gone: the job was ended."""
    poll = select.poll()
    poll.register(connection, select.POLLRDHUP | select.POLLHUP)

    def watch() -> None:
        poll.poll()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def preload() -> None:
    """Load what calls would otherwise load first, once for all forks."""
    import joblib
    import sklearn.model_selection
    import skops.io

    from gristmill.workers.estimators import known

    known()
    del joblib, sklearn, skops


def become_child(parent: int) -> None:
    """Have the kernel end this process when its parent ends."""
    ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def main(arguments: list[str] | None = None) -> int:
    """Run a zygote on the listening sockets that were passed on."""
    parser = argparse.ArgumentParser(prog="gristmill workers")
    parser.add_argument("--calls", type=int, required=True, help="descriptor of a socket")
    parser.add_argument("--tasks", type=int, required=True, help="descriptor of a socket")
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--memory", type=int, default=4096, help="megabytes a worker may use")
    parser.add_argument("--limit", type=float, default=600.0)
    parser.add_argument("--idle", type=float, default=900.0)
    given = parser.parse_args(arguments)
    become_child(given.parent)
    preload()
    calls = socket.socket(fileno=given.calls)
    tasks = socket.socket(fileno=given.tasks)
    calls.setblocking(True)
    tasks.setblocking(False)
    zygote = Zygote(
        calls,
        tasks,
        workers=given.workers,
        memory=given.memory << 20,
        limit=given.limit,
        # A worker may still be at the last question for as long as a call may take.
        idle=max(given.idle, given.limit),
    )
    return zygote.run()
