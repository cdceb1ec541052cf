"""Jobs that ask for the same things share a shape."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gristmill.domain.resources import Capacity, need


class Shape(NamedTuple):
    """What an agent must have to run a member of a job.

    cpu_shares, memory, disk, gpus: per member. nodes: members at once. container: needs an
    engine. constraints: labels the agent must carry, sorted.
    """

    cpu_shares: int
    memory: int
    disk: int
    gpus: int
    nodes: int
    container: bool
    pool: str
    constraints: tuple[tuple[str, str], ...]

    @property
    def need(self) -> Capacity:
        """What one member takes."""
        return need(self.cpu_shares, self.memory, self.disk, self.gpus)


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
    return all(labels.get(key) == value for key, value in shape.constraints)
