from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.services.mill import Story, play

Play = Callable[..., None]


@pytest.fixture(name="play")
def _play(database_url: str, tmp_path: Path) -> Play:
    """Run stories on a database of the test's own, once on each kind; audited after each."""

    def run(story: Story, **settings: Any) -> None:
        play(database_url, tmp_path, story, **settings)

    return run
