from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.place import WebPlace


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebPlace]:
    """The pages behind a real listener; shared by the tests of a module."""
    found = WebPlace(tmp_path_factory.mktemp("home"), "")
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture
def own_place(tmp_path: Path) -> Iterator[WebPlace]:
    """Pages of a server that no other test has touched."""
    found = WebPlace(tmp_path, "")
    try:
        yield found
    finally:
        found.stop()
