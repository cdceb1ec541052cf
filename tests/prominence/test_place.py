"""``/accounting``, ``/resources``, ``/health``, ``/token``, ``/ts``: the place itself."""

import os
from datetime import UTC, datetime, timedelta

import httpx2

from tests.e2e.harness import LIMIT
from tests.prominence.talk import Json, Prominence, description


def today(days: int = 0) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).date().isoformat()


def usage(user: Prominence, **query: str) -> Json:
    """Return users and groups, of yesterday to tomorrow unless told."""
    reply = user.get("/accounting", **{"start": today(-1), "end": today(1), **query})
    assert reply == user.get("/usage", **{"start": today(-1), "end": today(1), **query})
    assert list(reply) == ["usage"]
    assert list(reply["usage"]) == ["users", "groups"]
    return reply["usage"]


def test_dates_are_needed_and_checked(idle: Prominence) -> None:
    assert idle.refused("GET", "/accounting") == "Start date must be provided"
    refusal = idle.refused("GET", "/accounting", params={"start": "2026-01-01"})
    assert refusal == "End date must be provided"
    for wrong in ("x", "2026-13-01", "20260101", "2026-W01-1", "2026-1-1", "9" * 400):
        refusal = idle.refused("GET", "/accounting", params={"start": wrong, "end": "2026-01-01"})
        assert refusal == "Unable to retrieve usage data"
    assert usage(idle) == {"users": {}, "groups": {}}
    assert usage(idle, start="0001-01-01", end="9999-12-31") == {"users": {}, "groups": {}}


def test_usage_counts_what_ran(user: Prominence) -> None:
    ann, ben = user.other("acc-ann", groups=["acc", "rest"]), user.other("acc-ben", groups=["acc"])
    far = user.other("acc-cleo", groups=["acc2"])
    for who in (ann, ben, ben):
        who.wait(who.run("sleep 0.3"), "completed")
    waiting = ann.submit(description("true", resources={"cpus": 10_000, "memory": 1},
                                     policies={"maximumTimeInQueue": -1}))  # fmt: skip
    ann.ask("DELETE", f"/jobs/{waiting}")
    mine = usage(ann)["users"]
    assert list(mine) == ["acc-ann"]
    assert mine["acc-ann"]["numberOfJobs"] == 1
    assert 0.3 / 3600 <= mine["acc-ann"]["wallTime"] < LIMIT / 3600
    assert 0 <= mine["acc-ann"]["cpuTime"] <= mine["acc-ann"]["wallTime"] + 1 / 3600
    everybody = usage(ann, show_all_users="true")["users"]
    assert {name: each["numberOfJobs"] for name, each in everybody.items()} == {
        "acc-ann": 1,
        "acc-ben": 2,
    }
    groups = usage(ann, by_group="true", show_all_users="true")
    assert groups["users"] == {}
    assert {name: each["numberOfJobs"] for name, each in groups["groups"].items()} == {"acc": 3}
    own = usage(ann, by_group="true")["groups"]
    assert own["acc"]["numberOfJobs"] == 1
    assert usage(far, show_all_users="true") == {"users": {}, "groups": {}}
    assert usage(ann, start=today(1), end=today(2)) == {"users": {}, "groups": {}}


def test_resources_are_those_of_the_workers(user: Prominence, idle: Prominence) -> None:
    (worker,) = user.get("/resources")["existing"]
    assert worker["capacity"]["cpus"] == os.cpu_count()
    assert 0 <= worker["free"]["cpus"] <= worker["capacity"]["cpus"]
    assert isinstance(worker["capacity"]["memory"], int)
    assert worker["site"]
    assert idle.get("/resources") == {"existing": []}


def test_health_asks_nobody_who_they_are(idle: Prominence) -> None:
    for root in ("/api/v1", "/prominence/v1", "/prominence/api/v1"):
        reply = httpx2.get(f"{idle.server.url_http}{root}/health", timeout=LIMIT, trust_env=False)
        assert (reply.status_code, reply.content) == (204, b"")


def test_what_is_not_offered_says_so(idle: Prominence) -> None:
    for method, path in (("GET", "/ts/1"), ("POST", "/ts"), ("POST", "/token")):
        assert idle.refused(method, path, 401) == "Functionality disabled"
    reply = httpx2.post(f"{idle.root}/token", timeout=LIMIT, trust_env=False)
    assert (reply.status_code, reply.json()) == (401, {"error": "Authentication failure"})
