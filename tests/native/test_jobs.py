"""Jobs over the native interface, as people use it."""

from typing import Any

from tests.native.place import Agent, Place, error_of


def test_a_job_is_submitted_and_looked_at(place: Place) -> None:
    user = place.user("ann")
    group = place.name("group")
    spec = {"command": "echo hi", "name": "greet", "group": group, "labels": {"a": "b"}}

    reply = user.post("/v1/jobs", json=spec)

    assert reply.status_code == 201
    view = reply.json()
    assert (view["state"], view["command"], view["labels"]) == ("ready", "echo hi", {"a": "b"})
    assert (view["dialect"], view["exit_code"], view["retries_left"]) == ("native", None, 0)
    assert view["created_at"].endswith("Z")
    detail = user.get(f"/v1/jobs/{view['id']}").json()
    assert detail["spec"] == {"command": "echo hi", "name": "greet", "group": group,
                              "labels": {"a": "b"}}  # fmt: skip
    assert detail["history"] == []
    assert detail["why"]
    assert {name: detail[name] for name in view} == view


def test_many_jobs_come_back_in_the_order_of_the_request(place: Place) -> None:
    user = place.user()
    reply = user.post("/v1/jobs", json=[{"command": f"echo {n}"} for n in range(700)])
    assert reply.status_code == 201
    ids = reply.json()["ids"]
    assert reply.json()["added"] == len(ids) == 700
    assert ids == sorted(set(ids))
    assert user.get(f"/v1/jobs/{ids[41]}").json()["command"] == "echo 41"


def test_no_job_at_all_is_no_error(place: Place) -> None:
    reply = place.user().post("/v1/jobs", json=[])
    assert (reply.status_code, reply.json()) == (201, {"ids": [], "added": 0})


def test_a_batch_is_added_whole_or_not_at_all(place: Place) -> None:
    before = place.total()
    jobs = [{"command": "true"}, {"command": "true"}, {"command": " "}]
    error = error_of(place.admin.post("/v1/jobs", json=jobs))
    assert (error["code"], error["field"]) == ("invalid_input", "[2].command")
    assert place.total() == before


def test_lists_are_filtered_and_paged_both_ways(place: Place) -> None:
    user = place.user()
    group = place.name("group")
    jobs: list[dict[str, Any]] = [
        {"command": f"echo {n}", "group": group, "name": f"n{n % 2}"} for n in range(7)
    ]
    jobs[3]["labels"] = {"site": "x=y", "kind": "z"}
    ids = user.post("/v1/jobs", json=jobs).json()["ids"]

    def page(**params: Any) -> tuple[list[int], str | None]:
        reply = user.get("/v1/jobs", params={"group": group, **params})
        assert reply.status_code == 200, reply.text
        found = reply.json()
        return [job["id"] for job in found["jobs"]], found["next"]

    assert page()[0] == ids[::-1]
    assert page(order="oldest")[0] == ids
    first, cursor = page(limit=3)
    second, cursor = page(limit=3, cursor=cursor)
    third, end = page(limit=3, cursor=cursor)
    assert first + second + third == ids[::-1]
    assert end is None
    assert page(name="n1", order="oldest")[0] == ids[1::2]
    assert page(label=["site=x=y", "kind=z"])[0] == [ids[3]]
    assert page(label=["site=x=y", "kind=other"])[0] == []
    assert page(state="running,ready")[0] == ids[::-1]
    assert page(state=["buried", "lost"])[0] == []
    assert page(dialect="native", limit=1)[0] == ids[-1:]
    assert page(dialect="wr")[0] == []
    assert page(owner="nobody")[0] == []
    assert user.get("/v1/jobs", params={"group": "no such group"}).json()["jobs"] == []


def test_jobs_are_fetched_by_their_ids(place: Place) -> None:
    user, other = place.user(), place.user()
    ids = user.post("/v1/jobs", json=[{"command": "true"}] * 5).json()["ids"]
    foreign = other.post("/v1/jobs", json={"command": "true"}).json()["id"]
    wanted = [ids[0], ids[4], ids[2], foreign, 10**17]

    def page(**params: Any) -> list[int]:
        return [job["id"] for job in user.get("/v1/jobs", params=params).json()["jobs"]]

    assert page(ids=",".join(map(str, wanted))) == [ids[4], ids[2], ids[0]]
    assert page(ids=wanted, order="oldest", limit=2) == [ids[0], ids[2]]
    assert page(ids=wanted, order="oldest", cursor=ids[2]) == [ids[4]]
    assert page(ids=wanted, state="complete") == []


