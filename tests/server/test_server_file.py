"""One server to a home, and a note that is whole or absent."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gristmill.domain.errors import ConflictError, InvalidInputError
from gristmill.server.server_file import (
    HomeLock,
    ServerFile,
    remove_server_file,
    write_server_file,
)

HOLD = """
import sys
from pathlib import Path
from gristmill.server.server_file import HomeLock
lock = HomeLock(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_server_is_told_who_holds_the_home(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "home")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConflictError, match=rf"pid {holder.pid}\b.*--home"):
            HomeLock(tmp_path / "home")
        holder.kill()
        holder.wait()
        HomeLock(tmp_path / "home").release()


def test_a_released_home_is_free(tmp_path: Path) -> None:
    HomeLock(tmp_path).release()
    lock = HomeLock(tmp_path)
    with pytest.raises(ConflictError, match=str(os.getpid())):
        HomeLock(tmp_path)
    lock.release()


def test_a_home_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(InvalidInputError, match="choose another --home"):
        HomeLock(path)


def test_a_new_home_is_private(tmp_path: Path) -> None:
    HomeLock(tmp_path / "deep" / "home").release()
    assert (tmp_path / "deep" / "home").stat().st_mode & 0o777 == 0o700


def test_the_note(tmp_path: Path) -> None:
    note = ServerFile(pid=7, http="http://127.0.0.1:1", https=None, version="1", socket=None)
    write_server_file(tmp_path, note)
    assert json.loads((tmp_path / "server.json").read_text()) == {
        "pid": 7,
        "http": "http://127.0.0.1:1",
        "https": None,
        "version": "1",
        "socket": None,
    }
    remove_server_file(tmp_path)
    remove_server_file(tmp_path)
    assert not list(tmp_path.glob("server.json*"))
