"""The real client, in a virtual environment of its own, installed from the registry."""

import fcntl
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.harness import LIMIT, environment
from tests.mlbench.talk import Mlbench

FOLDER = Path(__file__).parents[2] / ".venv-clients"
INSTALL_LIMIT = 600.0
CLIENT = "mlbench-core==3.0.0"
NEEDED = (
    "aiohappyeyeballs==2.7.1", "aiohttp==3.14.5", "aiohttp-retry==2.9.1", "aiosignal==1.4.0",
    "annotated-types==0.8.0", "appdirs==1.4.4", "attrs==26.1.0", "boto3==1.44.5",
    "botocore==1.44.5", "certifi==2026.10.18", "cffi==2.1.1", "charset-normalizer==3.5.2",
    "click==8.5.1", "contourpy==1.3.3", "cryptography==50.0.2", "cycler==0.12.1",
    "deprecation==2.1.0", "dill==0.4.1", "docker==7.2.0", "durationpy==0.11",
    "fonttools==4.68.0", "frozenlist==1.8.0", "gitdb==4.0.12", "GitPython==3.2.1",
    "google-api-core==2.44.0", "google-api-python-client==2.202.0", "google-auth==2.62.2",
    "google-auth-httplib2==0.4.4", "google-cloud-container==2.67.0",
    "googleapis-common-protos==1.76.0", "grpcio==1.85.1", "grpcio-status==1.85.1",
    "httplib2==0.32.1", "idna==3.20", "jmespath==1.1.0", "kiwisolver==1.5.1",
    "kubernetes==37.0.2", "matplotlib==3.11.2", "multidict==7.2.1", "numpy==2.4.6",
    "oauthlib==4.0.1", "opentelemetry-api==1.45.2", "packaging==26.3", "pillow==13.0.0",
    "propcache==0.5.4", "proto-plus==1.29.0", "protobuf==7.36.2", "pyasn1==0.6.5",
    "pyasn1_modules==0.4.2", "pycparser==3.12", "pydantic==2.14.3", "pydantic_core==2.50.4",
    "pyparsing==3.3.3", "python-dateutil==2.9.0.post0", "PyYAML==6.0.3", "requests==2.34.2",
    "requests-oauthlib==2.0.0", "s3transfer==0.19.3", "six==1.17.0", "smmap==5.0.3",
    "supermutes==0.2.5", "tabulate==0.10.0", "typing_extensions==4.16.0",
    "typing-inspection==0.4.5", "tzdata==2026.6", "uritemplate==4.2.0", "urllib3==2.8.0",
    "websocket-client==1.9.2", "yarl==1.25.1",
)  # fmt: skip
"""What the client and its commands import; not what training on a cluster would."""


def installed() -> Path:
    """Return the virtual environment of the client; it is made once and kept for later runs."""
    place = FOLDER / CLIENT.replace("==", "-")
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "mlbench.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            make = [sys.executable, "-m", "venv", "--clear", str(place)]
            subprocess.run(make, check=True, timeout=INSTALL_LIMIT)
            pip = [str(place / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            words = ["--disable-pip-version-check", "--no-deps", CLIENT, *NEEDED]
            subprocess.run([*pip, *words], check=True, timeout=INSTALL_LIMIT)
            (place / "complete").touch()
    return place


class Client:
    """The client's commands and library, as one user has them. home: the user's home folder."""

    def __init__(self, talk: Mlbench, home: Path) -> None:
        self.binaries, self.home, self.address = installed() / "bin", home, talk.address

    def command(self, *words: str, answers: str = "") -> str:
        """Run ``mlbench``; return what it said. answers: lines typed at its questions."""
        program = str(self.binaries / "mlbench")
        return self._run([program, *words, "-u", self.address], answers)

    def library(self, script: str) -> Any:
        """Run a script with ``api``, a client of the server; return what it left as ``result``."""
        words = [
            "import json, logging",
            "from mlbench_core.api import ApiClient",
            f"api = ApiClient(in_cluster=False, url={self.address!r}, load_config=False)",
            script,
            "print(json.dumps(result))",
        ]
        said = self._run([str(self.binaries / "python"), "-c", "\n".join(words)], "")
        return json.loads(said.splitlines()[-1])

    def _run(self, words: list[str], answers: str) -> str:
        variables = environment(HOME=str(self.home), MPLBACKEND="Agg")
        done = subprocess.run(
            words, input=answers, env=variables, cwd=self.home, text=True, timeout=2 * LIMIT,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        assert "Traceback" not in done.stdout, done.stdout
        return done.stdout
