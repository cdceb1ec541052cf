"""Byte by byte: what a connection may do, and how it ends when it does more."""

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.serving import Server, Toy, read_to_end, read_until, serving

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LAST_GET = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def status(reply: bytes) -> int:
    return int(reply.split(b" ", 2)[1])


def test_requests_follow_each_other_on_a_connection() -> None:
    with serving() as server:
        reply = server.exchange(GET, GET + GET, LAST_GET)
        assert reply.count(b"200 OK") == 4
        assert b"date: " in reply
        assert b"server: " not in reply


def test_a_head_may_arrive_byte_by_byte() -> None:
    with serving() as server, server.connect() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(LAST_GET)):
            client.sendall(LAST_GET[at : at + 1])
        assert status(read_to_end(client)) == 200


def test_an_endless_header_is_refused_and_the_connection_closed() -> None:
    with serving(max_header=20_000) as server:
        client = server.connect()
        client.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for _ in range(10_000):
                client.sendall(b"a" * 1000)
                client.settimeout(0.001)
                with contextlib.suppress(TimeoutError):
                    if client.recv(1, socket.MSG_PEEK):
                        break
        client.settimeout(10)
        reply = read_to_end(client)
        assert status(reply) == 431
        assert b'"field":"headers"' in reply
        client.close()


def test_a_large_head_in_one_piece_is_refused() -> None:
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 30_000 + b"\r\n\r\n"
    with serving(max_header=20_000) as server:
        assert status(server.exchange(head)) == 431
    with serving(max_header=40_000) as server:
        assert status(server.exchange(head, LAST_GET)) == 200


def test_many_small_headers_are_refused_too() -> None:
    head = b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % at for at in range(5000)) + b"\r\n"
    with serving(max_header=20_000) as server:
        assert status(server.exchange(head)) == 431


def test_a_long_body_is_not_taken_for_a_head() -> None:
    body = b"b" * 300_000
    post = b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + body
    with serving(max_header=20_000) as server:
        reply = server.exchange(post * 3 + LAST_GET)
        assert reply.count(b"200 OK") == 4
        assert reply.count(b"300000") == 3


@pytest.mark.parametrize("start", [b"", b"G", b"GET / HTTP/1.1\r\nHost: x\r\nX: ", GET + b"GET /"])
def test_a_head_that_does_not_end_is_cut_off(start: bytes) -> None:
    with serving(header_timeout=0.2, keep_alive=0.2) as server:
        began = time.monotonic()
        reply = server.exchange(start)
        assert time.monotonic() - began < 5
        assert reply.count(b"HTTP/1.1 ") == start.count(b"\r\n\r\n")


def test_trickling_does_not_extend_the_time_for_a_head() -> None:
    with serving(header_timeout=0.3) as server, server.connect() as client:
        began = time.monotonic()
        client.sendall(b"GET / HTTP/1.1\r\nX: ")
        client.settimeout(0.02)
        closed = False
        while not closed and time.monotonic() - began < 10:
            with contextlib.suppress(TimeoutError):
                closed = read_is_closed(client)
        assert closed


def read_is_closed(client: socket.socket) -> bool:
    try:
        client.sendall(b"a")
        return client.recv(10) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True


def test_an_idle_connection_is_closed() -> None:
    with serving(keep_alive=0.2) as server:
        assert status(server.exchange(GET)) == 200


def test_a_slow_answer_is_not_idling() -> None:
    toy = Toy()
    with serving(toy, keep_alive=0.1, header_timeout=0.1) as server, server.connect() as client:
        client.sendall(b"GET /hold HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert toy.entered.wait(10)
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(1)
        server.loop.call_soon_threadsafe(toy.release.set)
        client.settimeout(10)
        assert status(read_to_end(client)) == 200


def test_connections_beyond_the_limit_are_refused() -> None:
    with serving(max_connections=2) as server, contextlib.ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(server.connect())
            client.sendall(GET)
            read_until(client, b"hello")
        assert status(server.exchange()) == 503


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT host:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /size HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_no_request_is_answered_400_and_closed(junk: bytes) -> None:
    with serving() as server:
        reply = server.exchange(junk)
        # Once a request is being answered, its connection can only be cut.
        assert reply == b"" if b"zz" in junk else status(reply) == 400
        assert b"Traceback" not in reply
        assert status(server.exchange(LAST_GET)) == 200


def test_an_offer_to_upgrade_is_answered_as_it_stands() -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"
    with serving() as server:
        reply = server.exchange(b"GET / HTTP/1.1\r\nHost: x\r\n" + upgrade + b"\r\n")
        assert status(reply) == 200
        post = b"POST /size HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n" + upgrade + b"\r\nabcde"
        assert server.exchange(post).endswith(b"5")


@pytest.mark.parametrize("length", [65_534, 65_535, 65_536, 100_000])
def test_a_long_query_arrives_whole(length: int) -> None:
    with serving() as server:
        request = b"GET /query?" + b"q" * length + b" HTTP/1.1\r\nConnection: close\r\n\r\n"
        assert server.exchange(request).endswith(b"%d" % length)


@pytest.mark.parametrize("url", [b"/query?" + b"q" * 140_000, b"/" + b"p" * 140_000])
def test_a_url_that_is_too_long_is_refused(url: bytes) -> None:
    with serving() as server:
        reply = server.exchange(b"GET " + url + b" HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert status(reply) == 414
        assert b'"field":"url"' in reply


def test_the_rest_of_a_body_that_nobody_read_is_skipped() -> None:
    with serving() as server:
        head = b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
        reply = server.exchange(head, b"a" * 900_000, LAST_GET)
        assert [status(part) for part in reply.split(b"HTTP/1.1")[1:]] == [403, 200]


def test_a_client_that_asked_first_is_not_left_waiting() -> None:
    with serving() as server:
        head = (
            b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
        )
        began = time.monotonic()
        assert status(server.exchange(head)) == 403
        assert time.monotonic() - began < 5


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.binary(min_size=1, max_size=60), max_size=6))
def test_no_bytes_bring_the_server_down(shared_server: Server, pieces: list[bytes]) -> None:
    with shared_server.connect() as client:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for piece in pieces:
                client.sendall(piece)
            client.shutdown(socket.SHUT_WR)
        assert b"500 " not in read_to_end(client)
    assert status(shared_server.exchange(LAST_GET)) == 200


@pytest.fixture(scope="module")
def shared_server() -> Iterator[Server]:
    with serving() as server:
        yield server
