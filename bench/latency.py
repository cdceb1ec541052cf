"""How long from a request to a running process, beside starting that process directly."""

import subprocess
import time
from collections.abc import Callable

import msgspec

from bench.door import Door

COMMAND = "date +%s.%N"
"""Tells the time itself as soon as it runs, so that nobody's records have to be believed."""

GAP = 0.02
"""Seconds of rest before each, so that the server is idle."""


def gristmill_latency(door: Door, jobs: int) -> list[float]:
    """Submit jobs one by one; return for each the seconds from the request to what it printed."""
    body = msgspec.json.encode({"command": COMMAND})

    def run() -> bytes:
        job = door.submit(body)["id"]
        door.ask("GET", f"/v1/jobs/{job}/wait?timeout=60")
        return door.ask("GET", f"/v1/jobs/{job}/stdout")

    return _latencies(run, jobs)


def direct_latency(jobs: int) -> list[float]:
    """Start the command without a queue; return the seconds until what it printed."""

    def run() -> bytes:
        return subprocess.run(["sh", "-c", COMMAND], stdout=subprocess.PIPE, check=True).stdout

    return _latencies(run, jobs)


def _latencies(run: Callable[[], bytes], jobs: int) -> list[float]:
    found = []
    for _ in range(jobs):
        time.sleep(GAP)
        began = time.time()
        found.append(float(run()) - began)
    return found
