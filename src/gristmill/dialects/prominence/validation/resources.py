"""What a job asks for."""

import math
from typing import Any

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.validation.common import (
    check_keys,
    check_least,
    check_object,
    is_integer,
    is_number,
)

MOST_NODES, MOST_CPUS, MOST_GB = 10_000, 100_000, 1 << 30
MOST_MINUTES = 10 * 365 * 24 * 60
_KEYS = (
    "nodes", "cpus", "cpusRange", "cpusOptions", "memory", "memoryPerCpu", "disk", "walltime",
    "totalCpusRange",
)  # fmt: skip
_PAIRS = {
    "cpusRange": "cpusRange must be a list containing the min and max allowed number of CPUs",
    "cpusOptions": "cpusOptions must be a list containing the two possible number of CPUs",
    "totalCpusRange": (
        "totalCpusRange must be a list containing the min and max allowed total number of CPUs"
    ),
}


def check_resources(value: object) -> None:
    """Refuse resources."""
    wish = check_object(value, "resources")
    check_keys(wish, _KEYS, "resources")
    if "nodes" in wish:
        check_least(wish["nodes"], 1, MOST_NODES, "number of nodes")
    _check_cpus(wish)
    _check_memory(wish)
    if "disk" in wish:
        check_least(wish["disk"], 1, MOST_GB, "required disk")
    if "walltime" in wish:
        check_least(wish["walltime"], 1, MOST_MINUTES, "required walltime", " minute")


def _check_cpus(wish: dict[str, Any]) -> None:
    if "cpus" in wish:
        check_least(wish["cpus"], 1, MOST_CPUS, "number of cpus")
    given = [key for key in ("cpus", "cpusRange", "cpusOptions") if key in wish]
    if not given:
        raise bad("one of cpus, cpusRange, cpusOptions must be defined")
    for key, text in _PAIRS.items():
        if key in wish and not _is_pair(wish[key]):
            raise bad(text)
    if len(given) > 1 and wish.get("cpus") == 1:
        # The Python client adds it to every range.
        given.remove("cpus")
    if len(given) > 1:
        raise bad(f"{given[0]} and {given[1]} cannot both be defined")


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(is_integer(count) and 1 <= count <= MOST_CPUS for count in value)
        and value[0] <= value[1]
    )


def _check_memory(wish: dict[str, Any]) -> None:
    for key in ("memory", "memoryPerCpu"):
        if key in wish:
            _check_gigabytes(wish[key], key)
    if "memory" not in wish and "memoryPerCpu" not in wish:
        raise bad("memory or memoryPerCpu (in GB) must be defined")
    if "memory" in wish and "memoryPerCpu" in wish:
        raise bad("memory and memoryPerCpu cannot both be defined")


def _check_gigabytes(value: Any, key: str) -> None:
    if not is_number(value) or not math.isfinite(value):
        raise bad(f"{key} must be an integer")
    if value <= 0:
        raise bad(f"{key} must be at least 1")
    if value > MOST_GB:
        raise bad(f"{key} must be at most {MOST_GB}")


def most_cpus(wish: dict[str, Any]) -> int:
    """Return the largest number of cores per node that checked resources allow."""
    for key in ("cpusRange", "cpusOptions"):
        if key in wish:
            return int(wish[key][1])
    return int(wish["cpus"])
