"""A clock that tests move by hand."""

from gristmill.domain.clock import Chance


class Clock:
    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def chance(self) -> Chance:
        return Chance(now=lambda: self.time, monotonic=lambda: self.time)
