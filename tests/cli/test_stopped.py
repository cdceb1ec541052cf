"""Administrators' commands on a home whose server does not run."""

import json
import subprocess
from pathlib import Path

import pytest

from gristmill.server.server_file import HomeLock
from tests.cli.conftest import Run

YAML = """\
users:
  - {name: alice, password: s3cret, groups: [viewers]}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home as a killed server leaves it: with its files, and a pid that is gone."""
    for name in ("GRISTMILL_URL", "GRISTMILL_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GRISTMILL_HOME", str(tmp_path))
    (tmp_path / "client.token").write_text("t" * 43)
    gone = subprocess.Popen(["true"])
    gone.wait()
    document = {"pid": gone.pid, "http": "http://127.0.0.1:1", "https": None, "version": "1"}
    (tmp_path / "server.json").write_text(json.dumps(document))
    return tmp_path


def test_tokens(home: Path, gristmill: Run) -> None:
    ran = gristmill("token", "create", "--user", "alice", "--group", "g", "--expires", "12h")
    assert ran.code == 0
    assert ran.out.splitlines()[-1].count(".") == 2
    key = gristmill("token", "create", "--user", "bob", "--api-key").out.strip()
    assert "." not in key
    made = gristmill("token", "list", "--json").json
    assert [(token["user"], token["kind"]) for token in made] == [
        ("alice", "jwt"),
        ("bob", "api_key"),
    ]
    assert gristmill("token", "revoke", made[0]["id"]).code == 0
    assert gristmill("token", "revoke", made[0]["id"]).code == 5
    assert len(gristmill("token", "list", "--json").json) == 1
    assert gristmill("token", "create", "--user", "a", "--scope", "all").code == 2


def test_declarations(home: Path, gristmill: Run, tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(YAML)
    assert "created user alice" in gristmill("apply", "-f", file, "--dry-run").out
    assert "alice" not in gristmill("export").out
    assert "created user alice" in gristmill("apply", "-f", file).out
    ran = gristmill("export")
    assert "alice" in ran.out
    assert "s3cret" not in ran.out
    assert gristmill("apply", "-f", file, "--json").json["created"] == []
    file.write_text("users:\n  - {name: alice, colour: red}\n")
    ran = gristmill("apply", "-f", file)
    assert ran.code == 2
    assert "line 2" in ran.err


def test_images(home: Path, gristmill: Run, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin" / "tool").write_text("#!/bin/sh\n")
    ran = gristmill("image", "add", "tool:1", tree, "--entrypoint", "/bin/tool -v")
    assert (ran.code, ran.out) == (0, "tool:1\n")
    (image,) = gristmill("image", "list", "--json").json
    assert image["entrypoint"] == ["/bin/tool", "-v"]
    assert gristmill("image", "remove", "tool:1").code == 0
    assert gristmill("image", "remove", "tool:1").code == 5


def test_a_home_that_is_taken_is_left_alone(home: Path, gristmill: Run) -> None:
    lock = HomeLock(home)
    ran = gristmill("token", "list")
    lock.release()
    assert ran.code == 1
    assert "another server" in ran.err
    assert not (home / "gristmill.db").exists()


def test_a_folder_that_never_was_a_home_is_not_made_one(
    home: Path, gristmill: Run, tmp_path: Path
) -> None:
    ran = gristmill("token", "list", "--home", tmp_path / "new")
    assert ran.code == 3
    assert not (tmp_path / "new").exists()


def test_serve_explains_its_options_and_refuses_wrong_ones(gristmill: Run) -> None:
    assert "--https VALUE" in gristmill("serve", "--help").out
    ran = gristmill("serve", "--colour", "red")
    assert ran.code == 2
    assert "--colour" in ran.err
