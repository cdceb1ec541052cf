"""A client of the wr interface for tests: bytes in, bytes out, over TLS."""

import ssl
import time
from collections.abc import Callable
from typing import Any

import httpx2

from tests.e2e.harness import LIMIT, LOOK, RunningServer

JOBS = "/rest/v1/jobs/"
QUICK = ("--wr-retry-delay", "0.2s", "--wr-retry-jitter", "0s", "--agent-grace", "0.5s")

Job = dict[str, Any]


class Wr:
    """Talks to one server as its administrator, or with another token."""

    def __init__(self, server: RunningServer, token: str | None = None) -> None:
        self.server, self.cwd = server, str(server.home.parent)
        context = ssl.create_default_context(cafile=server.home / "ca.pem")
        self.client = httpx2.Client(
            base_url=server.url_https,
            verify=context,
            timeout=LIMIT,
            headers={"Authorization": f"Bearer {token or server.token}"},
        )

    def close(self) -> None:
        """Close the connection."""
        self.client.close()

    def jobs(self, *identifiers: str, **query: str) -> list[Job]:
        """Return statuses."""
        reply = self.client.get(JOBS + ",".join(identifiers), params=query)
        assert reply.status_code == 200, reply.text
        found: list[Job] = reply.json()
        return found

    def job(self, identifier: str, **query: str) -> Job:
        """Return the only status there is."""
        (found,) = self.jobs(identifier, **query)
        return found

    def add(self, *jobs: Job, **query: str) -> list[Job]:
        """Add jobs that leave their folders beside the server's home; return their statuses."""
        reply = self.client.post(JOBS, json=jobs, params={"cwd": self.cwd, **query})
        assert reply.status_code == 201, reply.text
        added: list[Job] = reply.json()
        return added

    def end(self, state: str, *identifiers: str, **query: str) -> list[Job]:
        """Cancel jobs; return the statuses of those it was done to."""
        reply = self.client.delete(JOBS + ",".join(identifiers), params={"state": state, **query})
        assert reply.status_code == (200 if state == "deletable" else 202), reply.text
        ended: list[Job] = reply.json()
        return ended

    def wait(self, identifier: str, good: Callable[[list[Job]], object], **query: str) -> list[Job]:
        """Look until the jobs are as wanted."""
        deadline = time.monotonic() + LIMIT
        while not good(found := self.jobs(identifier, **query)):
            assert time.monotonic() < deadline, [
                (job["Cmd"], job["State"], job["FailReason"]) for job in found[:20]
            ]
            time.sleep(LOOK)
        return found

    def wait_for(self, identifier: str, *states: str, **query: str) -> Job:
        """Look until the one job is in one of the states."""
        (job,) = self.wait(
            identifier, lambda found: len(found) == 1 and found[0]["State"] in states, **query
        )
        return job
