"""What tests of the agent leave as they found it."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _same_folder() -> Iterator[None]:
    """A runner of the test's own process starts each command from a folder, and stays in ``/``."""
    here = os.getcwd()
    yield
    os.chdir(here)
