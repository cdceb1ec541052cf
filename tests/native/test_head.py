"""HEAD: what GET would say, without the body."""

import asyncio

import pytest

from tests.e2e.harness import eventually
from tests.native.place import LIMIT, Agent, Place

PATHS = (
    "/v1/jobs", "/v1/jobs/counts", "/v1/agents", "/v1/openapi.json", "/healthz", "/readyz",
    "/metrics", "/v1/schedules", "/v1/workflows", "/v1/objects",
)  # fmt: skip
VARYING = {"date"}


@pytest.mark.parametrize("path", PATHS)
def test_the_head_is_that_of_get(place: Place, path: str) -> None:
    head, whole = place.admin.head(path), place.admin.get(path)
    assert (head.status_code, head.content) == (200, b"")
    named = {name for name in head.headers if name not in VARYING}
    assert named == {name for name in whole.headers if name not in VARYING}
    assert head.headers["content-type"] == whole.headers["content-type"]
    if path not in ("/metrics", "/healthz"):
        assert int(head.headers["content-length"]) == len(whole.content)


def test_errors_have_a_head_too(place: Place) -> None:
    for client, path, status in (
        (place.admin, "/v1/jobs/987654", 404),
        (place.admin, "/v1/nothing", 404),
        (place.admin, "/v1/jobs?nonsense=1", 400),
        (place.stranger, "/v1/jobs", 401),
        (place.admin, "/v1/jobs/cancel", 405),
    ):
        reply = client.head(path)
        assert (reply.status_code, reply.content) == (status, b""), path
        assert client.get(path).status_code == status
    assert place.admin.head("/v1/jobs/cancel").headers["allow"] == "OPTIONS, POST"
    assert place.admin.put("/v1/jobs").headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_a_head_of_what_never_ends_ends(place: Place) -> None:
    agent = Agent(place, place.name("node"))
    job = place.admin.post("/v1/jobs", json={"command": "true", "pool": agent.message.node})
    number = job.json()["id"]
    agent.started(agent.take())
    before = place.run(tasks())
    for path in (f"/v1/jobs/{number}/stdout?follow=true", "/v1/events"):
        for _ in range(3):
            reply = place.admin.head(path)
            assert (reply.status_code, reply.content) == (200, b"")
            assert "content-length" not in reply.headers
            # The connection goes on with the next request.
            assert place.admin.get("/healthz", timeout=LIMIT).status_code == 200
    eventually(lambda: place.run(tasks()) <= before, what="the streams to end")


async def tasks() -> int:
    """Return how many things the server does at this moment."""
    return len(asyncio.all_tasks())
