"""What this node has: cores, memory, disk, GPUs, and what it is called."""

import glob
import os
import platform
import shutil
import socket
from pathlib import Path

from gristmill.agent.config import AgentConfig
from gristmill.domain.clock import Chance
from gristmill.domain.resources import CPU_SHARES, Capacity, node

_MB = 1 << 20
_LEAST_ROOM = 1 << 16
"""Bytes that must be free on a volume for anything to be written: a block or two of each kind."""


def measure(config: AgentConfig) -> Capacity:
    """Return what the node offers: as configured, else all it has."""
    cpus = config.cpus if config.cpus is not None else float(os.cpu_count() or 1)
    memory = config.memory if config.memory is not None else _memory_mb()
    disk = config.disk
    if disk is None:
        disk = shutil.disk_usage(config.home).free // _MB
    gpus = config.gpus if config.gpus is not None else count_gpus()
    return node(round(cpus * CPU_SHARES), memory, disk, gpus)


def _memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MB


def share_of_memory_used() -> float:
    """Return how much of the node's memory is in use and cannot be had without ending something.

    0 where the kernel does not say.
    """
    fields = {}
    with open("/proc/meminfo", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            fields[name] = int(rest.split()[0])
    total, available = fields.get("MemTotal", 0), fields.get("MemAvailable", 0)
    return 1 - available / total if total else 0.0


def is_volume_full(path: str) -> bool:
    """Whether nothing more can be written where path is; a path that is gone says nothing."""
    try:
        volume = os.statvfs(path)
    except OSError:
        return False
    return volume.f_blocks > 0 and volume.f_bavail * volume.f_frsize < _LEAST_ROOM


def count_gpus() -> int:
    """Return how many NVIDIA devices the kernel shows."""
    return len(glob.glob("/dev/nvidia[0-9]*"))


def node_id(folder: Path, chance: Chance) -> str:
    """Return the node's stable id, made at the first start."""
    path = folder / "node"
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        made = f"{platform.node().split('.')[0] or 'node'}-{chance.token(6)}"
        fresh = path.with_suffix(".new")
        fresh.write_text(made)
        fresh.rename(path)
        return made


def own_address() -> str:
    """Return an address of this host that others can reach, the loopback's if there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Connecting a datagram socket sends nothing; it only picks the way out.
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"
