"""The real clients, each in a virtual environment of its own, installed from the registry."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e.harness import LIMIT, environment
from tests.prominence.talk import Prominence

FOLDER = Path(__file__).parents[2] / ".venv-clients"
INSTALL_LIMIT = 300.0
NEW, OLD = ("prominence", "0.21.0"), ("prominence-cli", "1.5.1")
PINNED = (
    "certifi==2026.10.18", "charset-normalizer==3.5.2", "idna==3.20", "PyJWT==2.15.1",
    "PyYAML==6.0.3", "requests==2.34.2", "urllib3==2.8.0",
)  # fmt: skip


def installed(client: tuple[str, str]) -> Path:
    """Return the virtual environment of a client; it is made once and kept for later runs."""
    name, version = client
    place = FOLDER / f"{name}-{version}"
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            subprocess.run(
                [sys.executable, "-m", "venv", "--clear", str(place)],
                check=True,
                timeout=INSTALL_LIMIT,
            )
            pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            words = ["--disable-pip-version-check", f"{name}=={version}", *PINNED]
            subprocess.run([*pip, *words], check=True, timeout=INSTALL_LIMIT)
            (place / "complete").touch()
    return place


class Cli:
    """One client's commands, as one user types them. home: the user's home folder."""

    def __init__(
        self, client: tuple[str, str], talk: Prominence, home: Path, variables: Mapping[str, str]
    ) -> None:
        self.client = client
        self._binaries = installed(client) / "bin"
        self.program = str(self._binaries / "prominence")
        self.home = home
        self._variables = {"HOME": str(home), "PROMINENCE_URL": talk.root, **variables}

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command."""
        return self._start(Path(self.program), words)

    def _start(self, program: Path, words: Sequence[str]) -> "subprocess.Popen[str]":
        variables = {name: value for name, value in environment().items() if "PROMIN" not in name}
        return subprocess.Popen(
            [str(program), *words],
            env={**variables, **self._variables},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, fails: bool = False) -> str:
        """Run a command to its end; return what it said."""
        return self._run(Path(self.program), words, fails=fails)

    def python(self, script: str) -> str:
        """Run a script where the client's package can be imported; return what it said."""
        return self._run(self._binaries / "python", ["-c", script], fails=False)

    def _run(self, program: Path, words: Sequence[str], *, fails: bool) -> str:
        with self._start(program, words) as process:
            said, _ = process.communicate(timeout=LIMIT)
        assert "Traceback" not in said, said
        assert bool(process.returncode) == fails, (words, process.returncode, said)
        return said


def token_file(home: Path, text: str) -> None:
    """Write the file that clients read the token from."""
    folder = home / ".prominence"
    folder.mkdir(exist_ok=True)
    path = folder / "token"
    path.write_text(text)
    os.chmod(path, 0o600)
