"""Through which door a job came in."""

from enum import IntEnum


class Dialect(IntEnum):
    """The interface a job was submitted through. The numbers are stored; never renumber."""

    NATIVE = 0
    WR = 1
    PROMINENCE = 2
    JOB_RUNNER = 3
    OMEGA_ML = 4
    MLBENCH = 5
    SCHEDULE = 6

    @property
    def word(self) -> str:
        """The dialect as people write it."""
        return self.name.lower().replace("_", "-")


RUNS = frozenset({Dialect.JOB_RUNNER.value, Dialect.SCHEDULE.value})
"""Jobs from there are runs of schedules: when they are due they still wait for their turn."""
