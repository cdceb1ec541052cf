"""Metric points: posted one by one over several connections, and read as a summary."""

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from gristmill.domain.clock import Chance
from gristmill.domain.identity import Identity
from gristmill.domain.metrics import NewPoint, Point
from gristmill.services.house import House
from gristmill.services.metrics.reader import Wanted
from gristmill.store.database import open_database

CONNECTIONS = 8
POINT = b'{"pod_name":"bench-%d","name":"loss","value":"0.25","cumulative":false,"metadata":"x"}'
MICRO = 1_000_000
BATCH = 200_000
GROUPS = 1000
ANN = Identity(user="ann")


@contextmanager
def bare_endpoint(kind: str) -> Iterator[str]:
    """Run an endpoint of ``bench.bare``; yield its URL."""
    words = [sys.executable, "-m", "bench.bare", kind]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def posting_rate(url: str, points: int) -> float:
    """Post points one by one over all connections at once; return points a second."""
    share = points // CONNECTIONS
    place = urlsplit(url)
    errors: list[BaseException] = []

    def post(number: int) -> None:
        try:
            _post_all(place.hostname or "", place.port or 0, POINT % number, share)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=post, args=(number,)) for number in range(CONNECTIONS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return share * CONNECTIONS / (time.perf_counter() - began)


def _post_all(host: str, port: int, body: bytes, times: int) -> None:
    request = (
        b"POST /api/metrics HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    with socket.create_connection((host, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(times):
            connection.sendall(request)
            _check(connection)


def _check(connection: socket.socket) -> None:
    """Read one reply, which must say that the point was taken."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 201"):
        raise AssertionError(data[:300])
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += _some(connection)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data


def summary_seconds(home: Path, points: int, repeats: int) -> list[float]:
    """Record so many points in big batches; return the seconds that reading a summary takes."""
    home.mkdir()
    return asyncio.run(_summaries(home, points, repeats))


async def _summaries(home: Path, points: int, repeats: int) -> list[float]:
    database = open_database(f"sqlite:///{home}/bench.db", home)
    database.start()
    try:
        house = House(home, database, Chance())
        await house.start()
        for start in range(0, points, BATCH):
            size = min(BATCH, points - start)
            batch = [
                NewPoint("s", "n", Point((start + n) * MICRO, repr(float(n)))) for n in range(size)
            ]
            await house.metrics.recorder.record(ANN, batch)
        seen = []
        for _ in range(repeats):
            began = time.perf_counter()
            found = await house.metrics.reader.read(ANN, "s", Wanted(groups=GROUPS))
            seen.append(time.perf_counter() - began)
            assert len(found["n"]) == min(points, GROUPS)
        house.release()
        await house.stop()
        return seen
    finally:
        database.close()
