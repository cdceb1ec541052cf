"""Servers that speak MLBench, and somebody to talk to them."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Start, folder, home, server, start
from tests.e2e.harness import short_folder, start_server
from tests.mlbench.talk import Mlbench

__all__ = ["Start", "folder", "home", "server", "start"]

ON_THE_NODE = ("--container-engine", "host", "--https", "off")


def _talk(*flags: str) -> Iterator[Mlbench]:
    with short_folder() as place:
        server = start_server(place / "h", *flags)
        talk = Mlbench(server)
        try:
            yield talk
        finally:
            talk.close()
            server.close()
        server.check_logs()


@pytest.fixture(scope="module")
def mlbench() -> Iterator[Mlbench]:
    """A server whose custom images run on the node, shared by the tests of a module."""
    yield from _talk(*ON_THE_NODE)


@pytest.fixture(scope="module")
def idle() -> Iterator[Mlbench]:
    """A server that runs nothing: runs stay as they were created."""
    yield from _talk("--engine", "none", "--https", "off")


@pytest.fixture
def fresh(start: Start) -> Iterator[Mlbench]:
    """A server that runs nothing and that no other test has touched."""
    talk = Mlbench(start("--engine", "none", "--https", "off"))
    yield talk
    talk.close()
