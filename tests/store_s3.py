"""An S3 store of a test's own: moto behind a real port, in a process of its own."""

import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import pytest

_SIGNED = "AWS4-HMAC-SHA256 Credential=key/20260101/us-east-1/s3/aws4_request"
_RUNNING = b" * Running on "


@dataclass
class S3Store:
    """url: where it answers."""

    url: str

    @property
    def variables(self) -> dict[str, str]:
        """What a job's environment says to reach it."""
        return {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": self.url,
        }

    def put(self, bucket: str, name: str = "", data: bytes = b"") -> None:
        """Make an object, or with no name the bucket."""
        self._ask("PUT", f"/{bucket}/{name}".rstrip("/"), data)

    def get(self, bucket: str, name: str) -> bytes:
        """Return an object's bytes."""
        return self._ask("GET", f"/{bucket}/{name}").content

    def names(self, bucket: str) -> list[str]:
        """Return the names of all objects."""
        text = self._ask("GET", f"/{bucket}").text
        return sorted(part.split("</Key>")[0] for part in text.split("<Key>")[1:])

    def drop(self, bucket: str) -> None:
        """Delete a bucket and all in it."""
        for name in self.names(bucket):
            self._ask("DELETE", f"/{bucket}/{name}")
        self._ask("DELETE", f"/{bucket}")

    def _ask(self, method: str, path: str, data: bytes = b"") -> httpx2.Response:
        reply = httpx2.request(
            method, self.url + path, content=data, headers={"Authorization": _SIGNED}, timeout=60
        )
        assert reply.status_code < 300, (method, path, reply.text)
        return reply


@contextmanager
def s3_store() -> Iterator[S3Store]:
    """Start a store; skip the test where jobs cannot mount one."""
    if shutil.which("s3fs") is None or not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("s3fs or /dev/fuse is missing (run scripts/system-packages)")
    if os.geteuid() != 0:
        pytest.skip("overlays need root")
    with s3_server() as store:
        yield store


@contextmanager
def s3_server() -> Iterator[S3Store]:
    """Start a store for clients that mount nothing."""
    if importlib.util.find_spec("moto") is None:
        pytest.skip("moto is not installed")
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        assert server.stderr is not None
        line = next(line for line in server.stderr if _RUNNING in line)
        # It tells of every request, and must not find nobody reading.
        reader = threading.Thread(target=server.stderr.read)
        reader.start()
        yield S3Store(line.split(_RUNNING)[1].strip().decode())
    finally:
        server.kill()
        reader.join()
        server.communicate()
