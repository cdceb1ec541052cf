"""Which objects a caller sees and changes."""

import pytest

from tests.job_runner.conftest import Place
from tests.job_runner.talk import Caller, Json

NOW = "2026-01-02 03:04:05+00:00"
SEEN: dict[str, dict[str, set[str]]] = {
    "w1": {
        "group": {"viewers"}, "project": {"etl"}, "worker_pool": {"outside"}, "worker": {"w1"},
        "job_template": {"bash", "html"}, "job": {"first", "child", "elsewhere"},
    },
    "w3": {
        "group": {"viewers"}, "project": {"etl"}, "worker_pool": {"second"}, "worker": {"w3"},
        "job_template": {"bash", "html"}, "job": {"first", "child", "elsewhere"},
    },
    "w4": {
        "group": {"others"}, "project": {"foreign"}, "worker_pool": {"foreign"},
        "worker": {"w4"}, "job_template": {"bash"}, "job": {"theirs"},
    },
    "ann": {
        "group": {"viewers"}, "project": {"etl"}, "worker_pool": {"outside", "second"},
        "worker": {"w1", "w2", "w3", "lame"}, "job_template": {"bash", "html"},
        "job": {"first", "child", "elsewhere"},
    },
    "bob": {
        "group": {"viewers", "operators"}, "project": {"etl"},
        "worker_pool": {"outside", "second"}, "worker": {"w1", "w2", "w3", "lame"},
        "job_template": {"bash", "html"}, "job": {"first", "child", "elsewhere"},
    },
    "cyd": {
        "group": {"others"}, "project": {"foreign"}, "worker_pool": {"foreign"},
        "worker": {"w4"}, "job_template": {"bash"}, "job": {"theirs"},
    },
    "dan": {
        "group": {"operators"}, "project": set(), "worker_pool": set(), "worker": set(),
        "job_template": set(), "job": set(),
    },
    "eve": {
        "group": set(), "project": set(), "worker_pool": set(), "worker": set(),
        "job_template": set(), "job": set(),
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def callers(place: Place) -> dict[str, Caller]:
    """Everybody by name."""
    people = {name: place.person(name) for name in ("ann", "bob", "cyd", "dan", "eve")}
    return {"w1": place.w1, "w2": place.w2, "w3": place.w3, "w4": place.w4, **people}


@pytest.fixture(scope="module")
def uris(callers: dict[str, Caller]) -> dict[str, str]:
    """URIs of a run, a kill request and a log in each pool, and of everything declared."""
    found: dict[str, str] = {}
    for worker, title in (("w1", "first"), ("w3", "elsewhere"), ("w4", "theirs")):
        caller = callers[worker]
        job = caller.titled("job", title)["resource_uri"]
        run = caller.post("run", {"job": job, "schedule_dts": NOW, "is_manual": True})
        found[f"run of {title}"] = run
        found[f"kill of {title}"] = caller.post("kill_request", {"run": run})
        found[f"log of {title}"] = caller.post("run_log", {"run": run, "content": title})
    for name in ("w1", "w4", "ann"):
        for resource in SEEN[name]:
            for one in callers[name].objects(f"{resource}/"):
                found[f"{resource} {one.get('title') or one['name']}"] = one["resource_uri"]
    return found


@pytest.mark.parametrize("name", SEEN)
def test_lists_hold_what_is_in_scope(name: str, callers: dict[str, Caller]) -> None:
    seen = {
        resource: {one.get("title") or one["name"] for one in callers[name].objects(f"{resource}/")}
        for resource in SEEN[name]
    }
    assert seen == SEEN[name]


RUNS: dict[str, set[str]] = {
    "w1": {"run of first", "run of elsewhere", "kill of first", "log of first"},
    "w2": {"run of first", "run of elsewhere", "kill of first", "log of first"},
    "w3": {"run of first", "run of elsewhere", "kill of elsewhere", "log of elsewhere"},
    "w4": {"run of theirs", "kill of theirs", "log of theirs"},
    "ann": {
        "run of first", "run of elsewhere", "kill of first", "log of first",
        "kill of elsewhere", "log of elsewhere",
    },
    "cyd": {"run of theirs", "kill of theirs", "log of theirs"},
    "dan": set(),
    "eve": set(),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_runs_kill_requests_and_logs(
    name: str, callers: dict[str, Caller], uris: dict[str, str]
) -> None:
    made = {key: uri for key, uri in uris.items() if " of " in key}
    listed = {
        one["resource_uri"]
        for resource in ("run", "kill_request", "run_log")
        for one in callers[name].objects(f"{resource}/?limit=0")
    }
    assert {key for key, uri in made.items() if uri in listed} == RUNS[name]
    for key, uri in made.items():
        status = callers[name].status("GET", uri)
        assert status == (200 if key in RUNS[name] else 401), key


def test_details_out_of_scope_are_401_and_missing_ones_404(
    callers: dict[str, Caller], uris: dict[str, str]
) -> None:
    for resource, titles in SEEN["w4"].items():
        for title in titles - {"bash"}:
            uri = uris[f"{resource} {title}"]
            reply = callers["w1"].send("GET", uri)
            assert (reply.status_code, reply.content) == (401, b"")
            assert "www-authenticate" not in reply.headers
            listing = uri.rsplit("/", 2)[0]
            assert callers["w1"].status("GET", f"{listing}/set/{uri.split('/')[-2]};99/") == 401
    for resource in (*SEEN["w4"], "run", "kill_request", "run_log"):
        assert callers["w1"].status("GET", f"{resource}/987654/") == 404


def test_strangers_see_nothing(place: Place, uris: dict[str, str]) -> None:
    wrong = place.worker("blue-heron", "guessed")
    unknown = place.worker("nobody", "guessed")
    for caller in (place.stranger, wrong, unknown):
        for uri in uris.values():
            # Without a signature, jobs at the shared path are another interface's.
            assert caller.status("GET", f"/job-runner{uri}") == 401
        for target in ("run/", "run/schema/", "run/set/1/", "run/abc/", "run/987654/"):
            assert caller.status("GET", target) == 401
        for resource in ("job", "run", "kill_request", "run_log"):
            assert caller.status("POST", f"/job-runner/api/v1/{resource}/", {"x": 1}) == 401
        assert caller.send("PATCH", uris["run of first"], {"pid": 1}).status_code == 401
    assert place.w1.get(uris["run of first"])["pid"] is None


def test_a_disabled_worker_still_comes_in(place: Place) -> None:
    lame = place.worker("lame-duck", place.w1.secret + "5")
    assert lame.myself["title"] == "lame"


WRITES: list[tuple[str, str, str, Json]] = [
    ("POST", "run", "job", {"schedule_dts": NOW, "is_manual": True}),
    ("POST", "kill_request", "run", {}),
    ("PUT", "job", "", {"description": "new"}),
    ("PATCH", "job", "", {"description": "new"}),
]


@pytest.mark.parametrize(("method", "resource", "relation", "document"), WRITES)
def test_people_write_where_they_operate(
    method: str,
    resource: str,
    relation: str,
    document: Json,
    callers: dict[str, Caller],
    uris: dict[str, str],
) -> None:
    uri = {"job": uris["job first"], "run": uris["run of first"]}
    target = f"{resource}/" if relation else uris["job first"]
    body = {**document, relation: uri[relation]} if relation else document
    expected = {"POST": 201, "PUT": 204, "PATCH": 202}[method]
    assert callers["bob"].status(method, target, body) == expected
    for name in ("ann", "cyd", "dan", "eve"):
        assert callers[name].status(method, target, body) == 401, name
    for token in ("wrong", ""):
        assert callers["bob"].status(method, target, body, X_CSRFToken=token) == 401
    assert callers["bob"].status(method, target, body, Referer="http://evil.example/") == 401
    assert callers["bob"].status(method, target, body, Origin="http://evil.example") == 401


def test_people_write_nothing_else(callers: dict[str, Caller], uris: dict[str, str]) -> None:
    bob = callers["bob"]
    job = bob.titled("job", "first")
    for method, target, document in (
        ("PATCH", uris["run of first"], {"pid": 1}),
        ("PATCH", uris["kill of first"], {"execute_dts": NOW}),
        ("PATCH", uris["log of first"], {"content": "x"}),
        ("PATCH", uris["worker w1"], {"title": "x"}),
        ("POST", "run_log/", {"run": uris["run of elsewhere"], "content": "x"}),
        ("POST", "job/", {**job, "title": "mine"}),
    ):
        assert bob.status(method, target, document) == 401, target
    assert bob.get(uris["run of first"])["pid"] is None


def test_relations_out_of_scope(callers: dict[str, Caller], uris: dict[str, str]) -> None:
    w1 = callers["w1"]
    theirs, nothing = uris["job theirs"], "/api/v1/job/987654/"
    run = {"schedule_dts": NOW, "is_manual": True}
    assert w1.status("POST", "run/", {**run, "job": theirs}) == 401
    assert w1.refused("POST", "run/", {**run, "job": nothing}).startswith("job: ")
    assert w1.status("POST", "kill_request/", {"run": uris["run of theirs"]}) == 401
    assert w1.refused("POST", "kill_request/", {"run": "/api/v1/run/987654/"}).startswith("run: ")
    assert w1.status("POST", "run_log/", {"run": uris["run of theirs"]}) == 401
    assert w1.status("POST", "run_log/", {"run": uris["run of elsewhere"]}) == 401
    job = w1.titled("job", "first")
    template = callers["w4"].titled("job_template", "bash")["resource_uri"]
    for field, uri in (
        ("job_template", template),
        ("parent", theirs),
        ("worker_pool", uris["worker_pool foreign"]),
        ("worker_pool", uris["worker_pool second"]),
    ):
        assert w1.status("PATCH", job["resource_uri"], {field: uri}) == 401, field
    assert w1.status("PATCH", job["resource_uri"], {"children": [theirs]}) == 401
    assert w1.get(job["resource_uri"])["worker_pool"] == job["worker_pool"]


def test_runs_belong_to_the_workers_of_their_pool(
    callers: dict[str, Caller], uris: dict[str, str]
) -> None:
    run = uris["run of elsewhere"]
    w1, w3 = callers["w1"], callers["w3"]
    assert w1.status("PATCH", run, {"enqueue_dts": NOW}) == 401
    assert w1.status("PATCH", run, {"pid": 3}) == 401
    assert w3.status("PATCH", run, {"worker": uris["worker w1"]}) == 401
    w3.patch(run, {"enqueue_dts": NOW, "worker": uris["worker w3"]})
    assert callers["w4"].status("PATCH", run, {"pid": 3}) == 401
    assert w3.get(run)["worker"] == w3.objects("worker/")[0]["resource_uri"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("enqueue_dts", NOW), ("return_dts", NOW), ("return_success", True), ("pid", 3)],
)
def test_new_runs_are_stamped_by_their_workers_only(
    field: str, value: Json, callers: dict[str, Caller], uris: dict[str, str]
) -> None:
    document = {"job": uris["job elsewhere"], "schedule_dts": NOW, "is_manual": True}
    for name in ("w1", "bob"):
        assert callers[name].status("POST", "run/", {**document, field: value}) == 401
        assert callers[name].status("POST", "run/", {**document, field: None}) == 201
