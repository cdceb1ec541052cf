"""Servers that speak MLBench, and somebody to talk to them."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Start, folder, home, start
from tests.e2e.harness import short_folder, start_server
from tests.mlbench.talk import Mlbench

__all__ = ["Start", "folder", "home", "start"]

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


@pytest.fixture(scope="package")
def mlbench() -> Iterator[Mlbench]:
    """A server whose custom images run on the node, shared by all tests."""
    yield from _talk(*ON_THE_NODE)


@pytest.fixture(scope="package")
def idle() -> Iterator[Mlbench]:
    """A server that runs nothing, shared by all tests: runs stay as they were created."""
    yield from _talk("--engine", "none", "--https", "off")
