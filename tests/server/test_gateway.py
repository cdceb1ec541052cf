"""Which app answers, where it may, and what a client sees when one fails."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from gristmill.server.asgi import App, Receive, Scope, Send
from gristmill.server.gateway import NATIVE_PREFIXES, Gateway, Route, native_routes
from tests.server.serving import Server, answer, read_until, serving


def named(name: str) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, name.encode())

    return app


def get(server: Server, path: str) -> tuple[int, bytes]:
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    reply = server.exchange(request.encode())
    if not reply:
        return 0, b""
    head, _, body = reply.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    gateway = Gateway(
        [
            *native_routes(named("native")),
            Route("/api", named("api")),
            Route("/api/v1/job", named("job")),
            Route("/rest", named("rest"), frozenset({"https"})),
        ]
    )
    with serving(gateway) as server:
        yield server


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *[(prefix, "native") for prefix in NATIVE_PREFIXES],
        ("/v1/jobs/7?x=/api", "native"),
        ("/%761/jobs", "native"),
        ("/api/v1", "api"),
        ("/api/v1/jobs", "api"),
        ("/api/v1/job", "job"),
        ("/api/v1/job/3/", "job"),
    ],
)
def test_the_longest_prefix_of_whole_segments_answers(server: Server, path: str, name: str) -> None:
    assert get(server, path) == (200, name.encode())


@pytest.mark.parametrize("path", ["/", "/v1x", "//v1", "/V1", "/../v1", "/none/v1"])
def test_an_unknown_path_is_answered_in_the_native_shape(server: Server, path: str) -> None:
    status, body = get(server, path)
    assert status == 404
    assert json.loads(body)["error"] == {
        "code": "not_found",
        "message": f"there is nothing at {path}",
    }


def test_a_listener_an_app_does_not_speak_on_closes_the_connection(server: Server) -> None:
    assert get(server, "/rest/v1") == (0, b"")
    assert server.exchange(b"POST /rest HTTP/1.1\r\nContent-Length: 5\r\n\r\n12345") == b""
    assert get(server, "/v1")[0] == 200


@pytest.fixture
def logs() -> Iterator[list[dict[str, object]]]:
    with structlog.testing.capture_logs() as captured:
        yield captured  # type: ignore[misc]


def test_a_failure_shows_the_client_an_id_and_the_log_the_rest(
    logs: list[dict[str, object]],
) -> None:
    with serving() as server:
        status, body = get(server, "/fail")
    error = json.loads(body)["error"]
    assert status == 500
    assert error["code"] == "internal"
    assert error["id"] in error["message"]
    assert b"secret" not in body
    assert b"Traceback" not in body
    assert [(entry["event"], entry["path"]) for entry in logs] == [("request.failed", "/fail")]
    assert logs[0]["exc_info"]


def test_a_failure_halfway_cuts_the_answer_short(logs: list[dict[str, object]]) -> None:
    with serving() as server:
        status, body = get(server, "/fail-late")
        assert (status, body) == (200, b"half")
        with server.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            read_until(client, b"hello")
    assert [entry["event"] for entry in logs] == ["request.failed"]


LOG_OF_A_FAILURE = """
import asyncio, sys
from gristmill.domain.clock import Chance
from gristmill.server.guard import Guard
from gristmill.server.logging import configure_logging
import logging

async def fail(scope, receive, send):
    password = "hunter2"
    raise RuntimeError("out of grain")

async def send(message):
    pass

async def main():
    scope = {"type": "http", "method": "GET", "path": "/a\\n{}", "client": None}
    await Guard(fail, Chance(), access_log=True)(scope, None, send)

configure_logging(sys.argv[1], "info")
logging.getLogger("uvicorn.error").warning("from a library %s", 1)
logging.getLogger("uvicorn.access").warning("never")
logging.getLogger("other").info("too quiet")
asyncio.run(main())
"""


def log_lines(style: str) -> list[str]:
    command = [sys.executable, "-c", LOG_OF_A_FAILURE, style]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    return done.stderr.splitlines()


@pytest.mark.parametrize("style", ["json", "auto"])
def test_json_logs_are_one_object_a_line(style: str) -> None:
    library, failure, access = [json.loads(line) for line in log_lines(style)]
    assert library["event"] == "from a library 1"
    assert library["logger"] == "uvicorn.error"
    assert failure["event"] == "request.failed"
    assert failure["level"] == "error"
    assert "out of grain" in failure["exception"]
    assert "hunter2" not in failure["exception"]
    assert failure["request_id"] == access["request_id"]
    assert failure["timestamp"].endswith("Z")
    assert (access["event"], access["status"], access["path"]) == ("request", 500, "/a\n{}")


def test_console_logs_are_plain_when_not_on_a_terminal() -> None:
    text = "\n".join(log_lines("console"))
    assert "out of grain" in text
    assert "hunter2" not in text
    assert "\x1b" not in text
    assert "never" not in text
    assert "too quiet" not in text


def test_a_terminal_gets_console_logs() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    from gristmill.server.logging import _renderers

    assert isinstance(_renderers("auto", Terminal())[0], structlog.dev.ConsoleRenderer)
    assert isinstance(_renderers("auto", io.StringIO())[-1], structlog.processors.JSONRenderer)
