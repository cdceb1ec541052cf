import logging
import os
from collections.abc import Iterator

import pytest
import structlog

pytest_plugins = ["tests.databases"]

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
