import logging
import os
from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["tests.databases"]

LONG_FOLDERS = ("job_runner", "e2e", "prominence", "data", "demo", "bench", "mlbench", "wr")
"""Where single files take minutes, most of it waiting."""

LOGGERS = ("", "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """Undo what a test did to the process's logging: its streams are closed after it."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(each, each.handlers[:], each.level, each.propagate) for each in loggers]
    yield
    structlog.reset_defaults()
    for logger, handlers, level, propagate in before:
        logger.handlers[:] = handlers
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.fixture(autouse=True)
def _own_folder() -> Iterator[None]:
    """Return to the folder the tests are run in: an agent in the test's process leaves it."""
    before = os.getcwd()
    yield
    os.chdir(before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files: processes that share the tests end at the same time then."""

    def turn(item: pytest.Item) -> int:
        folder = item.path.parent.name
        return LONG_FOLDERS.index(folder) if folder in LONG_FOLDERS else len(LONG_FOLDERS)

    items.sort(key=turn)
