from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import new_database
from tests.native.place import Place, opened


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """The native interface over each database; shared by the tests of a module."""
    home = tmp_path_factory.mktemp("home")
    if request.param == "sqlite":
        with opened(home, "") as found:
            yield found
        return
    with (
        new_database(request.getfixturevalue("postgres_cluster")) as url,
        opened(home, url) as found,
    ):
        yield found


@pytest.fixture
def own_place(tmp_path: Path) -> Iterator[Place]:
    """A place of the test's own, for what would disturb others."""
    with opened(tmp_path, "") as found:
        yield found
