"""Rows of the interface's tables that no other test looks at."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.job_runner.conftest import Place
from tests.job_runner.talk import Json
from tests.job_runner.test_runs import a_job, a_run, claim, finish, now, runs_of

PLAIN: dict[str, Any] = {
    "blank": False, "default": "No default provided.", "nullable": False, "readonly": False,
    "unique": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "field", "described"),
    [
        ("run", "id", {"type": "integer", "unique": True, "blank": True, "default": ""}),
        ("run", "job", {"type": "related", "related_type": "to_one"}),
        ("run", "schedule_dts", {"type": "datetime"}),
        ("run", "return_dts", {"type": "datetime", "nullable": True}),
        ("run", "is_manual", {"type": "boolean", "default": False}),
        ("run", "schedule_children", {"type": "boolean", "default": True}),
        ("run", "worker", {"type": "related", "related_type": "to_one", "nullable": True}),
        ("run", "resource_uri", {"type": "string", "readonly": True}),
        ("job", "title", {"type": "string"}),
        ("job", "description", {"type": "string", "blank": True, "default": ""}),
        ("job", "children", {"type": "related", "related_type": "to_many", "nullable": True}),
        ("job", "enqueue_is_enabled", {"type": "boolean", "default": True}),
        ("worker", "api_key", {"type": "string", "unique": True}),
        ("worker", "worker_version", {"type": "string", "nullable": True}),
        ("worker", "concurrent_jobs", {"type": "integer", "nullable": True}),
        ("group", "name", {"type": "string", "unique": True}),
    ],
)
def test_schemas_describe_fields(
    place: Place, resource: str, field: str, described: dict[str, Any]
) -> None:
    found = place.w1.get(f"{resource}/schema/")["fields"][field]
    assert found.pop("help_text")
    assert found == {**PLAIN, **described}


def test_what_schemas_say_of_filters(place: Place) -> None:
    found = {
        resource: place.w1.get(f"{resource}/schema/").get("filtering")
        for resource in (
            "group", "project", "worker_pool", "worker", "job_template", "job", "kill_request",
            "run_log",
        )
    }  # fmt: skip
    assert found == {
        "group": None, "project": {"id": "exact", "title": "exact"},
        "worker_pool": {"title": "exact"}, "worker": {"api_key": 1},
        "job_template": {"project": 2, "title": "exact"},
        "job": {"job_template": 2, "title": "exact"}, "kill_request": None, "run_log": None,
    }  # fmt: skip


def test_a_worker_changes_itself(place: Place) -> None:
    place.server.client().apply(
        "workers: [{name: fickle, pools: [outside], api_key: fickle, secret: s}]"
    )
    worker = place.worker("fickle", "s")
    uri = worker.myself["resource_uri"]
    told = {"title": "steady", "description": "*new*", "enqueue_is_enabled": False}
    worker.patch(uri, told)
    assert {name: worker.myself[name] for name in told} == told
    worker.patch(uri, {"worker_version": "x" * 100, "concurrent_jobs": 0})
    for field, value in (
        ("worker_version", "x" * 101), ("concurrent_jobs", -1), ("title", ""),
        ("ping_response_dts", "soon"), ("enqueue_is_enabled", None),
    ):  # fmt: skip
        assert worker.refused("PATCH", uri, {field: value}).startswith(field), field
    assert worker.refused("PATCH", uri, {"title": "w1"})
    worker.patch(uri, {"worker_version": None, "concurrent_jobs": None})
    assert (worker.myself["worker_version"], worker.myself["concurrent_jobs"]) == (None, None)
    assert worker.myself["title"] == "steady"


def test_a_changed_template_renders_its_jobs_anew(place: Place) -> None:
    text = "templates: [{name: changing, project: etl, body: '%s'}]"
    client = place.server.client()
    client.apply(text % "one {{ content }}")
    template = place.w1.titled("job_template", "changing")["resource_uri"]
    job = a_job(place, job_template=template, script_content_partial="<a>\r\n")
    assert place.w1.get(job)["script_content"] == "one &lt;a&gt;\r\n"
    client.apply(text % "two {{ content|safe }}")
    assert place.w1.get(job)["script_content"] == "two <a>\r\n"


def test_orders_of_lists(place: Place) -> None:
    w1 = place.w1
    html = w1.titled("job_template", "html")["resource_uri"]
    a_job(place, title="a first of html", job_template=html)
    a_job(place, title="z last of bash")
    a_job(place, title="A before a")
    templates = {one["resource_uri"]: one["title"] for one in w1.objects("job_template/")}
    keys = [(templates[one["job_template"]], one["title"]) for one in w1.objects("job/?limit=0")]
    assert keys == sorted(keys)
    assert ("html", "a first of html") in keys
    for resource in ("project", "worker_pool"):
        titles = [one["title"] for one in place.person("ann").objects(f"{resource}/")]
        assert titles == sorted(titles)
    ids = [one["id"] for one in place.person("bob").objects("group/?limit=0") if "id" in one]
    assert ids == []


def test_orders_of_kill_requests_and_logs(place: Place) -> None:
    job = a_job(place)
    returned = [a_run(place, job) for _ in range(2)]
    for run in returned:
        finish(place.w1, run)
    waiting = a_run(place, job, schedule_dts=now(hours=1))
    runs = [*returned, waiting]
    kills = [place.w1.post("kill_request", {"run": run}) for run in reversed(runs)]
    logs = {run: place.w1.post("run_log", {"run": run, "content": run}) for run in runs}
    listed = [one["resource_uri"] for one in place.w1.objects("kill_request/?limit=0")]
    assert [uri for uri in listed if uri in kills] == kills
    listed = [one["resource_uri"] for one in place.w1.objects("run_log/?limit=0")]
    order = [one["resource_uri"] for one in runs_of(place, job)]
    assert [uri for uri in listed if uri in logs.values()] == [logs[run] for run in reversed(order)]


def test_filters_of_runs(place: Place) -> None:
    job = a_job(place)
    number = job.split("/")[-2]
    by_hand = a_run(place, job, schedule_dts="2026-01-04T12:00:00Z")
    late = place.w1.post("run", {"job": job, "schedule_dts": "2999-01-01T12:00:00Z"})
    assert claim(place.w1, by_hand) == 202

    def found(query: str) -> set[str]:
        return {one["resource_uri"] for one in place.w1.objects(f"run/?job={number}&{query}")}

    for query, expected in (
        ("", {by_hand, late}),
        ("is_manual=true", {by_hand}),
        ("is_manual=0", {late}),
        ("is_manual__in=True,False", {by_hand, late}),
        ("schedule_dts__lt=2027-01-01", {by_hand}),
        ("schedule_dts=2026-01-04%2013:00:00", {by_hand}),
        ("schedule_dts__range=2998-01-01,3000-01-01", {late}),
        ("schedule_dts__week_day=1", {by_hand}),
        ("schedule_dts__year=2999", {late}),
        ("schedule_dts__regex=^2[^0]", {late}),
        ("worker__isnull=true", {late}),
        ("worker__isnull=false", {by_hand}),
        ("worker__api_key=blue-heron", {by_hand}),
        ("worker__api_key__iregex=^BLUE", {by_hand}),
        ("worker__api_key__startswith=red", set()),
        ("job__title=nothing", set()),
        ("job__job_template__title=bash&job__job_template__project__title=etl", {by_hand, late}),
        ("job__job_template__project=987654", set()),
        ("state=in_queue&is_manual=1", {by_hand}),
        ("state=scheduled", {late}),
    ):
        assert found(query) == expected, query


def test_filters_of_workers(place: Place) -> None:
    ann = place.person("ann")

    def found(query: str) -> list[str]:
        return [one["title"] for one in ann.objects(f"worker/?{query}")]

    assert found("api_key__regex=^(blue|red)-") == ["w1", "w2"]
    assert found("api_key__iregex=GOOSE$") == ["w3"]
    assert found("api_key__in=red-kite,grey-goose") == ["w2", "w3"]
    assert found("api_key__icontains=HERON") == ["w1"]


def test_times_of_kill_requests_are_the_servers(place: Place) -> None:
    document = {"run": a_run(place), "schedule_dts": "1999-01-01", "id": 7}
    made = place.w1.get(place.w1.post("kill_request", document))
    assert made["schedule_dts"] > "2000"
    assert made["id"] != 7 or made["resource_uri"].endswith("/7/")
    place.w1.patch(made["resource_uri"], {"enqueue_dts": now(), "execute_dts": None})
    assert place.w1.get(made["resource_uri"])["execute_dts"] is None


def test_each_new_time_of_a_return_has_its_effects(place: Place) -> None:
    job = a_job(place)
    child = a_job(place, parent=job)
    run = a_run(place, job)
    finish(place.w1, run)
    again = {"return_dts": now(seconds=1), "return_success": True}
    place.w1.patch(run, again)
    place.w1.patch(run, again)
    assert len(runs_of(place, child)) == 2


def test_a_request_for_a_run_that_waits_is_kept(place: Place) -> None:
    run = a_run(place, schedule_dts=now(hours=1))
    kill = place.w1.post("kill_request", {"run": run})
    done = a_run(place)
    finish(place.w1, done)
    late = place.w1.post("kill_request", {"run": done})
    for uri in (kill, late):
        assert place.w1.get(uri)["execute_dts"] is None
    assert place.w1.get(done)["return_success"] is True


def test_a_run_in_the_past_is_its_own_set(place: Place) -> None:
    run: Json = place.w1.get(a_run(place, schedule_dts="1990-01-01"))
    assert run["schedule_id"] == run["id"]
    assert run["schedule_dts"] == "1990-01-01T00:00:00"
    ahead = datetime.now(UTC) + timedelta(days=1)
    place.w1.patch(run["resource_uri"], {"schedule_dts": ahead.isoformat()})
    assert place.w1.get(run["resource_uri"])["schedule_dts"] > "2000"
    assert claim(place.w1, run["resource_uri"]) == 409
