"""Who may do what, and who sees what, over the native interface."""

import httpx2
import pytest

from gristmill.domain.identity import ADMIN, AGENT, READ, WRITE
from tests.native.place import Agent, Place, Reader, error_of

JOB = {"command": "true"}
READS = (
    "/v1/jobs", "/v1/jobs/counts", "/v1/jobs/1", "/v1/jobs/1/wait?timeout=0", "/v1/jobs/1/stdout",
    "/v1/jobs/1/stderr?follow=true", "/v1/events", "/v1/agents", "/v1/agents/1", "/v1/images",
    "/v1/info", "/metrics",
)  # fmt: skip
WRITES = ("/v1/jobs", "/v1/jobs/1/cancel", "/v1/jobs/1/retry", "/v1/jobs/cancel", "/v1/jobs/retry")
ADMIN_ONLY = (
    ("GET", "/v1/tokens"), ("POST", "/v1/tokens"), ("DELETE", "/v1/tokens/x"),
    ("POST", "/v1/images"), ("DELETE", "/v1/images/x"), ("POST", "/v1/apply"),
    ("GET", "/v1/export"), ("POST", "/v1/agents/1/drain"), ("POST", "/v1/agents/1/resume"),
    ("DELETE", "/v1/agents/1"),
)  # fmt: skip
EVERYTHING = (
    *(("GET", path) for path in READS),
    *(("POST", path) for path in WRITES),
    ("DELETE", "/v1/jobs/1"),
    *ADMIN_ONLY,
)


@pytest.mark.parametrize(
    "credential",
    [
        None, "", "Bearer", "Bearer wrong", "Bearer a.b.c", "Basic YTpi", "ApiKey",
        "ApiKey admin:", "ApiKey admin:wrong", "bearer \xff\xfe", "Bearer " + "x" * 9000,
        "Bearer eyJhbGciOiJub25lIn0.eyJqdGkiOiJ4In0.",
    ],
)  # fmt: skip
def test_without_a_good_credential_everything_is_401(place: Place, credential: str | None) -> None:
    before = place.total()
    headers = {} if credential is None else {b"Authorization": credential.encode("latin-1")}
    for method, path in EVERYTHING:
        reply = place.stranger.request(method, path, headers=headers, content=b"{bad" * 9)
        assert (reply.status_code, path) == (401, path)
        assert error_of(reply)["code"] == "not_authenticated"
        assert reply.headers["www-authenticate"] == "Bearer"
    assert place.total() == before


def test_what_needs_no_credential_needs_none(place: Place) -> None:
    assert place.stranger.get("/healthz").json() == {"status": "ok"}
    assert place.stranger.get("/readyz").json() == {"status": "ready"}
    document = place.stranger.get("/v1/openapi.json")
    assert document.headers["content-type"] == "application/json"
    assert document.json()["openapi"].startswith("3.1")


def test_scopes_are_kept_apart(place: Place) -> None:
    def refused(client: httpx2.Client, method: str, path: str) -> bool:
        reply = client.request(method, path, json=JOB)
        if reply.status_code == 403:
            assert error_of(reply)["code"] == "not_permitted"
        return reply.status_code == 403

    reader, writer, agent = (place.user("u", scope) for scope in (READ, WRITE, AGENT))
    for path in READS:
        assert refused(writer, "GET", path), path
        assert refused(agent, "GET", path), path
    for path in WRITES:
        assert refused(reader, "POST", path), path
        assert refused(agent, "POST", path), path
    ordinary = place.user("u", READ, WRITE, AGENT)
    for method, path in ADMIN_ONLY:
        assert refused(ordinary, method, path), path
    assert writer.post("/v1/jobs", json=JOB).status_code == 201
    assert reader.get("/v1/jobs").status_code == 200
    administrator = place.user("boss", ADMIN)
    assert administrator.get("/v1/tokens").status_code == 200
    assert administrator.post("/v1/jobs", json=JOB).status_code == 201


