"""Paths, methods, statuses and envelopes."""

import pytest

from tests.job_runner.conftest import Place
from tests.job_runner.talk import Caller

METHODS = {
    "group": ("GET", "GET"),
    "project": ("GET", "GET"),
    "worker_pool": ("GET", "GET"),
    "worker": ("GET", "GET,PATCH"),
    "job_template": ("GET", "GET"),
    "job": ("GET,POST", "GET,PUT,PATCH"),
    "run": ("GET,POST", "GET,PATCH"),
    "kill_request": ("GET,POST", "GET,PATCH"),
    "run_log": ("GET,POST", "GET,PATCH"),
}
EVERY = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE")


def test_the_root_needs_no_credentials(place: Place) -> None:
    root = place.stranger.get("/api/v1/")
    assert root.keys() == METHODS.keys()
    assert root["run"] == {"list_endpoint": "/api/v1/run/", "schema": "/api/v1/run/schema/"}
    assert list(root) == sorted(root)
    assert place.stranger.status("POST", "/api/v1/", {}) == 405


MOUNTED = "/job-runner/api/v1/"
"""Where requests without credentials come in: ``/api/v1/job/`` then is another interface's."""


@pytest.mark.parametrize("resource", METHODS)
def test_methods_are_checked_before_credentials(place: Place, resource: str) -> None:
    listing, single = METHODS[resource]
    for target, allowed in (
        (f"{MOUNTED}{resource}/", listing),
        (f"{MOUNTED}{resource}/1/", single),
        (f"{MOUNTED}{resource}/schema/", "GET"),
        (f"{MOUNTED}{resource}/set/1;2/", "GET"),
    ):
        options = place.stranger.send("OPTIONS", target)
        assert (options.status_code, options.text) == (200, allowed)
        assert options.headers["allow"] == allowed
        for method in EVERY:
            reply = place.stranger.send(method, target)
            if method in allowed.split(","):
                assert reply.status_code == 401, (method, target)
                continue
            assert (reply.status_code, reply.headers["allow"]) == (405, allowed), (method, target)
            assert reply.text == ("" if method == "HEAD" else allowed)


@pytest.mark.parametrize(
    "path", ["/api/v1", "/api/v1/run", "/api/v1/run/1", "/api/v1/run/schema", "/accounts/login"]
)
def test_a_missing_slash_is_added(place: Place, path: str) -> None:
    reply = place.stranger.send("GET", path + "?a=b%20c")
    assert reply.status_code == 301
    assert reply.headers["location"] == path + "/?a=b%20c"
    assert place.stranger.status("POST", path, {}) == 404
    assert place.stranger.send("GET", "/job-runner" + path).headers["location"] == (
        "/job-runner" + path + "/"
    )


