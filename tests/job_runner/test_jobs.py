"""Jobs: made and changed over the wire."""

import itertools

import pytest

from tests.job_runner.conftest import Place
from tests.job_runner.talk import Json

_numbers = itertools.count(1)


def a_job(place: Place, **fields: Json) -> Json:
    """A new job of the first pool."""
    w1 = place.w1
    document = {
        "title": f"job-{next(_numbers)}",
        "job_template": w1.titled("job_template", "bash")["resource_uri"],
        "worker_pool": w1.titled("worker_pool", "outside")["resource_uri"],
        **fields,
    }
    return w1.get(w1.post("job", document))


def test_defaults(place: Place) -> None:
    job = a_job(place)
    assert {name: value for name, value in job.items() if name not in ("id", "resource_uri")} == {
        "title": job["title"], "description": "",
        "job_template": place.w1.titled("job_template", "bash")["resource_uri"],
        "worker_pool": place.w1.titled("worker_pool", "outside")["resource_uri"],
        "parent": None, "children": [], "script_content_partial": "",
        "script_content": "#!/bin/sh\n\n", "enqueue_is_enabled": True,
        "reschedule_interval": None, "reschedule_interval_type": "",
        "run_on_all_workers": False, "schedule_children_on_error": False,
        "notification_addresses": "", "disable_enqueue_after_fails": None,
    }  # fmt: skip


def test_every_field_is_kept(place: Place) -> None:
    fields = {
        "description": "*é*\r\n", "script_content_partial": "echo '<a>'\r\n",
        "enqueue_is_enabled": False, "reschedule_interval": 5,
        "reschedule_interval_type": "MINUTE", "run_on_all_workers": True,
        "schedule_children_on_error": True, "notification_addresses": "a@b.example\nc@d.example",
        "disable_enqueue_after_fails": 0,
    }  # fmt: skip
    job = a_job(place, **fields)
    assert {name: job[name] for name in fields} == fields
    assert job["script_content"] == "#!/bin/sh\necho '<a>'\r\n\n"
    html = place.w1.titled("job_template", "html")["resource_uri"]
    place.w1.patch(job["resource_uri"], {"job_template": html})
    after = place.w1.get(job["resource_uri"])
    assert after["script_content"] == "#!/bin/sh\necho &#39;&lt;a&gt;&#39;\r\n\n"
    assert {name: after[name] for name in fields} == fields


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_changes_merge(place: Place, method: str) -> None:
    job = a_job(place, description="old", reschedule_interval=1, reschedule_interval_type="DAY")
    reply = place.w1.send(method, job["resource_uri"], {"description": "new", "whatever": 1})
    assert reply.status_code == (204 if method == "PUT" else 202)
    assert place.w1.get(job["resource_uri"]) == {**job, "description": "new"}
    place.w1.patch(job["resource_uri"], {"reschedule_interval": 7})
    assert place.w1.get(job["resource_uri"])["reschedule_interval_type"] == "DAY"
    place.w1.patch(job["resource_uri"], {"reschedule_interval": None})
    after = place.w1.get(job["resource_uri"])
    assert (after["reschedule_interval"], after["reschedule_interval_type"]) == (None, "DAY")


def test_ids_in_bodies_are_ignored(place: Place) -> None:
    first, second = a_job(place), a_job(place)
    document = {
        **first, "title": f"job-{next(_numbers)}", "description": "third",
        "script_content": "input ignored",
    }  # fmt: skip
    third = place.w1.get(place.w1.post("job", document))
    assert third["id"] not in (first["id"], second["id"])
    assert place.w1.get(first["resource_uri"]) == first
    place.w1.patch(second["resource_uri"], {"id": first["id"], "description": "second"})
    assert place.w1.get(first["resource_uri"]) == first


def test_parents_and_children(place: Place) -> None:
    w1 = place.w1
    parent = a_job(place)
    one = a_job(place, parent=parent["resource_uri"])
    two = a_job(place)
    assert w1.get(parent["resource_uri"])["children"] == [one["resource_uri"]]
    w1.patch(parent["resource_uri"], {"children": [two["resource_uri"]]})
    assert w1.get(one["resource_uri"])["parent"] is None
    assert w1.get(two["resource_uri"])["parent"] == parent["resource_uri"]
    assert w1.send("PUT", parent["resource_uri"], {"description": "x"}).status_code == 204
    assert w1.get(two["resource_uri"])["parent"] == parent["resource_uri"]
    w1.patch(two["resource_uri"], {"parent": None})
    assert w1.get(parent["resource_uri"])["children"] == []


