"""One connection kept open, with nothing on top of it that would cost time of its own."""

import http.client
import ssl
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from gristmill.demo.private_server import PrivateServer

LIMIT = 600.0
"""Seconds that a request, or the jobs waited for, may take."""

POLL = 0.05
"""Seconds between two questions whether a group of jobs is done."""

ENDED_BADLY = ("buried", "cancelled", "lost")


class Door:
    """Requests to one server, over HTTPS unless it is told otherwise."""

    def __init__(self, server: PrivateServer, *, encrypted: bool = True) -> None:
        self._connection = _https(server) if encrypted else _http(server)
        token = (server.home / "client.token").read_text().strip()
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def __enter__(self) -> Self:
        # The handshake is not part of what is measured.
        self.ask("GET", "/v1/info")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Return the body of the reply; anything but success raises RuntimeError."""
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        reply = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path} answered {response.status}: {reply[:500]!r}")
        return reply

    def submit(self, body: bytes) -> Any:
        """Submit what body says, and return the decoded reply."""
        return msgspec.json.decode(self.ask("POST", "/v1/jobs", body))

    def await_group(self, group: str, jobs: int) -> None:
        """Return once so many jobs of the group are complete."""
        deadline = time.monotonic() + LIMIT
        while (counts := self._counts(group))["complete"] < jobs:
            bad = {state: counts[state] for state in ENDED_BADLY if counts[state]}
            if bad or time.monotonic() > deadline:
                raise RuntimeError(f"group {group} will not complete: {counts}")
            time.sleep(POLL)

    def _counts(self, group: str) -> dict[str, int]:
        reply = msgspec.json.decode(self.ask("GET", f"/v1/jobs/counts?group={group}"))
        counts: dict[str, int] = reply["counts"]
        return counts


def _https(server: PrivateServer) -> http.client.HTTPConnection:
    address = urlsplit(server.https)
    trust = ssl.create_default_context(cafile=server.home / "ca.pem")
    assert address.hostname
    return http.client.HTTPSConnection(address.hostname, address.port, timeout=LIMIT, context=trust)


def _http(server: PrivateServer) -> http.client.HTTPConnection:
    address = urlsplit(server.http)
    assert address.hostname
    return http.client.HTTPConnection(address.hostname, address.port, timeout=LIMIT)


def jobs_body(job: bytes, count: int) -> bytes:
    """Return the JSON array that submits a job so many times."""
    return b"[" + b",".join([job] * count) + b"]"
