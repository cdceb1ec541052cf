"""Ranks that may only send so much: the limit holds on real traffic, and the server is reached."""

import asyncio
import http.server
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from gristmill.agent.network.__main__ import SHORTEST_BURST
from gristmill.agent.network.networks import Networks, is_able
from gristmill.domain.bandwidth import ENFORCED, LABEL, rank_address
from gristmill.domain.job import JobSpec
from gristmill.domain.outcome import COULD_NOT_START
from gristmill.protocol.messages import Finished, GangPlace, Lease
from tests.agent.workshop import Workshop

LIMIT = 60.0
PORT = 29_777
RATE = 40.0
SENT = 4 << 20
STREAM = """
import os, socket, sys, time, urllib.request
rank, size = int(os.environ["RANK"]), int(sys.argv[1])
if rank == 0:
    with socket.create_server((os.environ["MASTER_ADDR"], 29777)) as server:
        server.settimeout(60)
        connection, (peer, _) = server.accept()
        first, began, left = connection.recv(1), time.monotonic(), size - 1
        while left:
            left -= len(connection.recv(min(left, 1 << 16)))
        print(peer, time.monotonic() - began)
        connection.sendall(b"thanks")
else:
    until = time.monotonic() + 60
    while True:
        try:
            connection = socket.create_connection((os.environ["MASTER_ADDR"], 29777), timeout=60)
            break
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)
    connection.sendall(bytes(size))
    assert connection.recv(6) == b"thanks"
"""
ASK = """
import os, urllib.request
for address in (os.environ["API"], "http://" + os.environ["ELSEWHERE"]):
    print(urllib.request.urlopen(address, timeout=60).read().decode(), flush=True)
"""

needs_right = pytest.mark.skipif(not is_able(), reason="networks cannot be made here")


class Place(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        text = f"{self.headers['host']} {self.path}".encode()
        self.send_response(200)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def web_server(host: str) -> Iterator[int]:
    """Serve at an address of this machine's loopback; yield the port."""
    server = http.server.ThreadingHTTPServer((host, 0), Place)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def gang(workshop: Workshop, spec: JobSpec, ranks: int = 2) -> list[Lease]:
    """Return the leases of all ranks of one job."""
    first = workshop.lease(spec)
    place = GangPlace(ranks, ["127.0.0.1"] * ranks, 29_500)
    return [msgspec.structs.replace(first, rank=rank, gang=place) for rank in range(ranks)]


def run_ranks(folder: Path, spec: JobSpec) -> list[Finished]:
    """Run a job of two ranks; afterwards nothing of its network is left."""

    async def go() -> list[Finished]:
        async with Workshop(folder) as workshop:
            workshop.runner.accept(gang(workshop, spec))
            await workshop.until(lambda: len(workshop.runner.finished) == 2)
            keepers = workshop.helpers._waiting
            await workshop.poll(lambda: not keepers)
            return sorted(workshop.runner.finished, key=lambda end: end.rank)

    return asyncio.run(go())


def said(end: Finished) -> list[str]:
    assert end.stdout is not None
    return end.stdout.data.decode().split()


def python(script: str, *words: str) -> str:
    return " ".join([sys.executable, "-c", f"'{script}'", *words])


@needs_right
def test_a_rank_sends_no_faster_than_it_may(tmp_path: Path) -> None:
    command = python(STREAM.replace("'", '"'), str(SENT))
    first, second = run_ranks(tmp_path, JobSpec(command=command, distributed=True, bandwidth=RATE))
    assert (first.succeeded, second.succeeded) == (True, True), (first, second)
    peer, seconds = said(first)
    assert peer == rank_address(1)
    burst = max(SHORTEST_BURST, RATE * 1e6 / 8 * 0.02)
    assert float(seconds) > 0.9 * (SENT - 2 * burst) * 8 / (RATE * 1e6)


@needs_right
def test_servers_of_this_machine_are_reached_by_their_address_and_the_web_by_a_proxy(
    tmp_path: Path,
) -> None:
    with web_server("127.0.0.1") as near, web_server("127.0.0.9") as far:
        spec = JobSpec(
            command=python(ASK.replace("'", '"')),
            distributed=True,
            bandwidth=1.0,
            env={
                "API": f"http://127.0.0.1:{near}/api",
                "ELSEWHERE": f"127.0.0.9:{far}/a?b=c",
                "no_proxy": "127.0.0.1",
            },
        )
        for end in run_ranks(tmp_path, spec):
            assert end.succeeded, end
            assert said(end) == [f"127.0.0.1:{near}", "/api", f"127.0.0.9:{far}", "/a?b=c"]


@needs_right
def test_a_network_that_cannot_be_made_fails_the_ranks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    broken = tmp_path / "bin" / "tc"
    broken.write_text("#!/bin/sh\necho no such thing >&2; exit 1\n")
    broken.chmod(0o755)

    def able() -> bool:
        return True

    monkeypatch.setattr("gristmill.agent.network.networks.is_able", able)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    for end in run_ranks(tmp_path, JobSpec(command="true", distributed=True, bandwidth=1.0)):
        assert (end.succeeded, end.reason) == (False, COULD_NOT_START)
        assert "no such thing" in end.message


def test_without_the_right_ranks_run_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    command = "echo $MASTER_ADDR $http_proxy"
    for end in run_ranks(tmp_path, JobSpec(command=command, distributed=True, bandwidth=1.0)):
        assert said(end) == ["127.0.0.1"]


@needs_right
def test_a_node_that_can_says_so_by_a_label(tmp_path: Path) -> None:
    async def go() -> None:
        async with Workshop(tmp_path) as workshop:
            networks: Networks = workshop.runner._networks
            assert networks.labels == {LABEL: ENFORCED}

    asyncio.run(go())
