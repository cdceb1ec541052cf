"""What a job asks of a node, and what a node has to give."""

import math
from typing import Annotated

import msgspec

CPU_SHARES = 1000
"""CPUs are counted in thousandths of a core, so that fractions add up exactly."""

DEFAULT_MEMORY_MB = 1024
"""The wr default of one gigabyte; one constant for every dialect (DESIGN)."""

Cpus = Annotated[float, msgspec.Meta(ge=0, le=100_000)]
Megabytes = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=10 * 365 * 86400)]


class Resources(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """What one job asks for, per node.

    cpus: cores, 0 and fractions allowed. memory, disk: megabytes. gpus: whole devices.
    nodes: how many nodes at once; more than one makes the job a gang.
    walltime: seconds of running time, None for no limit. cpu_choices: further numbers of cores
    that will do, none below cpus; the largest for which there is room when the job is given out
    is taken. memory_per_cpu: megabytes a core taken, in place of memory.
    """

    cpus: Cpus = 1.0
    memory: Megabytes = DEFAULT_MEMORY_MB
    disk: Megabytes = 0
    gpus: Annotated[int, msgspec.Meta(ge=0, le=4096)] = 0
    nodes: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 1
    walltime: Seconds | None = None
    cpu_choices: Annotated[tuple[Cpus, ...], msgspec.Meta(max_length=10_000)] = ()
    memory_per_cpu: Annotated[int, msgspec.Meta(ge=1, le=1 << 30)] | None = None


class Capacity(msgspec.Struct, array_like=True):
    """Amounts of a node: thousandths of a core, megabytes, megabytes, devices.

    light: how many members that ask for no cpu at all; memory alone would let in too many.
    """

    cpu_shares: int
    memory: int
    disk: int
    gpus: int
    light: int = 0

    def fits(self, need: "Capacity") -> bool:
        """Whether need is covered in every dimension."""
        return (
            need.cpu_shares <= self.cpu_shares
            and need.memory <= self.memory
            and need.disk <= self.disk
            and need.gpus <= self.gpus
            and need.light <= self.light
        )

    def take(self, need: "Capacity") -> None:
        """Subtract need; the caller has checked that it fits."""
        self.cpu_shares -= need.cpu_shares
        self.memory -= need.memory
        self.disk -= need.disk
        self.gpus -= need.gpus
        self.light -= need.light

    def give(self, back: "Capacity") -> None:
        """Add what was taken."""
        self.cpu_shares += back.cpu_shares
        self.memory += back.memory
        self.disk += back.disk
        self.gpus += back.gpus
        self.light += back.light

    def copy(self) -> "Capacity":
        """Return an independent copy."""
        return Capacity(self.cpu_shares, self.memory, self.disk, self.gpus, self.light)


def need_of(resources: Resources) -> Capacity:
    """Return what one member of the job takes from one node."""
    return need(
        round(resources.cpus * CPU_SHARES),
        memory_for(resources, resources.cpus),
        resources.disk,
        resources.gpus,
    )


def memory_for(resources: Resources, cpus: float) -> int:
    """Return the megabytes that go with this number of cores."""
    if resources.memory_per_cpu is None:
        return resources.memory
    return math.ceil(resources.memory_per_cpu * cpus)


def need(cpu_shares: int, memory: int, disk: int, gpus: int) -> Capacity:
    """Return what a member with these wishes takes; one without cpu counts as a light one."""
    return Capacity(cpu_shares, memory, disk, gpus, 0 if cpu_shares else 1)


def node(cpu_shares: int, memory: int, disk: int, gpus: int) -> Capacity:
    """Return what a node has; it takes two light members a core."""
    return Capacity(cpu_shares, memory, disk, gpus, max(2, 2 * cpu_shares // CPU_SHARES))
