"""Jobs that ask for the same things share a shape."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gristmill.domain.learning import Override, settle
from gristmill.domain.resources import Capacity, need

AnyOf = tuple[tuple[str, tuple[str, ...]], ...]


class Shape(NamedTuple):
    """What an agent must have to run a member of a job.

    cpu_shares, memory, disk, gpus: per member. nodes: members at once. container: needs an
    engine. constraints: labels the agent must carry, sorted. bucket, override, disk_given: how
    learning changes the amounts; seconds: the running time to reckon with, 0 if unknown.
    choices: further thousandths of a core that will do, each with its megabytes, largest first.
    require: labels, each with values of which the agent must have one; prefer: best value first.
    """

    cpu_shares: int
    memory: int
    disk: int
    gpus: int
    nodes: int
    container: bool
    pool: str
    constraints: tuple[tuple[str, str], ...]
    bucket: str = ""
    override: int = 0
    disk_given: bool = False
    seconds: float = 0.0
    choices: tuple[tuple[int, int], ...] = ()
    require: AnyOf = ()
    prefer: AnyOf = ()

    @property
    def need(self) -> Capacity:
        """What one member takes."""
        return need(self.cpu_shares, self.memory, self.disk, self.gpus)


class Advice(NamedTuple):
    """What a bucket's jobs are known to need; None where nothing was seen yet."""

    memory: int | None = None
    disk: int | None = None
    seconds: int | None = None


def advised(asked: Shape, advice: Advice) -> Shape:
    """Return the shape with the amounts to reckon with."""
    override = Override(asked.override)
    disk = settle(asked.disk, advice.disk, override, given=asked.disk_given)
    seconds = settle(math.ceil(asked.seconds), advice.seconds, override)
    return asked._replace(
        memory=settle(asked.memory, advice.memory, override),
        disk=disk,
        seconds=asked.seconds if seconds == math.ceil(asked.seconds) else float(seconds),
    )


def suits(
    shape: Shape, *, pools: Sequence[str], labels: Mapping[str, str], runtimes: Sequence[str]
) -> bool:
    """Whether an agent with these properties could run the shape, room apart.

    A shape without a pool belongs to the pool ``default``; an agent without pools serves it.
    """
    if (shape.pool or "default") not in (pools or ("default",)):
        return False
    if shape.container and "container" not in runtimes:
        return False
    return all(labels.get(key) == value for key, value in shape.constraints) and all(
        labels.get(key) in values for key, values in shape.require
    )


def preference(shape: Shape, labels: Mapping[str, str]) -> tuple[int, ...]:
    """Rank an agent by the shape's preferences; the smallest rank is the best."""
    return tuple(
        values.index(labels[key]) if labels.get(key) in values else len(values)
        for key, values in shape.prefer
    )
