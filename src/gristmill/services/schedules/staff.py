"""External workers as runs are offered to them: who is there, and who has room."""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from gristmill.services.schedules.board import Board
from gristmill.services.schedules.rules import ScheduleRules
from gristmill.store.database import Transaction


class Contact(NamedTuple):
    """What a worker last said. answered_at: epoch seconds; slots: runs it takes at a time."""

    answered_at: float | None
    version: str | None
    slots: int | None


class Colleague(NamedTuple):
    """A worker as offers see it. since: epoch seconds from which its silence counts."""

    id: int
    api_key: str
    enabled: bool
    contact: Contact
    since: float | None

    def responsive(self, rules: ScheduleRules, now: float) -> bool:
        """Whether it answered lately, or has not had the time to."""
        heard = max(self.contact.answered_at or 0.0, self.since or 0.0)
        return heard + rules.silence >= now


def colleagues(tx: Transaction) -> dict[int, Colleague]:
    """Return every worker, by id."""
    return {
        row[0]: Colleague(row[0], row[1] or "", bool(row[2]), Contact(*row[3:6]), row[6])
        for row in tx.all("list_worker_contacts")
    }


class Staff:
    """The workers as they are in one transaction, with the load on each."""

    def __init__(self, tx: Transaction, board: Board, rules: ScheduleRules, now: float) -> None:
        self.all = colleagues(tx)
        self._rules, self._now = rules, now
        self._load = Counter({row[0]: row[1] for row in tx.all("count_claims")})
        self._load.update(
            standing.worker_id
            for standing in list(board.standing.values())
            if standing.worker_id is not None
        )

    def offered(self, worker: int) -> None:
        """Count an offer."""
        self._load[worker] += 1

    def rank(self, workers: Iterable[int]) -> list[Colleague]:
        """Return the best of these workers: those that answer and have room, if there are any."""
        enabled = [self.all[number] for number in workers if self.all[number].enabled]
        awake = [one for one in enabled if one.responsive(self._rules, self._now)]
        free = [one for one in awake if self._has_room(one)]
        # Who has answered is surer to be there than who has only not had the time to.
        known = [one for one in free if one.contact.answered_at is not None]
        return known or free or awake or enabled

    def _has_room(self, one: Colleague) -> bool:
        return one.contact.slots is None or self._load[one.id] < one.contact.slots
