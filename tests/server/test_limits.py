"""What one request may ask: size, pace, and a turn."""

import json
import subprocess
import time
from pathlib import Path

import msgspec
import pytest

from gristmill.server.asgi import Receive, Scope, Send
from gristmill.server.limits import RequestLimits
from tests.server.serving import (
    REQUEST_LIMITS,
    Toy,
    answer,
    read_body,
    read_to_end,
    read_until,
    serving,
)

CLOSE = b"Connection: close\r\n"


def limits(**changes: object) -> RequestLimits:
    return msgspec.structs.replace(REQUEST_LIMITS, **changes)


def post(size: int, path: bytes = b"/size", announced: int | None = None) -> bytes:
    length = size if announced is None else announced
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (path, length)
    return head + b"a" * size


def chunked(*chunks: bytes) -> bytes:
    head = b"POST /size HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks]
    return head + b"".join(parts) + b"0\r\n\r\n"


LAST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def replies(data: bytes) -> list[tuple[int, bytes]]:
    """Split what came over one connection into statuses and bodies."""
    parts = data.split(b"HTTP/1.1 ")[1:]
    return [(int(part[:3]), part.partition(b"\r\n\r\n")[2]) for part in parts]


def test_a_body_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    with serving(request_limits=limits(max_body=1000)) as server:
        answers = replies(server.exchange(post(1000), post(1001), LAST))
        assert [status for status, _ in answers] == [200, 413, 200]
        error = json.loads(answers[1][1])["error"]
        assert error["code"] == "too_large"
        assert error["field"] == "body"
        assert "1000 bytes" in error["message"]


def test_an_announced_size_is_refused_before_the_body_comes() -> None:
    with serving() as server, server.connect() as client:
        client.sendall(post(0, announced=10**15))
        assert b" 413 " in read_until(client, b"\r\n\r\n")


def test_a_body_of_unknown_size_is_counted_as_it_comes() -> None:
    with serving(request_limits=limits(max_body=1000)) as server:
        data = server.exchange(chunked(b"a" * 1000), chunked(b"a" * 600, b"b" * 600), LAST)
        assert [status for status, _ in replies(data)] == [200, 413, 200]


def test_a_body_without_end_is_cut_off() -> None:
    with serving(request_limits=limits(max_body=1000)) as server, server.connect() as client:
        client.sendall(chunked(b"a" * 2000)[:-5])
        assert b" 413 " in read_until(client, b"}}")


def test_a_path_can_have_a_limit_of_its_own() -> None:
    own = limits(max_body=10, max_body_below={"/agent": 5000})

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await answer(send, b"%d" % len(await read_body(receive)))

    with serving(app, request_limits=own) as server:
        data = server.exchange(post(5000, b"/agent/x"), post(11, b"/agents"), LAST)
        assert [status for status, _ in replies(data)] == [200, 413, 200]


def test_a_pause_inside_a_body_ends_it() -> None:
    with serving(request_limits=limits(body_timeout=0.1)) as server, server.connect() as client:
        client.sendall(post(5, announced=10))
        data = read_to_end(client)
        assert replies(data)[0][0] == 408
        assert CLOSE.lower() in data.lower()


def test_a_slow_but_steady_body_passes() -> None:
    with serving(request_limits=limits(body_timeout=1)) as server, server.connect() as client:
        client.sendall(post(0, announced=20))
        for _ in range(20):
            client.sendall(b"a")
            time.sleep(0.01)
        assert read_until(client, b"\r\n\r\n20").endswith(b"20")


def test_an_app_that_hides_errors_cannot_hide_a_refusal() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while scope["method"] == "POST" and (await receive())["type"] != "http.disconnect":
            pass
        await answer(send, b"all is well")
        if scope["method"] == "POST":
            raise RuntimeError("client left")

    with serving(app, request_limits=limits(max_body=10)) as server:
        refused, good = replies(server.exchange(chunked(b"a" * 11), LAST))
        assert refused[0] == 413
        assert b"all is well" not in refused[1]
        assert good == (200, b"all is well")


def test_waiting_for_the_client_to_leave_is_not_a_slow_body() -> None:
    toy = Toy()
    with serving(toy, request_limits=limits(body_timeout=0.05)) as server:
        with server.connect() as client:
            client.sendall(post(3, b"/stream"))
            read_until(client, b"begun")
            assert not toy.disconnected.wait(0.3)
        assert toy.disconnected.wait(10)


def test_requests_beyond_the_limit_are_asked_to_come_again() -> None:
    toy = Toy()
    with serving(toy, request_limits=limits(max_requests=1)) as server, server.connect() as client:
        client.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\n\r\n")
        assert toy.entered.wait(10)
        refused = server.exchange(LAST)
        assert replies(refused)[0][0] == 503
        assert b"retry-after: 1\r\n" in refused
        for path in (b"/healthz", b"/readyz", b"/agent/report"):
            get = b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % path
            assert replies(server.exchange(get))[0][0] == 200
        server.loop.call_soon_threadsafe(toy.release.set)
        read_until(client, b"released")
        assert replies(server.exchange(LAST))[0][0] == 200


def test_a_client_that_leaves_gives_its_turn_back() -> None:
    toy = Toy()
    with serving(toy, request_limits=limits(max_requests=1)) as server:
        for _ in range(3):
            toy.entered.clear()
            toy.disconnected.clear()
            with server.connect() as client:
                client.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
                assert toy.entered.wait(10)
            assert toy.disconnected.wait(10)
        deadline = time.monotonic() + 10
        while replies(server.exchange(LAST))[0][0] == 503:
            assert time.monotonic() < deadline


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
def test_curl_sees_the_refusal_of_a_large_upload(tmp_path: Path, expect: str) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(b"a" * 30_000_000)
    with serving() as server:
        command = ["curl", "-sS", "-H", expect, "--data-binary", f"@{upload}"]
        url = f"{server.addresses.http}/size"
        done = subprocess.run([*command, url], capture_output=True, text=True, timeout=30)
        assert "too_large" in done.stdout, done.stderr
