"""How an agent that cannot start says so."""

from pathlib import Path

import pytest

from gristmill.agent.main import main


def test_a_home_that_takes_no_files_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "agent").touch()
    assert main(["--home", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"gristmill agent: cannot start in {tmp_path}: ")
    assert said.count("\n") == 1
