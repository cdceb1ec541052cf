"""A client of the PROMINENCE interface for tests."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import httpx2

from tests.e2e.harness import LIMIT, LOOK, RunningServer

Json = Any
ROOT = "/api/v1"
TERMINAL = ("completed", "failed", "killed", "deleted")
IMAGE = "busybox"
_NUMBERS = itertools.count(1)


def description(command: str | None = None, **more: Json) -> dict[str, Json]:
    """Return a small job. more: further keys, such as ``policies``."""
    task: dict[str, Json] = {"image": IMAGE, "runtime": "singularity"}
    if command is not None:
        task["cmd"] = command
    resources = {"cpus": 1, "memory": 0.1, "disk": 1}
    return {"name": "small", "resources": resources, "tasks": [task], **more}


class Prominence:
    """Talks to one server as one user; a name of its own unless it is told one."""

    def __init__(
        self, server: RunningServer, user: str = "", root: str = ROOT, **wish: Json
    ) -> None:
        self.server, self.user = server, user or f"user{next(_NUMBERS)}"
        self.token = server.client().create_token(self.user, **wish).token
        self.root = f"{server.url_http}{root}"
        self.client = httpx2.Client(
            base_url=self.root,
            headers={"Authorization": f"Bearer {self.token}"},
            timeout=LIMIT,
            trust_env=False,
        )
        self._others: list[Prominence] = []

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        for other in self._others:
            other.close()

    def other(self, user: str = "", **wish: Json) -> "Prominence":
        """Return another user of the same server, or another token of a user."""
        other = Prominence(self.server, user, **wish)
        self._others.append(other)
        return other

    def ask(self, method: str, path: str, **options: Json) -> httpx2.Response:
        """Send one request; whatever it is answered, it is well-formed."""
        reply = self.client.request(method, path, **options)
        assert reply.status_code < 500, (method, path, reply.text)
        if reply.status_code >= 400:
            error_of(reply)
        return reply

    def refused(self, method: str, path: str, status: int = 400, **options: Json) -> str:
        """Send a request that must be refused; return the text."""
        reply = self.ask(method, path, **options)
        assert reply.status_code == status, reply.text
        return error_of(reply)

    def get(self, path: str, **query: Json) -> Json:
        """Return the JSON at a path."""
        reply = self.ask("GET", path, params=query)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def submit(self, job: dict[str, Json]) -> int:
        """Submit a job; return its id."""
        reply = self.ask("POST", "/jobs", json=job)
        assert reply.status_code == 201, reply.text
        assert list(reply.json()) == ["id"]
        number: int = reply.json()["id"]
        return number

    def run(self, command: str | None = None, **more: Json) -> int:
        """Submit a small job."""
        return self.submit(description(command, **more))

    def job(self, number: int) -> Json:
        """Return the description of a job that exists."""
        (found,) = self.get(f"/jobs/{number}")
        return found

    def jobs(self, **query: Json) -> list[Json]:
        """Return a list of jobs."""
        found: list[Json] = self.get("/jobs", **query)
        return found

    def ids(self, **query: Json) -> list[int]:
        """Return the ids in a list of jobs."""
        return [job["id"] for job in self.jobs(**query)]

    def wait(self, number: int, *statuses: str, good: Callable[[Json], object] = bool) -> Json:
        """Return a job once it has one of the statuses; fails when it ends in another."""
        deadline = time.monotonic() + LIMIT
        while (found := self.job(number))["status"] not in statuses or not good(found):
            assert found["status"] not in TERMINAL or found["status"] in statuses, found
            assert time.monotonic() < deadline, found
            time.sleep(LOOK)
        return found

    def output(self, number: int, name: str = "stdout", **query: Json) -> str:
        """Return what a job wrote."""
        reply = self.ask("GET", f"/jobs/{number}/{name}", params=query)
        assert reply.status_code == 200, reply.text
        assert reply.headers["content-type"] == "text/plain; charset=utf-8"
        return reply.text


def error_of(reply: httpx2.Response) -> str:
    """Return the text of an error, which must have the clients' shape."""
    assert reply.headers["content-type"] == "application/json", reply.headers
    assert reply.text.endswith("}\n"), reply.text
    body = reply.json()
    assert list(body) == ["error"], body
    text: str = body["error"]
    assert isinstance(text, str)
    assert text
    assert "Traceback" not in text
    return text
