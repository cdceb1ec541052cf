"""Points that were answered with 201 outlive any kill -9 of the server."""

import threading
from random import Random

import httpx2
import pytest

from tests.e2e.conftest import Start
from tests.e2e.harness import LIMIT, LOOK, RunningServer

KILLS = 5
POSTERS = 4


class Poster:
    """Posts single points, one after another, until told to stop; keeps those acknowledged."""

    def __init__(self, server: RunningServer, number: int, over: threading.Event) -> None:
        self.pod, self.acknowledged, self.sent, self.before = f"pod-{number}", list[str](), 0, 0
        self._server, self._over = server, over
        self.thread = threading.Thread(target=self._post_on)
        self.thread.start()

    def has_gone_on(self) -> bool:
        """Whether a point was acknowledged since ``before``."""
        assert self.thread.is_alive()
        return len(self.acknowledged) > self.before

    def _post_on(self) -> None:
        client = httpx2.Client(timeout=LIMIT)
        while not self._over.is_set():
            point = {"pod_name": self.pod, "name": "n", "value": str(self.sent)}
            self.sent += 1
            try:
                reply = client.post(f"{self._server.url_http}/api/metrics", json=point)
            except httpx2.TransportError:
                self._over.wait(LOOK)
                continue
            assert reply.status_code in {201, 503}, reply.text
            if reply.status_code == 201:
                self.acknowledged.append(point["value"])
        client.close()


@pytest.mark.timeout(300)
def test_no_acknowledged_point_is_lost(start: Start) -> None:
    random, pause, over = Random(29_500), threading.Event(), threading.Event()
    server = start("--engine", "none", "--https", "off")
    posters = [Poster(server, number, over) for number in range(POSTERS)]
    try:
        for _ in range(KILLS):
            for poster in posters:
                poster.before = len(poster.acknowledged)
            pause.wait(random.uniform(0.2, 0.8))
            while not all(map(Poster.has_gone_on, posters)):
                pause.wait(LOOK)
            server.kill9()
            server.start()
    finally:
        over.set()
        for poster in posters:
            poster.thread.join(LIMIT)
    for poster in posters:
        reply = httpx2.get(f"{server.url_http}/api/metrics/{poster.pod}/", timeout=LIMIT)
        values = [point["value"] for point in reply.json()["n"]]
        assert len(values) == len(set(values)), "a point is there once"
        assert set(poster.acknowledged) <= set(values)
        assert len(values) <= poster.sent
