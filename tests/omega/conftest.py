"""A server that speaks omega-ml, and somebody to talk to it as its documents say."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Start, folder, home, start
from tests.e2e.harness import short_folder, start_server
from tests.omega.talk import Omega

__all__ = ["Start", "folder", "home", "start"]


@pytest.fixture(scope="module")
def omega() -> Iterator[Omega]:
    """A server shared by the tests of a module, without any key: open to this machine."""
    with short_folder() as place:
        server = start_server(place / "h")
        try:
            yield Omega(server)
        finally:
            server.close()
        server.check_logs()
