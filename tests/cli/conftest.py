import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from gristmill.cli.main import run
from tests.client.conftest import mill

__all__ = ["mill"]


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def gristmill(capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Runs a command in this process."""

    def command(*words: object) -> Ran:
        code = run([str(word) for word in words])
        out, err = capsysbinary.readouterr()
        return Ran(code, out.decode(), err.decode())

    return command
