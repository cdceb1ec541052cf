"""Servers that speak wr, and somebody to talk to them."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Start, folder, home, server, start
from tests.e2e.harness import short_folder, start_server
from tests.wr.talk import QUICK, Wr

__all__ = ["Start", "folder", "home", "server", "start"]


@pytest.fixture(scope="module")
def wr() -> Iterator[Wr]:
    """A server with quick retries, shared by the tests of a module."""
    with short_folder() as place:
        server = start_server(place / "h", *QUICK)
        talk = Wr(server)
        try:
            yield talk
        finally:
            talk.close()
            server.close()


@pytest.fixture(scope="module")
def idle() -> Iterator[Wr]:
    """A server that runs nothing: everything stays as it was added."""
    with short_folder() as place:
        server = start_server(place / "h", "--engine", "none")
        talk = Wr(server)
        try:
            yield talk
        finally:
            talk.close()
            server.close()