def test_counts_tell_every_state(place: Place) -> None:
    user = place.user()
    group = place.name("group")
    job = user.post("/v1/jobs", json={"command": "true", "group": group}).json()["id"]
    user.post("/v1/jobs", json=[{"command": "true", "group": group, "after": [job]},
                                {"command": "true", "group": group, "delay": 900}])  # fmt: skip
    reply = user.get("/v1/jobs/counts", params={"group": group}).json()
    assert reply["total"] == 3
    assert len(reply["counts"]) == 9
    assert {state for state, n in reply["counts"].items() if n} == {"ready", "waiting", "delayed"}
    assert user.get("/v1/jobs/counts", params={"owner": "somebody"}).json()["total"] == 0


def test_an_idempotency_key_adds_once_and_answers_alike(place: Place) -> None:
    user, other = place.user(), place.user()
    one, many = {"command": "true"}, [{"command": "true"}] * 3
    key, key_of_many = {"Idempotency-Key": "k 1"}, {"Idempotency-Key": "k" * 255}
    first = user.post("/v1/jobs", json=one, headers=key)
    again = user.post("/v1/jobs", json=one, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    batch = user.post("/v1/jobs", json=many, headers=key_of_many)
    batch_again = user.post("/v1/jobs", json=many, headers=key_of_many)
    assert batch_again.status_code == 201
    assert batch_again.json() == {"ids": batch.json()["ids"], "added": 0}
    assert user.get("/v1/jobs/counts").json()["total"] == 4
    assert other.post("/v1/jobs", json=one, headers=key).json()["id"] != first.json()["id"]


def test_an_idempotency_key_that_means_something_else_is_a_conflict(place: Place) -> None:
    user = place.user()
    one, empty = {"command": "true"}, {"Idempotency-Key": "empty"}
    assert user.post("/v1/jobs", json=[], headers=empty).status_code == 201
    assert error_of(user.post("/v1/jobs", json=one, headers=empty))["code"] == "conflict"
    gone = {"Idempotency-Key": "gone"}
    job = user.post("/v1/jobs", json=one, headers=gone).json()["id"]
    user.post(f"/v1/jobs/{job}/cancel")
    assert user.delete(f"/v1/jobs/{job}").status_code == 204
    assert error_of(user.post("/v1/jobs", json=one, headers=gone))["code"] == "conflict"


def test_one_job_is_cancelled_retried_and_forgotten(place: Place) -> None:
    user = place.user()
    job = user.post("/v1/jobs", json={"command": "true"}).json()["id"]
    assert error_of(user.delete(f"/v1/jobs/{job}"))["code"] == "conflict"
    assert error_of(user.post(f"/v1/jobs/{job}/retry"))["code"] == "conflict"
    reply = user.post(f"/v1/jobs/{job}/cancel")
    assert (reply.status_code, reply.json()["state"]) == (200, "cancelled")
    assert reply.json()["ended_at"]
    assert error_of(user.post(f"/v1/jobs/{job}/cancel"))["code"] == "conflict"
    assert user.post(f"/v1/jobs/{job}/retry").json()["state"] == "ready"
    user.post(f"/v1/jobs/{job}/cancel")
    assert user.delete(f"/v1/jobs/{job}").status_code == 204
    for reply in (user.get(f"/v1/jobs/{job}"), user.delete(f"/v1/jobs/{job}"),
                  user.post(f"/v1/jobs/{job}/cancel"), user.get(f"/v1/jobs/{job}/stdout"),
                  user.get(f"/v1/jobs/{job}/wait")):  # fmt: skip
        assert error_of(reply)["code"] == "not_found"


def test_many_jobs_are_changed_by_id_by_group_and_by_state(place: Place) -> None:
    user = place.user()
    group = place.name("group")
    ids = user.post("/v1/jobs", json=[{"command": "true", "group": group}] * 4).json()["ids"]

    def change(verb: str, **choice: object) -> tuple[list[int], list[dict[str, object]]]:
        reply = user.post(f"/v1/jobs/{verb}", json=choice)
        assert reply.status_code == 200, reply.text
        return sorted(reply.json()["changed"]), reply.json()["unchanged"]

    assert change("cancel", ids=[ids[0], ids[0]]) == (ids[:1], [])
    assert change("cancel", group=group) == (ids[1:], [{"id": ids[0], "state": "cancelled"}])
    assert change("retry", states=["cancelled"]) == (ids, [])
    assert change("cancel", group=group, states=["ready", "waiting"]) == (ids, [])
    assert change("retry", group=group, states=["buried"]) == ([], [])
    assert change("retry", ids=[]) == ([], [])


def test_a_job_that_does_not_exist_stops_the_whole_change(place: Place) -> None:
    user, other = place.user(), place.user()
    mine = user.post("/v1/jobs", json={"command": "true"}).json()["id"]
    foreign = other.post("/v1/jobs", json={"command": "true"}).json()["id"]
    for absent in (foreign, 10**18):
        reply = user.post("/v1/jobs/cancel", json={"ids": [mine, absent]})
        assert error_of(reply)["code"] == "not_found"
    assert user.get(f"/v1/jobs/{mine}").json()["state"] == "ready"


def test_a_job_runs_and_says_all_of_it(place: Place) -> None:
    user = place.user()
    pool = place.name("pool")
    agent = Agent(place, pool)
    spec = {"command": "work", "pool": pool, "retry": {"retries": 1, "delay": 0}}
    job = user.post("/v1/jobs", json=spec).json()["id"]
    lease = agent.take()
    assert user.get(f"/v1/jobs/{job}").json()["state"] == "reserved"
    agent.started(lease)
    running = user.get(f"/v1/jobs/{job}").json()
    assert (running["state"], running["agent"], running["pid"]) == ("running", agent.number, 4711)
    assert running["hostname"] == f"{pool}.example"
    agent.finished(lease, 3, b"first", b"oh")
    lease = agent.take()
    agent.started(lease)
    agent.finished(lease, 0, "zweitens: ä".encode(), b"")

    detail = user.get(f"/v1/jobs/{job}").json()

    assert (detail["state"], detail["exit_code"], detail["attempts"]) == ("complete", 0, 2)
    assert (detail["peak_memory"], detail["cpu_seconds"], detail["cwd"]) == (7, 0.5, "/work")
    first, second = detail["history"]
    assert (first["number"], first["exit_code"], first["stdout_size"]) == (1, 3, 5)
    assert second["tasks"] == [{"exit_code": 0, "wall_seconds": 1.0, "cpu_seconds": 0.5,
                                "peak_memory_kb": 7168, "retries": 0}]  # fmt: skip
    output = user.get(f"/v1/jobs/{job}/stdout")
    assert output.headers["content-type"] == "text/plain; charset=utf-8"
    assert output.text == "zweitens: ä"
    assert (output.headers["gristmill-ended"], output.headers["gristmill-next-offset"]) == (
        "true", "12",
    )  # fmt: skip
    assert user.get(f"/v1/jobs/{job}/stdout", params={"attempt": 1}).text == "first"
    assert user.get(f"/v1/jobs/{job}/stderr", params={"attempt": 1}).text == "oh"
    part = user.get(f"/v1/jobs/{job}/stdout", params={"offset": 3, "limit": 4})
    assert (part.text, part.headers["gristmill-ended"]) == ("iten", "false")
    assert user.get(f"/v1/jobs/{job}/stdout", params={"offset": 1 << 40}).text == ""
    missing = user.get(f"/v1/jobs/{job}/stdout", params={"attempt": 3})
    assert error_of(missing)["code"] == "not_found"


def test_what_curl_says_of_its_data_is_taken_for_json(place: Place) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    reply = place.admin.post("/v1/jobs", content=b'{"command":"true"}', headers=headers)
    assert reply.status_code == 201
    reply = place.admin.post("/v1/jobs", content=b"command=true", headers=headers)
    assert (reply.status_code, error_of(reply)["field"]) == (400, "body")
