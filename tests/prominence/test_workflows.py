"""Workflows as the clients submit, watch, end and repeat them."""

import time
from typing import Any

from tests.e2e.harness import LIMIT, LOOK
from tests.prominence.talk import TERMINAL, Prominence, description

Json = Any
SWEEP = {
    "name": "frames",
    "type": "parameterSweep",
    "jobs": ["frame"],
    "parameters": [{"name": "frame", "start": 1, "end": 3, "step": 1}],
}
PROGRESS = ("total", "done", "failed", "queued", "waiting")


def workflow(*jobs: Json, **more: Json) -> dict[str, Json]:
    return {"name": "flow", "jobs": list(jobs), **more}


def job(name: str, command: str = "true", **more: Json) -> dict[str, Json]:
    return {**description(command, **more), "name": name}


def submit(talk: Prominence, flow: Json) -> int:
    reply = talk.ask("POST", "/workflows", json=flow)
    assert reply.status_code == 201, reply.text
    assert list(reply.json()) == ["id"]
    number: int = reply.json()["id"]
    return number


def one(talk: Prominence, number: int) -> Json:
    (found,) = talk.get(f"/workflows/{number}")
    return found


def wait(talk: Prominence, number: int) -> Json:
    deadline = time.monotonic() + LIMIT
    while (found := one(talk, number))["status"] not in TERMINAL:
        progress = found["progress"]
        assert progress["total"] == sum(progress[word] for word in PROGRESS[1:])
        assert time.monotonic() < deadline, found
        time.sleep(LOOK)
    return found


def progress(found: Json) -> tuple[int, ...]:
    return tuple(found["progress"][word] for word in PROGRESS)


def test_a_sweep_into_a_reducer(user: Prominence) -> None:
    reducer = job("reduce", "sh -c 'echo reduced in $PROMINENCE_WORKFLOW_ID'")
    frame = job("frame", "echo frame ${frame} of $other")
    frame["tasks"].append({**frame["tasks"][0], "cmd": "sh -c 'env | grep PARAMETER'"})
    flow = workflow(
        frame, reducer, factories=[SWEEP], dependencies={"frame": ["reduce"]}, labels={"app": "x"}
    )
    number = submit(user, flow)
    found = wait(user, number)
    assert found["status"] == "completed"
    assert progress(found) == (4, 4, 0, 0, 0)
    assert set(found["events"]) == {"createTime", "startTime", "endTime"}
    assert {key: found[key] for key in ("name", "labels", "dependencies", "factories")} == {
        key: flow[key] for key in ("name", "labels", "dependencies", "factories")
    }
    assert [each["name"] for each in found["jobs"]] == ["frame", "reduce"]
    said = user.ask("GET", f"/workflows/{number}/frame/1/stdout").text
    assert said == "frame 2 of $other\nPROMINENCE_PARAMETER_frame=2\n"
    assert user.ask("GET", f"/workflows/{number}/frame/stdout").text.startswith("frame 1 ")
    assert user.ask("GET", f"/workflows/{number}/reduce/stdout").text == f"reduced in {number}\n"
    assert user.ask("GET", f"/workflows/{number}/0/1/stderr?node=frame").text == ""
    jobs = user.jobs(id=number, workflow="true", all="")
    assert sorted((each["name"], str(each.get("parameters"))) for each in jobs) == [
        ("flow/frame/0", "{'frame': 1}"),
        ("flow/frame/1", "{'frame': 2}"),
        ("flow/frame/2", "{'frame': 3}"),
        ("flow/reduce", "None"),
    ]
    assert jobs[0]["tasks"] == frame["tasks"]
    assert {each["id"] for each in jobs}.isdisjoint({number})
    assert user.jobs(name="frame", all="") == [each for each in jobs if "frame" in each["name"]]
    for path in (f"/workflows/{number}/frame/9/stdout", f"/workflows/{number}/nobody/stdout"):
        assert user.refused("GET", path) == "stdout does not exist"
    assert user.refused("GET", f"/workflows/{number}/frame/stdout?node=4") == (
        "stdout does not exist"
    )


