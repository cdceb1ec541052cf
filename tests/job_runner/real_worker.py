"""The real worker daemon, where a Python 2.7 that has it is at hand."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.job_runner.talk import Worker

VARIABLE = "JOB_RUNNER_PYTHON"
"""Names a Python 2.7 that can import the worker; otherwise ``python2.7`` on the path is tried."""

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
def find_python() -> str | None:
    """Return the Python that has the real worker, if there is one."""
    for candidate in _candidates():
        check = "import gevent, zmq, job_runner_worker"
        tried = subprocess.run([candidate, "-c", check], capture_output=True, check=False)
        if tried.returncode == 0:
            return candidate
    return None


def _candidates() -> Iterator[str]:
    named = os.environ.get(VARIABLE)
    if named:
        yield named
    found = shutil.which("python2.7")
    if found:
        yield found


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
        python = find_python()
        assert python is not None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [python, "-c", _START, str(self._configuration)], stdout=log, stderr=log
            )

    def stop(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait()
        sys.stderr.write(self._log.read_text(errors="replace")[-4000:])