@pytest.mark.parametrize(
    "path",
    ["/api/v1/nothing/", "/api/v1/nothing", "/api/v1/job/1/2/", "/api/v1/job//", "/api/v1//",
     "/api/v1/job/set//", "/api/vi/job/1/", "/accounts/", "/accounts/else/", "/job-runner",
     "/job-runner/", "/job-runner/job-runner/api/v1/"],
)  # fmt: skip
def test_other_paths_lead_nowhere(place: Place, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        assert place.w1.status(method, path) == 404


@pytest.mark.parametrize("number", ["abc", "0", "-1", "1.0", "9" * 30, "1e3", "%31%00", "\uff11"])
def test_ids_that_are_no_ids(place: Place, number: str) -> None:
    assert place.stranger.status("GET", "run/abc/") == 401
    reply = place.w1.client.get(f"/api/v1/run/{number}/")
    assert reply.status_code == 401
    if number.isascii():
        assert place.w1.status("GET", f"run/{number}/") == 404


def test_sets(place: Place) -> None:
    jobs = place.w1.objects("job/")
    a, b = (one["id"] for one in jobs[:2])
    assert place.w1.get(f"job/set/{b};{a}/")["objects"] == [jobs[1], jobs[0]]
    document = place.w1.get(f"job/set/{a};987654;abc/")
    assert document == {"not_found": ["987654", "abc"], "objects": [jobs[0]]}
    theirs = place.w4.objects("job/")[0]["id"]
    assert place.w1.status("GET", f"job/set/{a};{theirs}/") == 401
    many = ";".join(str(number) for number in range(1, 1002))
    assert place.w1.refused("GET", f"job/set/{many}/").startswith("set: ")


def test_pages(place: Place) -> None:
    document = place.w1.get("job/?limit=1&offset=1")
    assert document["meta"] == {
        "limit": 1, "next": "/api/v1/job/?limit=1&offset=2", "offset": 1,
        "previous": "/api/v1/job/?limit=1&offset=0", "total_count": 3,
    }  # fmt: skip
    titles, target = [], "job/?limit=2"
    while target:
        page = place.w1.get(target)
        titles += [one["title"] for one in page["objects"]]
        target = page["meta"]["next"]
    assert titles == ["child", "elsewhere", "first"]
    assert place.w1.get("job/")["meta"]["limit"] == 200
    assert place.w1.get("job/?limit=0")["meta"]["limit"] == 1000
    past = place.w1.get("job/?offset=9223372036854775807")
    assert past["objects"] == []
    for bad in ("limit=-1", "limit=x", "offset=-1", "offset=", "order_by=title"):
        assert place.w1.refused("GET", f"job/?{bad}").startswith(bad.split("=")[0])


def test_json_whatever_is_accepted(place: Place) -> None:
    for accept in ("text/html", "application/xml", "*/*", "text/yaml"):
        reply = place.w1.send("GET", "project/?format=json", Accept=accept)
        assert reply.headers["content-type"] == "application/json"
        assert reply.status_code == 200
        assert list(reply.json()["objects"][0]) == sorted(reply.json()["objects"][0])


def test_orders(place: Place) -> None:
    assert [one["title"] for one in place.person("ann").objects("worker/")] == [
        "lame", "w1", "w2", "w3",
    ]  # fmt: skip
    assert [one["title"] for one in place.w1.objects("job_template/")] == ["bash", "html"]


def test_filters_by_project(place: Place) -> None:
    ann = place.person("ann")
    etl = ann.titled("project", "etl")["id"]
    theirs = place.w4.titled("project", "foreign")["id"]
    for resource, count in (("worker_pool", 2), ("worker", 4), ("job_template", 2), ("job", 3)):
        assert len(ann.objects(f"{resource}/?project_id={etl}")) == count
        assert ann.objects(f"{resource}/?project_id={theirs}") == []
        assert ann.refused("GET", f"{resource}/?project_id=x").startswith("project_id")
    assert len(ann.objects(f"project/?project_id={theirs}")) == 1
    assert ann.objects(f"run/?project_id={theirs}") == []


def test_relations_filter_by_id_and_uri(place: Place) -> None:
    template = place.w1.titled("job_template", "bash")
    for value in (template["id"], template["resource_uri"]):
        assert len(place.w1.objects(f"job/?job_template={value}")) == 3
    assert len(place.w1.objects("job/?job_template__title=bash&job_template__project=1")) == 3
    assert place.w1.objects("job/?job_template__project__title=foreign") == []


def test_the_mount(place: Place) -> None:
    mounted = place.worker("blue-heron", place.w1.secret, mount="/job-runner")
    document = mounted.get("job/?limit=1")
    assert document["meta"]["next"] == "/job-runner/api/v1/job/?limit=1&offset=1"
    job = document["objects"][0]
    assert job["resource_uri"].startswith("/job-runner/api/v1/job/")
    assert mounted.get(job["resource_uri"]) == job
    run = mounted.post("run", {"job": job["resource_uri"], "schedule_dts": "2026-01-02"})
    assert mounted.get(run)["schedule_dts"] == "2026-01-02T00:00:00"


def test_method_override(place: Place) -> None:
    uri = place.w1.myself["resource_uri"]
    body = b'{"worker_version": "x"}'
    signed = place.w1.headers("PATCH", uri, body)
    override = {"X_HTTP_Method_Override": "PATCH"}
    caller: Caller = place.stranger
    assert caller.status("POST", uri, body, **signed, **override) == 202
    assert place.w1.myself["worker_version"] == "x"
    as_post = place.w1.headers("POST", uri, body)
    assert caller.status("POST", uri, body, **as_post, **override) == 401
    assert caller.status("POST", uri, body, X_HTTP_Method_Override="DELETE") == 405
    assert caller.status("POST", uri, body, **signed) == 405


def test_schemas_need_credentials(place: Place) -> None:
    assert place.stranger.status("GET", f"{MOUNTED}job/schema/") == 401
    assert place.stranger.status("GET", "run/schema/") == 401
    assert place.person("eve").get("job/schema/")["default_limit"] == 200
