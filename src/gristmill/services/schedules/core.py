"""What all parts of the schedules share."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.registry import Registry
from gristmill.services.queue.submit import Submitter
from gristmill.services.schedules.board import Board
from gristmill.services.schedules.rules import Notifier, ScheduleRules


class Nudges:
    """Which schedules are to be looked at, because something about them may have changed."""

    def __init__(self) -> None:
        self.came = asyncio.Event()
        self.everything = True
        self._schedules: dict[int, None] = {}

    def add(self, schedules: Iterable[int]) -> None:
        """Have schedules looked at."""
        self._schedules.update(dict.fromkeys(schedules))
        self.came.set()

    def all(self) -> None:
        """Have every schedule with open runs looked at, and the pools that agents serve."""
        self.everything = True
        self.came.set()

    def take(self, most: int) -> list[int]:
        """Return schedules to look at, oldest nudge first."""
        taken = list(self._schedules)[:most] if len(self._schedules) > most else [*self._schedules]
        for schedule in taken:
            del self._schedules[schedule]
        if not self._schedules and not self.everything:
            self.came.clear()
        return taken


@dataclass(frozen=True)
class ScheduleCore:
    """Handed to every part."""

    queue: QueueCore
    registry: Registry
    submitter: Submitter
    rules: ScheduleRules
    notifier: Notifier
    board: Board = field(default_factory=Board)
    nudges: Nudges = field(default_factory=Nudges)
