"""Servers with the tests' world, and callers of all kinds."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import pytest

from tests.e2e.conftest import Start, folder, home, start
from tests.e2e.harness import RunningServer, short_folder, start_server
from tests.job_runner.talk import Caller, Person, Worker
from tests.job_runner.world import SECRET, WORLD

C = TypeVar("C", bound=Caller)

__all__ = ["Start", "folder", "home", "start"]


class Place:
    """One server, and callers that are closed with it."""

    def __init__(self, server: RunningServer, stack: ExitStack) -> None:
        self.server, self._stack = server, stack
        self.w1 = self.worker("blue-heron", SECRET)
        self.w2 = self.worker("red-kite", SECRET + "2")
        self.w3 = self.worker("grey-goose", SECRET + "3")
        self.w4 = self.worker("black-swan", SECRET + "4")
        self.stranger = self._kept(Caller(server.url_http))

    def worker(self, api_key: str, secret: str, **options: str) -> Worker:
        """Return a worker."""
        return self._kept(Worker(self.server.url_http, api_key, secret, **options))

    def person(self, name: str) -> Person:
        """Return somebody who logged in."""
        return self._kept(Person(self.server.url_http, name))

    def _kept(self, caller: C) -> C:
        self._stack.callback(caller.close)
        return caller


@contextmanager
def opened(*flags: str) -> Iterator[Place]:
    """A server in Amsterdam's time that runs nothing itself."""
    with ExitStack() as stack:
        folder = stack.enter_context(short_folder())
        zone = ("--job-runner-timezone", "Europe/Amsterdam")
        server = start_server(folder / "h", "--engine", "none", *zone, *flags)
        stack.callback(server.check_logs)
        stack.callback(server.close)
        server.client().apply(WORLD)
        yield Place(server, stack)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """A server shared by a module."""
    with opened() as made:
        yield made
