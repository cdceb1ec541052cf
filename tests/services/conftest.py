import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.services.mill import Story, play

Play = Callable[..., None]


@pytest.fixture(name="play")
def _play(database_url: str, tmp_path: Path) -> Play:
    """Run stories on a database of the test's own, once on each kind; audited after each."""

    def run(story: Story, **settings: Any) -> None:
        play(database_url, tmp_path, story, **settings)

    return run


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Keep the coming and going of agents out of what a failing test prints."""
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet)
    yield
    structlog.reset_defaults()
