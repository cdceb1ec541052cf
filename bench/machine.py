"""What the figures were measured on."""

import os
import platform
from pathlib import Path

import apsw
import psutil


def facts(folder: Path) -> list[tuple[str, str]]:
    """Describe the machine before anything is measured; folder: where the databases will be."""
    return [
        ("cores", str(os.cpu_count())),
        ("processor", _processor()),
        ("memory", f"{psutil.virtual_memory().total / (1 << 30):.1f} GiB"),
        ("kernel", f"{platform.system()} {platform.release()}"),
        ("file system", _file_system(folder)),
        ("Python", platform.python_version()),
        ("SQLite", apsw.sqlite_lib_version()),
        ("load before", f"{os.getloadavg()[0]:.1f} processes of others"),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    mounts = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    inside = [str(parent) for parent in [folder, *folder.parents] if str(parent) in mounts]
    return mounts[inside[0]] if inside else "unknown"
