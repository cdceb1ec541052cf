"""How requests are framed, addressed and refused."""

import socket

import httpx2
import pytest

from tests.e2e.harness import LIMIT
from tests.prominence.conftest import idling
from tests.prominence.talk import Prominence, description, error_of

PREFIXES = ("/api/v1", "/prominence/v1", "/prominence/api/v1")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_every_prefix_leads_to_the_same_jobs(idle: Prominence, prefix: str) -> None:
    number = idle.run("true")
    url = f"{idle.server.url_http}{prefix}/jobs/{number}"
    found = idle.client.get(url)
    assert found.status_code == 200
    assert [job["id"] for job in found.json()] == [number]


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/jobs/", "//api/v1/jobs", "/api/v1//jobs", "/api//v1///jobs//",
        "/prominence//v1/jobs/", "//prominence/api/v1//jobs",
    ],
)  # fmt: skip
def test_slashes_may_be_repeated(idle: Prominence, path: str) -> None:
    number = idle.run("true")
    found = idle.client.get(f"{idle.server.url_http}{path}")
    assert found.status_code == 200, found.text
    assert [job["id"] for job in found.json()] == [number]


def test_a_body_survives_repeated_slashes(idle: Prominence) -> None:
    reply = idle.client.post(f"{idle.server.url_http}/api/v1//jobs/", json=description("true"))
    assert reply.status_code == 201
    assert idle.ids() == [reply.json()["id"]]


def test_answers_are_compact_json_and_a_line_feed(idle: Prominence) -> None:
    reply = idle.ask("POST", "/jobs", json=description("true"))
    assert reply.content == b'{"id":%d}\n' % reply.json()["id"]
    assert reply.headers["content-type"] == "application/json"
    assert int(reply.headers["content-length"]) == len(reply.content)
    gone = idle.ask("DELETE", f"/jobs/{reply.json()['id']}")
    assert (gone.status_code, gone.content, gone.headers["content-length"]) == (200, b"{}\n", "3")


@pytest.mark.parametrize("path", ["", "/", "/nothing", "/jobs/1/nothing", "/jobs/1/stdout/more"])
def test_a_path_that_leads_nowhere(idle: Prominence, path: str) -> None:
    url = f"{idle.server.url_http}/prominence/v1{path}"
    reply = idle.client.get(url)
    assert reply.status_code == 404
    error_of(reply)


@pytest.mark.parametrize("method", ["PATCH", "PUT", "OPTIONS"])
def test_a_method_that_is_not_there(idle: Prominence, method: str) -> None:
    reply = idle.client.request(method, "/jobs")
    assert reply.status_code == 405
    error_of(reply)
    assert set(reply.headers["allow"].split(", ")) >= {"GET", "POST", "DELETE"}


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_any_content_type_is_read_as_json(idle: Prominence, kind: str) -> None:
    headers = {"Content-Type": kind} if kind else {}
    content = httpx2.Request("POST", "http://x", json=description("true")).content
    reply = idle.ask("POST", "/jobs", content=content, headers=headers)
    assert reply.status_code == 201


@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b"\xff\xfe", b'{"name":"\\ud800"}', b"[" * 100_000]
)
def test_a_body_that_is_not_json(idle: Prominence, body: bytes) -> None:
    idle.refused("POST", "/jobs", content=body)
    assert idle.ids() == []


def test_a_body_that_is_too_long_and_one_that_is_not(idle: Prominence) -> None:
    job = description("true", inputs=[{"filename": "x", "content": "QUJD" * (3 << 20)}])
    assert idle.submit(job)
    said = _raw(idle, b"POST /prominence/v1/jobs HTTP/1.1", b"Content-Length: 99999999999")
    assert said.startswith(b"HTTP/1.1 413 ")
    assert said.partition(b"\r\n\r\n")[2].startswith(b'{"error":"')


def test_an_address_that_is_too_long(idle: Prominence) -> None:
    said = _raw(idle, b"GET /api/v1/jobs?name=" + b"x" * 140_000 + b" HTTP/1.1")
    assert said.startswith(b"HTTP/1.1 414 ")
    assert said.partition(b"\r\n\r\n")[2].startswith(b'{"error":"')


def _raw(idle: Prominence, *lines: bytes) -> bytes:
    """Send a request line and headers; return the answer, an error."""
    host, _, port = idle.server.url_http.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=LIMIT) as client:
        client.sendall(b"\r\n".join((*lines, b"Host: x", b"", b"")))
        said = b""
        while not said.endswith(b"}\n") and (part := client.recv(65536)):
            said += part
        return said


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "token", "Whatever"])
def test_any_scheme_word_will_do(idle: Prominence, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {idle.token}"}
    assert idle.ask("GET", "/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer a.b.c", "token nonsense", "Bearer \xff"])
def test_who_is_nobody(idle: Prominence, value: str) -> None:
    job = idle.run("true")
    headers = {b"Authorization": value.encode("latin-1")}
    for method, path in (("GET", "/jobs"), ("POST", "/jobs"), ("DELETE", f"/jobs/{job}")):
        reply = idle.client.request(method, path, headers=headers, content=b"{}")
        assert reply.status_code == 401
        assert error_of(reply) == "Authentication failure"


def test_a_token_that_may_only_read(idle: Prominence) -> None:
    reader = idle.other(idle.user, scopes=["read"])
    number = idle.run("true")
    assert reader.ids() == [number]
    assert reader.refused("POST", "/jobs", 401, json=description()) == "Authentication failure"
    assert reader.refused("DELETE", f"/jobs/{number}", 401) == "Authentication failure"
    assert idle.ids() == [number]


def test_what_is_switched_off_says_so() -> None:
    with idling("--no-prominence-exec", "--no-prominence-snapshots") as server:
        talk = Prominence(server)
        number = talk.run("true")
        for method, path in (
            ("POST", f"/jobs/{number}/exec?command=ls"),
            ("PUT", f"/jobs/{number}/snapshot?path=x"),
            ("GET", f"/jobs/{number}/snapshot"),
            ("GET", f"/ts/{number}"),
            ("POST", "/ts"),
        ):
            assert talk.refused(method, path, 401) == "Functionality disabled"
        talk.close()


def test_nobody_sees_what_is_of_others(idle: Prominence) -> None:
    number = idle.run("true")
    other = idle.other()
    assert other.ids() == other.ids(all="true") == other.ids(id=str(number)) == []
    assert other.get(f"/jobs/{number}") == []
    assert other.refused("DELETE", f"/jobs/{number}") == "No such job(s)"
    assert other.refused("DELETE", f"/jobs?id={number}") == "No such job(s)"
    for method, what in (
        ("GET", "stdout"), ("GET", "stderr"), ("PUT", "clone"), ("PUT", "remove"),
        ("POST", "exec?command=ls"), ("PUT", "snapshot?path=x"), ("GET", "snapshot"),
    ):  # fmt: skip
        text = other.refused(method, f"/jobs/{number}/{what}", 403)
        assert text == "Not authorized to access this job"
    assert idle.job(number)["status"] == "pending"


def test_the_administrator_has_only_its_own_here(idle: Prominence) -> None:
    number = idle.run("true")
    headers = {"Authorization": f"Bearer {idle.server.token}"}
    assert idle.ask("GET", f"/jobs/{number}", headers=headers).json() == []
