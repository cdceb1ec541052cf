"""How many `sh -c true` a second, from submission to recorded result, beside xargs."""

import subprocess
import time
from itertools import count

from bench.door import Door, jobs_body

PARALLEL = 2
"""Processes at a time, for xargs and for the agent alike."""

_rounds = count(1)


def gristmill_rate(door: Door, jobs: int) -> float:
    """Submit the jobs in one request; return jobs a second until the last is complete."""
    group = f"rate-{next(_rounds)}"
    body = jobs_body(b'{"command":"true","group":"%s"}' % group.encode(), jobs)
    began = time.perf_counter()
    door.submit(body)
    door.await_group(group, jobs)
    return jobs / (time.perf_counter() - began)


def xargs_rate(jobs: int) -> float:
    """Run the same with xargs; return processes a second."""
    words = ["xargs", "-P", str(PARALLEL), "-n", "1", "sh", "-c", "true"]
    began = time.perf_counter()
    subprocess.run(words, input=b"x\n" * jobs, check=True)
    return jobs / (time.perf_counter() - began)
