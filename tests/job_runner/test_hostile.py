"""Whatever is sent, the server answers with a 4xx of its own and changes nothing."""

import random
import socket
from urllib.parse import urlsplit

import pytest

from tests.job_runner.conftest import Place
from tests.job_runner.talk import Json

RESOURCES = (
    "group", "project", "worker_pool", "worker", "job_template", "job", "run", "kill_request",
    "run_log",
)  # fmt: skip
VALUES: list[Json] = [
    None, True, 0, -1, 1 << 31, 1 << 63, 1 << 100, 1.5, 1e308, "", "x", "x" * 100_000, "\x00",
    "\ud800", "é", [], [[]], {}, {"a": {}}, "/api/v1/job/1/", "/api/v1/run/1/",
    ["/api/v1/job/1/"], "/api/v1/worker/1/", "/api/v1/job/9223372036854775807/",
    "9999-12-31T23:59:59", "0001-01-01T00:00:00", "0001-01-01T00:00:00+14:00", "2026-01-01",
    "a@b.example\n" * 3, "MINUTE",
]  # fmt: skip
FIELDS = (
    "title", "description", "job_template", "worker_pool", "parent", "children",
    "script_content_partial", "enqueue_is_enabled", "reschedule_interval",
    "reschedule_interval_type", "notification_addresses", "disable_enqueue_after_fails", "job",
    "schedule_dts", "enqueue_dts", "start_dts", "return_dts", "return_success", "pid", "worker",
    "is_manual", "schedule_children", "run", "execute_dts", "content", "ping_response_dts",
    "worker_version", "concurrent_jobs", "id", "resource_uri",
)  # fmt: skip


@pytest.mark.parametrize("resource", ["worker", "job", "run", "kill_request", "run_log"])
def test_no_value_makes_the_server_fail(place: Place, resource: str) -> None:
    w1, chance = place.w1, random.Random(resource)
    relations = {
        "job_template": w1.objects("job_template/")[0]["resource_uri"],
        "worker_pool": w1.objects("worker_pool/")[0]["resource_uri"],
    }
    job = w1.post("job", {**relations, "title": f"fuzzed {resource}"})
    run = w1.post("run", {"job": job, "schedule_dts": "2026-01-02", "is_manual": True})
    target = {
        "worker": w1.myself["resource_uri"],
        "job": job,
        "run": run,
        "kill_request": w1.post("kill_request", {"run": run}),
        "run_log": w1.post("run_log", {"run": run}),
    }[resource]
    for value in VALUES:
        for field in chance.sample(FIELDS, 6):
            assert w1.status("PATCH", target, {field: value}) in (202, 400, 401, 409)
        document = {field: chance.choice(VALUES) for field in FIELDS}
        assert w1.status("POST", f"{resource}/", document) in (201, 400, 401, 405, 409)
        assert w1.status("PATCH", target, document) in (202, 400, 401, 409)
    for caller in (w1, place.person("ann")):
        for key in RESOURCES:
            assert caller.status("GET", f"{key}/?limit=0") == 200


BODIES = [
    b"", b"null", b"[]", b"1", b'"x"', b"{", b"\xff\xfe", b'{"pid": 1' + b"}" * 9, b"[" * 100_000,
    b'{"pid": 1e999}', b'{"pid": NaN}', b'{"a": "\\ud800"}', b"\x00" * 100,
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
def test_no_body_makes_the_server_fail(place: Place, body: bytes) -> None:
    w1 = place.w1
    target = w1.myself["resource_uri"]
    assert w1.refused("PATCH", target, body)
    assert w1.refused("POST", "run/", body)
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                         "application/json; charset=utf-16", "\x7f"):  # fmt: skip
        assert w1.status("PATCH", target, body or b"{}", Content_Type=content_type) == 400


@pytest.mark.parametrize(
    "query",
    ["%", "%zz", "a" * 5000, "&&&=&=", "limit=%00", "title=%00", "title=%ff", "title=%ed%a0%80",
     "job_template=%00", "job_template__in=" + "1," * 5000, "state=%00&project_id=%31",
     "worker__api_key__iexact=%C4%B0", "a=1&" * 1500, "schedule_dts=9999-12-31T23:59:59-14:00",
     "schedule_dts__range=,", "__=1", "job____title=1", "job__=1", "_____in=2"],
)  # fmt: skip
def test_no_query_makes_the_server_fail(place: Place, query: str) -> None:
    for resource in RESOURCES:
        assert place.w1.status("GET", f"/api/v1/{resource}/?{query}") in (200, 400, 401)


@pytest.mark.parametrize(
    "header",
    ["ApiKey", "ApiKey :", "ApiKey ::", f"ApiKey :{'0' * 40}", "ApiKey é:é",
     f"ApiKey {'x' * 50_000}:{'0' * 40}", "Bearer x", "Basic =", "\xff"],
)  # fmt: skip
def test_no_credential_makes_the_server_fail(place: Place, header: str) -> None:
    for name in ("Authorization", "Authentication"):
        for method, target in (("GET", "run/"), ("POST", "run/"), ("PATCH", "run/1/")):
            reply = place.stranger.client.request(
                method, f"/api/v1/{target}", headers=[(name.encode(), header.encode("utf-8"))]
            )
            assert reply.status_code in (400, 401)
    cookie = {"Cookie": f"sessionid={header}; csrftoken=; ;=;;"}
    reply = place.stranger.client.get(
        "/api/v1/run/", headers=[(b"cookie", cookie["Cookie"].encode())]
    )
    assert reply.status_code in (400, 401)


def test_bodies_of_strangers_are_not_read(place: Place) -> None:
    where = urlsplit(place.server.url_http)
    with socket.create_connection((where.hostname or "", where.port or 0), timeout=20) as line:
        head = "POST /api/v1/run/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n"
        line.sendall(head.encode())
        assert line.recv(100).startswith(b"HTTP/1.1 401 ")


def test_huge_bodies_are_refused(place: Place) -> None:
    body = b'{"content": "' + b"x" * (49 << 20) + b'"}'
    assert place.w1.send("POST", "run_log/", body).status_code == 413


def test_other_upgrades_are_declined(place: Place) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    for path, status in (("/v1/jobs", 401), ("/job-runner/api/v1/run/", 401), ("/healthz", 200)):
        assert place.stranger.client.get(path, headers=upgrade).status_code == status
    # Without the rest of the handshake it is no WebSocket.
    broken = place.stranger.client.get("/job-runner/ws", headers=upgrade)
    assert broken.status_code == 400
