"""Workflows over the native interface, as people use them."""

from typing import Any

from tests.native.place import Agent, Place, error_of

SWEEP = {
    "type": "sweep",
    "jobs": ["point"],
    "parameters": [{"name": "n", "start": 1, "end": 3, "step": 1}],
}


def flow(pool: str = "nowhere", **more: Any) -> dict[str, Any]:
    jobs = {
        "point": {"command": "echo $n", "pool": pool},
        "plot": {"command": "plot", "pool": pool},
    }
    return {
        "name": "scan",
        "jobs": jobs,
        "after": {"plot": ["point"]},
        "factories": [SWEEP],
        **more,
    }


def progress(view: dict[str, Any]) -> list[int]:
    return [view["progress"][word] for word in ("total", "done", "failed", "queued", "waiting")]


def test_a_workflow_runs_to_its_end(place: Place) -> None:
    user, agent = place.user(), Agent(place, place.name("node"))
    pool = agent.message.node
    reply = user.post("/v1/workflows", json=flow(pool, labels={"a": "b"}))
    assert reply.status_code == 201
    view = reply.json()
    assert (view["name"], view["state"], view["labels"]) == ("scan", "pending", {"a": "b"})
    assert progress(view) == [4, 0, 0, 3, 1]
    for done in range(4):
        lease = agent.take()
        agent.started(lease)
        agent.finished(lease, 0, b"said\n")
        found = user.get(f"/v1/workflows/{view['id']}").json()
        assert progress(found)[1] == done + 1
    assert found["state"] == "completed"
    assert found["nodes"] == [
        {"name": "point", "after": [], "progress":
         {"total": 3, "done": 3, "failed": 0, "queued": 0, "waiting": 0}},
        {"name": "plot", "after": ["point"], "progress":
         {"total": 1, "done": 1, "failed": 0, "queued": 0, "waiting": 0}},
    ]  # fmt: skip
    assert found["spec"]["factories"][0]["type"] == "sweep"
    jobs = user.get("/v1/jobs", params={"workflow": view["id"], "order": "oldest"}).json()["jobs"]
    assert [(job["node"], job["instance"], job["command"]) for job in jobs] == [
        ("point", 0, "echo 1"),
        ("point", 1, "echo 2"),
        ("point", 2, "echo 3"),
        ("plot", None, "plot"),
    ]
    assert {job["workflow"] for job in jobs} == {view["id"]}
    waited = user.get(f"/v1/workflows/{view['id']}/wait").json()
    assert waited["state"] == "completed"
    conflict = error_of(user.post(f"/v1/workflows/{view['id']}/retry"))
    assert conflict["code"] == "conflict"


def test_the_same_key_adds_one_workflow(place: Place) -> None:
    user = place.user()
    headers = {"Idempotency-Key": place.name("key")}
    first, second = (
        user.post("/v1/workflows", json=flow(), headers=headers).json() for _ in range(2)
    )
    assert first["id"] == second["id"]
    assert len(user.get("/v1/workflows").json()["workflows"]) == 1


def test_cancel_retry_clone_and_forget(place: Place) -> None:
    user = place.user()
    first = user.post("/v1/workflows", json=flow()).json()["id"]
    assert error_of(user.delete(f"/v1/workflows/{first}"))["code"] == "conflict"
    assert error_of(user.post(f"/v1/workflows/{first}/retry"))["code"] == "conflict"
    assert user.post(f"/v1/workflows/{first}/cancel").json()["state"] == "cancelled"
    assert error_of(user.post(f"/v1/workflows/{first}/cancel"))["code"] == "conflict"
    again = user.post(f"/v1/workflows/{first}/retry")
    assert (again.status_code, again.json()["rerun_of"]) == (201, first)
    clone = user.post(f"/v1/workflows/{first}/clone").json()
    assert (clone["rerun_of"], progress(clone)) == (None, [4, 0, 0, 3, 1])
    assert user.delete(f"/v1/workflows/{first}").status_code == 204
    assert user.get(f"/v1/workflows/{first}").status_code == 404
    left = user.get("/v1/workflows", params={"state": "pending", "order": "oldest"}).json()
    assert [view["id"] for view in left["workflows"]] == [again.json()["id"], clone["id"]]


def test_pages_follow_one_another(place: Place) -> None:
    user = place.user()
    ids = [user.post("/v1/workflows", json=flow()).json()["id"] for _ in range(3)]
    page = user.get("/v1/workflows", params={"limit": 2}).json()
    rest = user.get("/v1/workflows", params={"limit": 2, "cursor": page["next"]}).json()
    found = [view["id"] for view in page["workflows"] + rest["workflows"]]
    assert found == sorted(ids, reverse=True)
    assert error_of(user.get("/v1/workflows?cursor=x"))["field"] == "cursor"
    assert error_of(user.get("/v1/workflows?state=x"))["field"] == "state"


def test_nobody_reaches_anothers(place: Place) -> None:
    mine = place.user().post("/v1/workflows", json=flow()).json()["id"]
    other = place.user()
    for method, path in (
        ("GET", ""), ("GET", "/wait"), ("POST", "/cancel"), ("POST", "/retry"), ("POST", "/clone"),
        ("DELETE", ""),
    ):  # fmt: skip
        assert other.request(method, f"/v1/workflows/{mine}{path}").status_code == 404
    assert other.get("/v1/workflows").json()["workflows"] == []
    assert other.get("/v1/jobs", params={"workflow": mine}).json()["jobs"] == []
    assert place.admin.get(f"/v1/workflows/{mine}").status_code == 200


def test_bad_input_names_the_field_and_adds_nothing(place: Place) -> None:
    user, before = place.user(), place.total()
    huge = {**SWEEP, "parameters": [{"name": "n", "start": 0, "end": 10**30, "step": 1}]}
    for body, field in (
        ({}, "jobs"),
        ({"jobs": {}}, "jobs"),
        (flow(after={"plot": ["x"]}), "after.plot"),
        (flow(retries=101), "retries"),
        (flow(factories=[{**SWEEP, "type": "random"}]), "factories[0].type"),
        (flow(factories=[huge]), "factories[0].parameters[0].end"),
        (flow(jobs={"point": {"command": "x", "key": "k"}}, after={}), "jobs.point.key"),
        (flow(unknown=1), "unknown"),
    ):
        reply = user.post("/v1/workflows", json=body)
        assert reply.status_code == 400, body
        assert error_of(reply)["field"].startswith(field), (body, reply.text)
    assert place.total() == before
    assert user.get("/v1/workflows").json()["workflows"] == []