def test_only_the_scope_agent_opens_the_agents_door(place: Place) -> None:
    assert place.user().post("/agent/lease", content=b"").status_code == 403
    assert place.stranger.post("/agent/lease", content=b"").status_code == 401
    assert place.user("node", AGENT).post("/agent/lease", content=b"").status_code == 400


def test_a_credential_ends_when_it_is_revoked(place: Place) -> None:
    given = place.token(place.name("ann"))
    client = place.client(given["token"])
    assert client.get("/v1/jobs").status_code == 200
    assert given["id"] in place.admin.get("/v1/tokens").text
    assert given["token"] not in place.admin.get("/v1/tokens").text
    assert place.admin.delete(f"/v1/tokens/{given['id']}").status_code == 204
    assert client.get("/v1/jobs").status_code == 401
    assert error_of(place.admin.delete(f"/v1/tokens/{given['id']}"))["code"] == "not_found"


def test_a_credential_ends_when_it_expires(place: Place) -> None:
    name = place.name("ann")
    lasting = place.client(place.token(name)["token"])
    client = place.client(place.token(name, expires="1s")["token"])
    assert client.get("/v1/jobs").status_code == 200
    stream = Reader(client, "/v1/events")
    stream.until("hello")
    while client.get("/v1/jobs/counts").status_code == 200:
        pass
    assert client.get("/v1/jobs").status_code == 401
    lasting.post("/v1/jobs", json=JOB)
    assert "job.ready" not in stream.join()
    other = Reader(client, "/v1/events")
    assert other.join()
    assert other.status == 401


def test_an_api_key_is_a_credential_of_its_user_only(place: Place) -> None:
    user = place.name("ann")
    key = place.token(user, api_key=True, email="ann@example.org")["token"]

    def ask(name: str) -> httpx2.Response:
        return place.stranger.get("/v1/info", headers={"Authorization": f"ApiKey {name}:{key}"})

    assert ask(user).json()["user"] == user
    assert ask("admin").status_code == 401
    assert ask("").status_code == 401


def test_info_tells_users_less_than_administrators(place: Place) -> None:
    mine = place.admin.get("/v1/info").json()
    assert (mine["user"], mine["home"], mine["engine"]) == ("admin", str(place.home), "none")
    reply = place.user("ann").get("/v1/info").json()
    assert reply["home"] is None
    assert reply["scopes"] == [READ, WRITE]
    assert reply["uptime"] > 0


def test_users_see_and_touch_their_own_jobs_only(place: Place) -> None:
    ann, bob = place.user("ann"), place.user("bob")
    group = place.name("shared")
    job = ann.post("/v1/jobs", json={**JOB, "group": group, "name": group, "key": group,
                                     "labels": {"l": group}}).json()  # fmt: skip
    number = job["id"]
    for path in ("", "/wait?timeout=0", "/stdout", "/stderr?follow=true"):
        assert error_of(bob.get(f"/v1/jobs/{number}{path}"))["code"] == "not_found"
    assert error_of(bob.get(f"/v1/events?job={number}"))["code"] == "not_found"
    for act in ("cancel", "retry"):
        assert error_of(bob.post(f"/v1/jobs/{number}/{act}"))["code"] == "not_found"
        assert bob.post(f"/v1/jobs/{act}", json={"ids": [number]}).status_code == 404
        changed = bob.post(f"/v1/jobs/{act}", json={"group": group}).json()
        assert changed == {"changed": [], "unchanged": []}
    assert bob.delete(f"/v1/jobs/{number}").status_code == 404
    filters: tuple[dict[str, str], ...] = (
        {}, {"group": group}, {"name": group}, {"key": group}, {"label": f"l={group}"},
        {"owner": job["owner"]}, {"ids": str(number)}, {"state": "ready"},
    )  # fmt: skip
    for params in filters:
        assert bob.get("/v1/jobs", params=params).json()["jobs"] == [], params
        if not {"name", "key", "label", "ids", "state"} & set(params):
            assert bob.get("/v1/jobs/counts", params=params).json()["total"] == 0
    assert ann.get(f"/v1/jobs/{number}").json()["state"] == "ready"
    owned = place.admin.get("/v1/jobs", params={"owner": job["owner"]}).json()["jobs"]
    assert [view["id"] for view in owned] == [number]


