"""Every line of the interface's document, with a signed request."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.databases import new_database
from tests.job_runner.conftest import Place, opened
from tests.job_runner.talk import Json, Worker

NOW = "2026-01-02 03:04:05.123456+00:00"
RESOURCES = [
    "group", "project", "worker_pool", "worker", "job_template", "job", "run", "kill_request",
    "run_log",
]  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A server on each database."""
    flags: list[str] = []
    with ExitStack() as stack:
        if request.param == "postgres":
            cluster = request.getfixturevalue("postgres_cluster")
            flags = ["--database", stack.enter_context(new_database(cluster))]
        yield stack.enter_context(opened(*flags))


@pytest.fixture(scope="module", params=["Authorization", "Authentication"])
def worker(request: pytest.FixtureRequest, place: Place) -> Worker:
    """A worker, with each spelling of the header."""
    caller = place.worker("blue-heron", place.w1.secret)
    caller.name = request.param
    return caller


def first(worker: Worker) -> Json:
    """The worker's job."""
    return worker.titled("job", "first")


def a_run(worker: Worker) -> str:
    """A new run by hand, due now."""
    document = {"job": first(worker)["resource_uri"], "schedule_dts": NOW, "is_manual": True}
    return worker.post("run", document)


@pytest.mark.parametrize("resource", RESOURCES)
def test_lists_and_schemas(worker: Worker, resource: str) -> None:
    document = worker.get(f"{resource}/")
    assert list(document) == ["meta", "objects"]
    assert list(document["meta"]) == ["limit", "next", "offset", "previous", "total_count"]
    schema = worker.get(f"{resource}/schema/")
    for one in document["objects"]:
        assert sorted(one) == sorted(schema["fields"])


@pytest.mark.parametrize(
    "resource", ["group", "project", "worker_pool", "worker", "job_template", "job"]
)
def test_details(worker: Worker, resource: str) -> None:
    for one in worker.objects(f"{resource}/"):
        assert worker.get(one["resource_uri"]) == one


def test_the_titles_filter(worker: Worker) -> None:
    (pool,) = worker.objects("worker_pool/?title=outside")
    assert pool["title"] == "outside"
    assert worker.objects("worker_pool/?title=Outside") == []
    (template,) = worker.objects("job_template/?title=html")
    assert template["title"] == "html"
    (job,) = worker.objects("job/?title=first")
    assert job["title"] == "first"
    number = job["job_template"].split("/")[-2]
    assert {one["title"] for one in worker.objects(f"job/?job_template={number}")} >= {"first"}
    assert worker.objects("job/?job_template=987654") == []


def test_misprints_of_the_document(worker: Worker, place: Place) -> None:
    pool = worker.titled("worker_pool", "outside")
    assert worker.get(f"/api/vi/worker-pools/{pool['id']}/") == pool
    log = worker.post("run_log", {"run": a_run(worker), "content": "x"})
    number = log.split("/")[-2]
    assert worker.get(f"/api/vi/run_log/{number}/") == worker.get(log)
    assert worker.status("PATCH", f"/api/vi/run_log/{number}/", {}) == 405
    assert place.stranger.status("GET", f"/api/vi/run_log/{number}/") == 401


def test_a_worker_is_patched(worker: Worker) -> None:
    uri = worker.myself["resource_uri"]
    ping = {"ping_response_dts": NOW, "worker_version": "2.1.2", "concurrent_jobs": 4}
    worker.patch(uri, {**ping, "api_key": "mine", "id": 7})
    after = worker.get(uri)
    assert after["ping_response_dts"] == "2026-01-02T04:04:05.123456"
    assert (after["worker_version"], after["concurrent_jobs"]) == ("2.1.2", 4)
    assert after["api_key"] == "blue-heron"
    assert "secret" not in after


