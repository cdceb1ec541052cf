"""Servers that speak PROMINENCE, and somebody to talk to them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.containers.rootfs import busybox_rootfs
from tests.e2e.conftest import Start, folder, home, server, start
from tests.e2e.harness import RunningServer, short_folder, start_server
from tests.prominence.talk import IMAGE, Prominence

__all__ = ["Start", "folder", "home", "server", "start"]


@pytest.fixture(scope="package")
def idle_server() -> Iterator[RunningServer]:
    """A server that runs nothing: everything stays as it was submitted."""
    with idling() as server:
        yield server


@contextmanager
def idling(*flags: str) -> Iterator[RunningServer]:
    """Start a server that runs nothing, and end it."""
    with short_folder() as place:
        server = start_server(place / "h", "--engine", "none", "--https", "off", *flags)
        try:
            yield server
        finally:
            server.close()
        server.check_logs()


@pytest.fixture
def idle(idle_server: RunningServer) -> Iterator[Prominence]:
    """A new user of a server that runs nothing."""
    talk = Prominence(idle_server)
    yield talk
    talk.close()


@pytest.fixture(scope="package")
def mill() -> Iterator[RunningServer]:
    """A server that runs jobs in real containers of a small image."""
    with short_folder() as place:
        server = start_server(place / "h", "--https", "off", "--agent-grace", "0.5s")
        try:
            rootfs = busybox_rootfs(place / "rootfs")
            server.client().add_image(IMAGE, str(rootfs))
            yield server
        finally:
            server.close()
        server.check_logs()


@pytest.fixture
def user(mill: RunningServer) -> Iterator[Prominence]:
    """A new user of a server that runs jobs."""
    talk = Prominence(mill)
    yield talk
    talk.close()
