from collections.abc import Iterator
from pathlib import Path

import pytest

from gristmill.client import Client
from tests.client.mill import Mill, running_mill


@pytest.fixture
def mill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mill]:
    for name in ("GRISTMILL_URL", "GRISTMILL_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path))
    with running_mill(tmp_path) as mill:
        yield mill


@pytest.fixture
def client(mill: Mill) -> Iterator[Client]:
    with Client() as client:
        yield client