def test_a_job_is_put(worker: Worker) -> None:
    job = first(worker)
    reply = worker.send("PUT", job["resource_uri"], {**job, "enqueue_is_enabled": False})
    assert (reply.status_code, reply.content) == (204, b"")
    assert worker.get(job["resource_uri"]) == {**job, "enqueue_is_enabled": False}
    assert worker.send("PUT", job["resource_uri"], job).status_code == 204
    assert worker.get(job["resource_uri"]) == job


def test_a_run_from_beginning_to_end(worker: Worker) -> None:
    def where() -> set[str]:
        states = (
            "scheduled", "in_queue", "started", "completed", "completed_successful",
            "completed_with_errors", "completed_with_error", "last_completed",
        )  # fmt: skip
        return {
            state
            for state in states
            if uri in [one["resource_uri"] for one in worker.objects(f"run/?state={state}&limit=0")]
        }

    uri = a_run(worker)
    me = worker.myself["resource_uri"]
    assert where() == {"scheduled"}
    run = worker.get(uri)
    assert run == {
        "id": run["id"], "resource_uri": uri, "job": first(worker)["resource_uri"],
        "schedule_id": run["id"], "schedule_dts": "2026-01-02T04:04:05.123456",
        "enqueue_dts": None, "start_dts": None, "return_dts": None, "return_success": None,
        "pid": None, "worker": None, "run_log": None, "is_manual": True,
        "schedule_children": True,
    }  # fmt: skip
    worker.patch(uri, {"enqueue_dts": NOW, "worker": me})
    worker.patch(uri, {"enqueue_dts": NOW, "worker": me})
    assert where() == {"in_queue"}
    worker.patch(uri, {"start_dts": NOW})
    worker.patch(uri, {"pid": 42})
    assert where() == {"started"}
    log = worker.post("run_log", {"run": uri, "content": "hello\n"})
    worker.patch(uri, {"return_dts": NOW, "return_success": True})
    assert where() == {"completed", "completed_successful", "last_completed"}
    done = worker.get(uri)
    assert (done["pid"], done["worker"], done["run_log"]) == (42, me, log)
    assert worker.get(log) == {
        "id": int(log.split("/")[-2]), "resource_uri": log, "run": uri, "content": "hello\n",
    }  # fmt: skip
    (child,) = worker.objects("run/?state=scheduled&job__title=child")
    assert not child["is_manual"]
    worker.patch(child["resource_uri"], {"enqueue_dts": NOW, "worker": me})
    worker.patch(child["resource_uri"], {"start_dts": NOW})
    worker.patch(child["resource_uri"], {"return_dts": NOW, "return_success": False})
    failed = worker.objects("run/?state=completed_with_errors&job__title=child")
    assert child["resource_uri"] in [one["resource_uri"] for one in failed]


def test_a_kill_request(worker: Worker) -> None:
    run = a_run(worker)
    uri = worker.post("kill_request", {"run": run})
    made = worker.get(uri)
    assert made["schedule_dts"]
    assert {**made, "schedule_dts": ""} == {
        "id": int(uri.split("/")[-2]), "resource_uri": uri, "run": run, "schedule_dts": "",
        "enqueue_dts": None, "execute_dts": None,
    }  # fmt: skip
    worker.patch(uri, {"enqueue_dts": NOW})
    worker.patch(uri, {"execute_dts": NOW})
    after = worker.get(uri)
    assert after["enqueue_dts"] == after["execute_dts"] == "2026-01-02T04:04:05.123456"
    assert uri in [one["resource_uri"] for one in worker.objects("kill_request/?limit=0")]


def test_a_log_is_patched(worker: Worker) -> None:
    log = worker.post("run_log", {"run": a_run(worker), "content": "a"})
    text = "\x00\x1b[1mé\u2028\U0001f600\r\n" * 3
    worker.patch(log, {"content": text})
    assert worker.get(log)["content"] == text
    worker.patch(log, {"content": None})
    assert worker.get(log)["content"] is None
    assert log in [one["resource_uri"] for one in worker.objects("run_log/?limit=0")]
