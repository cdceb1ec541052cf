"""A client of the MLBench interface for tests: plain requests, as curl would send them."""

import time
from collections.abc import Callable
from typing import Any

import httpx2

from tests.e2e.harness import LIMIT, LOOK, RunningServer

OLD = {"Accept": "application/json, text/javascript"}
"""What the clients of the older generation send."""

DATE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"

Object = dict[str, Any]


class Mlbench:
    """Talks to one server without any credentials. root: where the interface is mounted."""

    def __init__(self, server: RunningServer, root: str = "/api") -> None:
        self.server, self.root = server, root
        self.client = httpx2.Client(base_url=server.url_http, timeout=LIMIT)

    @property
    def address(self) -> str:
        """Host and port, as the client library takes them."""
        return self.server.url_http.partition("://")[2]

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send one request; path: below the interface's root."""
        return self.client.request(method, self.root + path, **options)

    def get(self, path: str, **options: Any) -> httpx2.Response:
        """Get something."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx2.Response:
        """Post something."""
        return self.request("POST", path, **options)

    def point(self, **fields: Any) -> Object:
        """Post a point as JSON; return the reply."""
        reply = self.post("/metrics", json={"name": "m", "value": "1", **fields})
        assert reply.status_code == 201, reply.text
        found: Object = reply.json()
        return found

    def series(self, key: object, **query: Any) -> dict[str, list[Object]]:
        """Return the series of a pod, or of a run with ``metric_type="run"``."""
        reply = self.get(f"/metrics/{key}/", params=query)
        assert reply.status_code == 200, reply.text
        found: dict[str, list[Object]] = reply.json()
        return found

    def create(self, **fields: Any) -> Object:
        """Start a run of the later generation with the built-in regression; return the reply."""
        body = {"name": "r", "num_workers": "1", "image_name": "2a", "backend": "MPI"}
        reply = self.post("/runs/", data={**body, **fields})
        assert reply.status_code == 201, reply.text
        found: Object = reply.json()
        return found

    def command(self, command: str, **fields: Any) -> Object:
        """Start a run of a command of ours on every worker; needs ``--container-engine host``."""
        words = {
            "custom_image_name": "any",
            "custom_image_command": command,
            "backend": "custom_backend",
            "custom_backend": "own",
            "run_all_nodes": "True",
        }
        return self.create(**{"image_name": "custom_image", **words, **fields})

    def run(self, number: int, **options: Any) -> Object:
        """Return one run."""
        reply = self.get(f"/runs/{number}/", **options)
        assert reply.status_code == 200, reply.text
        found: Object = reply.json()
        return found

    def wait(self, number: int, good: Callable[[Object], object], limit: float = LIMIT) -> Object:
        """Look until the run is as wanted; return it."""
        deadline = time.monotonic() + limit
        while not good(run := self.run(number)):
            assert time.monotonic() < deadline, run
            time.sleep(LOOK)
        return run

    def wait_for(self, number: int, *states: str, limit: float = LIMIT) -> Object:
        """Look until the run is in one of the states, in any letter case; return it."""
        return self.wait(number, lambda run: run["state"].lower() in states, limit)

    def delete(self, number: int) -> None:
        """Delete a run."""
        reply = self.request("DELETE", f"/runs/{number}")
        assert (reply.status_code, reply.content) == (204, b""), reply.text
