"""A worker that comes in is asked at once whether it listens, not only when all are asked next."""

import asyncio

from gristmill.domain.clock import Chance
from gristmill.services.directory import WorkerEntry
from gristmill.services.schedules.board import Board, Offer

QUIET = 60.0
"""Seconds without a request after which the next one counts as coming in."""

SETTLING = 2.0
"""Seconds a worker and a socket need to find each other; what is sent before is lost."""


class Greeter:
    """Pings workers that begin to send requests."""

    def __init__(self, board: Board, chance: Chance) -> None:
        self._board, self._chance = board, chance
        self._heard: dict[int, float] = {}

    def heard(self, worker: WorkerEntry) -> None:
        """Note a request of a worker."""
        now = self._chance.monotonic()
        before = self._heard.get(worker.id)
        self._heard[worker.id] = now
        if before is None or now - before > QUIET:
            ping = Offer("ping", worker.id, worker.value.api_key)
            asyncio.get_running_loop().call_later(SETTLING, self._board.call, ping)