def test_cycles_are_refused(place: Place) -> None:
    w1 = place.w1
    top = a_job(place)
    middle = a_job(place, parent=top["resource_uri"])
    bottom = a_job(place, parent=middle["resource_uri"])
    for child, parent in ((top, top), (top, middle), (top, bottom), (middle, bottom)):
        document = {"parent": parent["resource_uri"]}
        assert w1.refused("PATCH", child["resource_uri"], document).startswith("parent: ")
    document = {"children": [top["resource_uri"]]}
    assert w1.refused("PATCH", bottom["resource_uri"], document).startswith("children: ")
    assert w1.get(bottom["resource_uri"])["children"] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""), ("title", "x" * 256), ("title", "a\nb"), ("title", None),
        ("reschedule_interval", 0), ("reschedule_interval", -1),
        ("reschedule_interval", 10**9), ("reschedule_interval", "soon"),
        ("reschedule_interval_type", "WEEK"), ("reschedule_interval_type", "day"),
        ("reschedule_interval_type", None), ("enqueue_is_enabled", "false"),
        ("enqueue_is_enabled", None), ("disable_enqueue_after_fails", -1),
        ("notification_addresses", "nobody"), ("notification_addresses", "a@b\rc"),
        ("job_template", None), ("job_template", "/api/v1/job_template/987654/"),
        ("job_template", "bash"), ("worker_pool", "/api/v1/worker_pool/987654/"),
        ("parent", "/api/v1/job/987654/"), ("parent", "/api/v1/run/1/"),
        ("children", ["/api/v1/job/987654/"]), ("children", "all"),
        ("script_content_partial", "a\x00b"), ("script_content_partial", ["echo"]),
    ],
)  # fmt: skip
def test_wrong_values(place: Place, field: str, value: Json) -> None:
    job = a_job(place, reschedule_interval=5, reschedule_interval_type="MINUTE")
    for method in ("PATCH", "PUT"):
        why = place.w1.refused(method, job["resource_uri"], {field: value})
        assert why.startswith(f"{field}: ")
    document = {**job, "title": f"job-{next(_numbers)}", field: value}
    before = place.w1.get("job/?limit=1")["meta"]["total_count"]
    assert place.w1.refused("POST", "job/", document).startswith(f"{field}: ")
    assert place.w1.get("job/?limit=1")["meta"]["total_count"] == before
    assert place.w1.get(job["resource_uri"]) == job


def test_the_halves_of_an_interval_come_one_by_one(place: Place) -> None:
    half = a_job(place, reschedule_interval=5)
    uri = half["resource_uri"]
    assert (half["reschedule_interval"], half["reschedule_interval_type"]) == (5, "")
    # One half is no rhythm: nothing follows a run.
    assert runs_after_one(place, uri) == 0
    place.w1.patch(uri, {"reschedule_interval_type": "DAY"})
    assert place.w1.get(uri) == {**half, "reschedule_interval_type": "DAY"}
    assert runs_after_one(place, uri) == 1
    place.w1.patch(uri, {"reschedule_interval": None})
    assert place.w1.send("PUT", uri, place.w1.get(uri)).status_code == 204
    after = place.w1.get(uri)
    assert (after["reschedule_interval"], after["reschedule_interval_type"]) == (None, "DAY")
    other = a_job(place, reschedule_interval_type="MONTH")
    assert (other["reschedule_interval"], other["reschedule_interval_type"]) == (None, "MONTH")


def runs_after_one(place: Place, job: str) -> int:
    """Do a run of the job as its worker; return how many runs then wait."""
    w1, at = place.w1, "2026-01-02 03:04:05+00:00"
    run = w1.post("run", {"job": job, "schedule_dts": at})
    w1.patch(run, {"enqueue_dts": at, "worker": w1.myself["resource_uri"]})
    w1.patch(run, {"start_dts": at, "pid": 1})
    w1.patch(run, {"return_dts": at, "return_success": True})
    return len(w1.objects(f"run/?state=scheduled&job={job}"))


def test_titles_are_unique_in_a_template(place: Place) -> None:
    job = a_job(place)
    document = {name: job[name] for name in ("title", "job_template", "worker_pool")}
    assert job["title"] in place.w1.refused("POST", "job/", document)
    html = place.w1.titled("job_template", "html")["resource_uri"]
    place.w1.post("job", {**document, "job_template": html})
    other = a_job(place)
    assert job["title"] in place.w1.refused("PATCH", other["resource_uri"], {"title": job["title"]})


@pytest.mark.parametrize("field", ["title", "job_template", "worker_pool"])
def test_missing_fields(place: Place, field: str) -> None:
    job = a_job(place)
    document = {**job, "title": f"job-{next(_numbers)}"}
    del document[field]
    assert place.w1.refused("POST", "job/", document).startswith(f"{field}: ")


def test_the_pool_is_one_of_the_projects(place: Place) -> None:
    text = """
    pools: [{name: apart, agents: false}]
    workers: [{name: w9, pools: [outside, apart], api_key: puffin, secret: s}]
    """
    place.server.client().apply(text)
    w9 = place.worker("puffin", "s")
    apart = w9.titled("worker_pool", "apart")["resource_uri"]
    job = w9.titled("job", "first")
    assert w9.refused("PATCH", job["resource_uri"], {"worker_pool": apart}).startswith(
        "worker_pool: "
    )


def test_missing_jobs(place: Place) -> None:
    for method in ("GET", "PUT", "PATCH"):
        assert place.w1.status(method, "job/987654/", {}) == 404


def test_a_cron_schedule_survives_a_put(place: Place) -> None:
    client = place.server.client()
    client.apply(
        "schedules: [{name: croned, project: etl, template: bash, pool: outside, cron: 0 3 * * *}]"
    )
    job = place.w1.titled("job", "croned")
    assert (job["reschedule_interval"], job["reschedule_interval_type"]) == (None, "")
    assert place.w1.send("PUT", job["resource_uri"], job).status_code == 204
    assert "0 3 * * *" in client.export()
    place.w1.patch(job["resource_uri"], {"reschedule_interval": 2})
    assert "0 3 * * *" in client.export()
    place.w1.patch(job["resource_uri"], {"reschedule_interval_type": "HOUR"})
    assert "0 3 * * *" not in client.export()
