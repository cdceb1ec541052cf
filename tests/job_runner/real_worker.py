"""The real worker daemon, for a Python 2.7 that is at hand."""

import fcntl
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.job_runner.talk import Worker

VARIABLE = "JOB_RUNNER_PYTHON"
"""Names a Python 2.7 to try before those on the path and those of pyenv."""

FOLDER = Path(__file__).parents[2] / ".venv-clients"
INSTALL_LIMIT = 900.0
WORKER = "job-runner-worker==2.1.2"
PINNED = (
    "argparse==1.4.0", "gevent==1.0.2", "gevent_subprocess==0.1.2", "greenlet==2.0.2",
    "pytz==2026.6", "pyzmq==19.0.2", "requests==0.14.2",
)  # fmt: skip
"""What the worker was released with: a newer gevent breaks its module for subprocesses."""

_CHECK = "import sys; assert sys.version_info[:2] == (2, 7)"
_IMPORT = "import gevent, zmq, job_runner_worker"

_CONFIGURATION = """[job_runner_worker]
log_level = debug
api_key = {api_key}
secret = {secret}
api_base_url = {url}/
ws_server_hostname = 127.0.0.1
ws_server_port = {events}
broadcaster_server_hostname = 127.0.0.1
broadcaster_server_port = {broadcast}
concurrent_jobs = 2
script_temp_path = {folder}
"""
_START = """
from gevent import monkey; monkey.patch_all()
import os, sys
os.environ["CONFIG_PATH"] = sys.argv[1]
from job_runner_worker.config import config, setup_log_handler
from job_runner_worker.runner import run
setup_log_handler(log_level="DEBUG")
run()
"""


@functools.cache
def find_worker() -> tuple[str, Path]:
    """Return a Python 2.7, and the folder that the worker is installed in.

    It is installed once from the registry and kept for later runs. Raises LookupError, which says
    what is missing.
    """
    python = next(filter(_is_old_python, _candidates()), None)
    if python is None:
        raise LookupError(f"no Python 2.7: not in ${VARIABLE}, on the path, or pyenv's")
    return python, _installed(python)


def _candidates() -> Iterator[str]:
    if VARIABLE in os.environ:
        yield os.environ[VARIABLE]
    yield from filter(None, map(shutil.which, ("python2.7", "python2")))
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from map(str, sorted(versions.glob("2.7*/bin/python2.7")))


def _is_old_python(candidate: str) -> bool:
    return _succeeds([candidate, "-c", _CHECK])


def _installed(python: str) -> Path:
    place = FOLDER / WORKER.replace("==", "-")
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _succeeds([python, "-c", _IMPORT], PYTHONPATH=str(place)):
            shutil.rmtree(place, ignore_errors=True)
            pip = [python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
            _install([*pip, "--no-deps", "--target", str(place), WORKER, *PINNED])
    return place


def _install(words: list[str]) -> None:
    try:
        tried = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=INSTALL_LIMIT
        )
    except subprocess.TimeoutExpired:
        raise LookupError(f"{WORKER} was not installed within {INSTALL_LIMIT:.0f} s") from None
    if tried.returncode != 0:
        raise LookupError(f"{WORKER} cannot be installed: {tried.stderr.strip()[-300:]}")


def _succeeds(words: list[str], **variables: str) -> bool:
    try:
        tried = subprocess.run(
            words, capture_output=True, check=False, env={**os.environ, **variables}
        )
    except OSError:
        return False
    return tried.returncode == 0


class RealWorker:
    """One daemon, unchanged."""

    def __init__(self, talk: Worker, broadcast: int, events: int, folder: Path) -> None:
        self.talk = talk
        self._configuration = folder / f"{talk.api_key}.ini"
        self._log = folder / f"{talk.api_key}.log"
        self._configuration.write_text(
            _CONFIGURATION.format(
                api_key=talk.api_key, secret=talk.secret, url=talk.url, events=events,
                broadcast=broadcast, folder=folder,
            )
        )  # fmt: skip

    def start(self) -> None:
        """Start the process."""
        python, packages = find_worker()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [python, "-c", _START, str(self._configuration)],
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": str(packages)},
            )

    def stop(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        sys.stderr.write(self._log.read_text(errors="replace")[-4000:])