def test_what_failed_is_run_again_alone(user: Prominence, tmp_path: object) -> None:
    flow = workflow(
        job("good"),
        job("bad", "false"),
        job("child"),
        job("grandchild"),
        dependencies={"good": ["child"], "bad": ["child"], "child": ["grandchild"]},
    )
    number = submit(user, flow)
    found = wait(user, number)
    assert (found["status"], found["statusReason"]) == ("failed", "")
    assert progress(found) == (4, 1, 1, 0, 2)
    jobs = user.jobs(id=number, workflow="true", all="")
    assert [(each["name"], each["status"]) for each in jobs] == [
        ("flow/good", "completed"),
        ("flow/bad", "completed"),
    ]
    reply = user.ask("PUT", f"/workflows/{number}")
    assert reply.status_code == 200
    again = reply.json()["id"]
    assert again > number
    ended = wait(user, again)
    assert progress(ended) == (4, 1, 1, 0, 2)
    assert [each["name"] for each in user.jobs(id=again, workflow="true", all="")] == ["flow/bad"]
    assert user.ask("GET", f"/workflows/{again}/good/stdout").status_code == 200
    text = "Unable to find re-run workflow as the original workflow is not in a suitable state"
    done = submit(user, workflow(job("only")))
    wait(user, done)
    assert user.refused("PUT", f"/workflows/{done}") == text
    assert user.refused("PUT", "/workflows/999999") == text
    clone = user.ask("PUT", f"/workflows/{number}/clone")
    assert clone.status_code == 201
    assert progress(wait(user, clone.json()["id"])) == (4, 1, 1, 0, 2)


def test_retries_make_new_jobs(user: Prominence) -> None:
    flow = workflow(job("bad", "false"), policies={"maximumRetries": 2, "maximumReruns": 1})
    number = submit(user, flow)
    assert progress(wait(user, number)) == (1, 0, 1, 0, 0)
    tries = user.ids(id=number, workflow="true", all="")
    assert len(tries) == len(set(tries)) == 6  # three tries, and three more after the rerun


def test_a_failure_that_counts_as_success(user: Prominence) -> None:
    lenient = job("bad", "false", policies={"reportJobSuccessOnTaskFailure": True})
    number = submit(user, workflow(lenient, job("child"), dependencies={"bad": ["child"]}))
    assert wait(user, number)["status"] == "completed"


def test_deleting_ends_everything(idle: Prominence) -> None:
    flow = workflow(job("a"), job("b"), dependencies={"a": ["b"]})
    number, other = submit(idle, flow), submit(idle, flow)
    assert progress(one(idle, number)) == (2, 0, 0, 1, 1)
    assert idle.ask("DELETE", f"/workflows/{number}").json() == {}
    found = one(idle, number)
    assert (found["status"], found["statusReason"]) == ("deleted", "Workflow deleted by user")
    reasons = {each["statusReason"] for each in idle.jobs(id=number, workflow="true", all="")}
    assert reasons == {"Job part of a workflow which was deleted by user"}
    assert idle.refused("DELETE", f"/workflows/{number}") == "No such workflow(s)"
    assert idle.ask("DELETE", f"/workflows?id={number},{other},77").json() == {}
    assert idle.refused("DELETE", "/workflows?id=77") == "No such workflow(s)"
    assert idle.refused("DELETE", "/workflows") == (
        "a workflow id or list of workflow ids must be provided"
    )


def test_lists(idle: Prominence) -> None:
    plain = submit(idle, workflow(job("a"), name="first", labels={"app": "x", "run": "1"}))
    kept = submit(idle, workflow(job("a"), policies={"leaveInQueue": True}, labels={"app": "x"}))
    ended = submit(idle, workflow(job("a")))
    later = submit(idle, workflow(job("a")))

    def ids(**query: Json) -> list[int]:
        return [found["id"] for found in idle.get("/workflows", **query)]

    idle.ask("DELETE", f"/workflows?id={kept},{ended}")
    idle.ask("DELETE", f"/workflows?id={later}")
    assert ids(num="1") == [plain, kept]
    assert ids(completed="true") == [later]
    assert set(ids(completed="true", num="2")) == {later, max(kept, ended)}
    assert len(ids(completed="true", num="-1")) == 3
    assert ids(all="") == [plain, kept, ended, later]
    assert ids(status="idle") == ids(status="pending") == [plain]
    assert ids(status="running") == []
    assert ids(id=f"{ended},{plain}") == [plain, ended]
    assert ids(name="first") == [plain]
    assert ids(constraint="app=x") == [plain, kept]
    assert ids(constraint=["app=x", "run=1"]) == [plain]
    assert idle.refused("GET", "/workflows?constraint=x") == "Invalid constraint"
    assert idle.refused("GET", "/workflows?status=ended") == "invalid status specified"
    idle.refused("GET", "/workflows?completed=true&num=x")
    short = idle.get("/workflows", id=plain)[0]
    assert set(short) == {"id", "name", "status", "events", "progress"}
    assert "jobs" in idle.get("/workflows", id=plain, detail="true")[0]
    assert idle.ask("PUT", f"/workflows/{kept}/remove").json() == {}
    assert ids() == [plain]
    assert idle.refused("PUT", f"/workflows/{kept}/remove") == "Workflow is no longer in the queue"
    assert idle.ask("PUT", f"/workflows/{plain}/remove").json() == {}