def test_a_key_is_the_users_own(place: Place) -> None:
    ann, bob = place.user("ann"), place.user("bob")
    spec = {**JOB, "key": place.name("key")}
    mine = ann.post("/v1/jobs", json=spec).json()["id"]
    assert ann.post("/v1/jobs", json=spec).json()["id"] == mine
    assert bob.post("/v1/jobs", json=spec).json()["id"] != mine


@pytest.mark.parametrize("field", ["after", "after_any"])
def test_jobs_of_others_cannot_be_waited_for(place: Place, field: str) -> None:
    ann, bob = place.user("ann"), place.user("bob")
    foreign = ann.post("/v1/jobs", json=JOB).json()["id"]
    errors = []
    for job in (foreign, 10**17):
        reply = bob.post("/v1/jobs", json={**JOB, field: [job]})
        assert reply.status_code == 400, reply.text
        errors.append(error_of(reply)["message"].replace(str(job), "N"))
    assert errors[0] == errors[1]


def test_users_hear_of_their_own_jobs_only(place: Place) -> None:
    ann, bob = place.user("ann"), place.user("bob")
    start = place.run(place.house.events.last())
    Agent(place, place.name("node"))
    hers = ann.post("/v1/jobs", json=JOB).json()["id"]
    his = bob.post("/v1/jobs", json=JOB).json()["id"]
    heard = {}
    for name, client in (("bob", bob), ("admin", place.admin)):
        reader = Reader(client, f"/v1/events?after={start}")
        heard[name] = reader.until(f'"jobs":[{his}]')
        reader.leave()
        bob.post("/v1/jobs", json=JOB)
        reader.join()
    assert f'"jobs":[{hers}]' in heard["admin"]
    assert "agent.online" in heard["admin"]
    assert f"[{hers}]" not in heard["bob"]
    assert "agent.online" not in heard["bob"]


def test_metrics_count_what_the_caller_sees(place: Place) -> None:
    user = place.user()
    user.post("/v1/jobs", json=[JOB] * 3)
    reply = user.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'gristmill_jobs{state="ready"} 3.0' in reply.text.splitlines()


def test_agents_are_drained_resumed_and_forgotten(place: Place) -> None:
    name = place.name("node")
    agent = Agent(place, name)
    path = f"/v1/agents/{agent.number}"
    view = place.admin.get(path).json()
    assert (view["name"], view["state"], view["running"]) == (name, "online", 0)
    assert (view["capacity"]["cpus"], view["notes"]) == (4.0, ["no cgroups here"])
    assert view["runtimes"] == ["bubblewrap"]
    seen = [each["id"] for each in place.user().get("/v1/agents").json()["agents"]]
    assert agent.number in seen
    assert place.admin.post(f"{path}/drain").json()["state"] == "draining"
    assert place.admin.post(f"{path}/resume").json()["state"] == "online"
    assert error_of(place.admin.delete(path))["code"] == "conflict"

    place.run(_disconnect(place, agent.number))
    assert place.admin.get(path).json()["state"] in {"offline", "lost"}
    assert place.admin.delete(path).status_code == 204
    assert place.admin.get(path).status_code == 404
    assert error_of(place.admin.delete(path))["code"] == "not_found"
    assert name not in place.admin.get("/v1/agents").text
    for act in ("drain", "resume"):
        assert place.admin.post(f"{path}/{act}").status_code in {404, 409}

    assert place.run(place.house.agents.register(agent.message)).agent == agent.number
    assert place.admin.get(path).json()["state"] == "online"


async def _disconnect(place: Place, agent: int) -> None:
    place.house.registry.remove(agent)
