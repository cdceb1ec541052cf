"""Servers for tests, gone when the test is over, however it ended."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.harness import RunningServer, short_folder, start_server

Start = Callable[..., RunningServer]


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty folder of the test's own, with a short path."""
    with short_folder() as made:
        yield made


@pytest.fixture
def home(folder: Path) -> Path:
    """Where the test's server lives; not there yet."""
    return folder / "h"


@pytest.fixture
def start(home: Path) -> Iterator[Start]:
    """Starts servers as ``harness.start_server`` does, in the usual home unless told."""
    with ExitStack() as stack:

        def starter(
            *flags: str, home: Path = home, variables: Mapping[str, str] | None = None
        ) -> RunningServer:
            server = start_server(home, *flags, variables=variables or {})
            stack.callback(server.check_logs)
            stack.callback(server.close)
            return server

        yield starter


@pytest.fixture
def server(start: Start) -> RunningServer:
    """A running server with the usual settings."""
    return start()


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RunningServer]:
    """One server for all tests of a module that do it no harm."""
    with short_folder() as folder:
        server = start_server(folder / "h")
        try:
            yield server
        finally:
            server.close()
        server.check_logs()