def test_nobody_sees_anothers(idle: Prominence) -> None:
    number = submit(idle, workflow(job("a")))
    other = idle.other("somebody-else")
    assert other.get(f"/workflows/{number}") == []
    assert other.get("/workflows", all="", id=number) == []
    assert other.get("/jobs", workflow="true", id=number, all="") == []
    assert other.refused("DELETE", f"/workflows/{number}") == "No such workflow(s)"
    for method, path in (("PUT", "clone"), ("PUT", "remove"), ("GET", "a/stdout")):
        text = other.refused(method, f"/workflows/{number}/{path}", 403)
        assert text == "Not authorized to access this workflow"
        assert idle.refused(method, f"/workflows/88888888/{path}") == "Workflow does not exist"
    assert one(idle, number)["status"] == "pending"


def test_secrets_stay_hidden(idle: Prominence) -> None:
    secret = job("a")
    secret["tasks"][0]["imagePullCredential"] = {"username": "u", "token": "very-secret"}
    number = submit(idle, workflow(secret))
    task = one(idle, number)["jobs"][0]["tasks"][0]
    assert task["imagePullCredential"] == {"username": "***", "token": "***"}
    clone = idle.ask("PUT", f"/workflows/{number}/clone").json()["id"]
    assert "very-secret" not in str(idle.get("/workflows", all="", detail=""))
    assert one(idle, clone)["progress"]["total"] == 1


def test_placement_is_copied_to_every_job(idle: Prominence) -> None:
    place = {"requirements": {"sites": ["moon"]}}
    own = job("own", policies={"placement": {"requirements": {"sites": ["mars"]}}})
    number = submit(idle, workflow(job("a"), own, policies={"placement": place}))
    found = {each["name"]: each for each in idle.jobs(id=number, workflow="true", detail="")}
    assert found["flow/a"]["policies"]["placement"] == place
    assert found["flow/own"]["policies"]["placement"]["requirements"] == {"sites": ["mars"]}


def test_the_older_form_of_a_factory(idle: Prominence) -> None:
    sets = [{"name": "x", "start": 0.1, "end": 0.3, "step": 0.1}]
    flow = workflow(job("a"), factory={"type": "parametricSweep", "parameterSets": sets})
    number = submit(idle, flow)
    jobs = idle.jobs(id=number, workflow="true")
    assert [each["parameters"] for each in jobs] == [{"x": 0.1}, {"x": 0.2}, {"x": 0.3}]
    pairs = [{"name": "n", "values": ["a", 2]}, {"name": "m", "values": [1.5, 3]}]
    flow = workflow(job("a"), job("b"), factory={"type": "zip", "parameters": pairs})
    found = idle.jobs(id=submit(idle, flow), workflow="true")
    assert [each["parameters"] for each in found[:2]] == [{"n": "a", "m": 1.5}, {"n": 2, "m": 3}]
    assert len(found) == 4


def test_a_job_of_several_factories_belongs_to_the_last(idle: Prominence) -> None:
    repeat = {"name": "again", "type": "repeat", "jobs": ["frame"], "num": 2}
    number = submit(idle, workflow(job("frame"), factories=[SWEEP, repeat]))
    jobs = idle.jobs(id=number, workflow="true")
    assert [each["parameters"] for each in jobs] == [{}, {}]
