"""Memory and idle CPU of a server and its agent."""

import subprocess
import sys
import time
from dataclasses import dataclass

import psutil

from gristmill.demo.private_server import PrivateServer

MB = 1 << 20


@dataclass(frozen=True)
class Footprint:
    """Megabytes, and the share of one core that it took while idle."""

    resident: float
    proportional: float
    idle: float


def footprints(server: PrivateServer, seconds: float) -> dict[str, Footprint]:
    """Watch the processes of an idle server for so many seconds."""
    card = server.card
    assert card is not None
    processes = {"server": psutil.Process(server.pid), "agent": psutil.Process(card.pid)}
    before = {name: _cpu_seconds(process) for name, process in processes.items()}
    began = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    found = {}
    for name, process in processes.items():
        idle = (_cpu_seconds(process) - before[name]) / passed
        memory = process.memory_full_info()
        found[name] = Footprint(memory.rss / MB, memory.pss / MB, idle)
    return found


def interpreter_megabytes() -> float:
    """Return the proportional memory of a Python that does nothing, for comparison."""
    words = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        megabytes: float = psutil.Process(process.pid).memory_full_info().pss / MB
        process.communicate(b"\n")
    return megabytes


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
