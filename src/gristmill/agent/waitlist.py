"""Members that wait on the agent for room, and what the agent could start soon."""

import math
from collections import Counter, deque
from collections.abc import Iterator

from gristmill.agent.member import Key, Member
from gristmill.domain.resources import Capacity

HOT_SECONDS = 0.3
"""How much work of short jobs is kept at hand, so that no slot idles through a round trip."""

MOST_HOT = 400
"""Members of one shape kept at hand at most."""

BRISK_SECONDS = 0.02
"""Duration below which members are so short that the trip around them matters."""

SURE = 8
"""Members of a shape that must have run before any is kept at hand."""

LONGEST_AT_HAND = 2.0
"""Seconds a member may wait here; then the guess was wrong, and others may have room."""

_WEIGHT = 0.1
"""How fast the estimate of a shape's duration follows the last one."""


class Waitlist:
    """Leased members without a process, by shape, each shape in the order it came."""

    def __init__(self) -> None:
        self._by_shape: dict[int, deque[Member]] = {}
        self._seconds: dict[int, float] = {}
        self._ran: Counter[int] = Counter()
        self._needs: dict[int, Capacity] = {}
        self._keys: set[Key] = set()

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[Member]:
        for waiting in self._by_shape.values():
            yield from waiting

    def add(self, member: Member) -> bool:
        """Add a member, unless it is there already."""
        if member.key in self._keys:
            return False
        self._keys.add(member.key)
        self._by_shape.setdefault(member.lease.shape, deque()).append(member)
        return True

    @property
    def brisk(self) -> bool:
        """Whether what waits takes but moments to run."""
        for shape in self._by_shape:
            return self._seconds.get(shape, math.inf) < BRISK_SECONDS
        return False

    def next_fitting(self, free: Capacity) -> Member | None:
        """Remove and return a member that fits now."""
        for shape, waiting in self._by_shape.items():
            if free.fits(waiting[0].need):
                member = waiting.popleft()
                if not waiting:
                    del self._by_shape[shape]
                self._keys.discard(member.key)
                return member
        return None

    def remove(self, key: Key) -> Member | None:
        """Remove and return a member by its key."""
        for shape, waiting in self._by_shape.items():
            for member in waiting:
                if member.key == key:
                    waiting.remove(member)
                    if not waiting:
                        del self._by_shape[shape]
                    self._keys.discard(key)
                    return member
        return None

    def take_stale(self, now: float) -> list[Member]:
        """Remove and return the members that wait for longer than they should."""
        stale = [each for each in self if now - each.came > LONGEST_AT_HAND]
        for member in stale:
            self.remove(member.key)
            # Its kind is not so short after all: ask for none of it until that is seen again.
            shape = member.lease.shape
            self._seconds[shape] = max(self._seconds.get(shape, 0.0), LONGEST_AT_HAND)
        return stale

    def took(self, member: Member, seconds: float) -> None:
        """Learn how long a member of a shape takes."""
        shape = member.lease.shape
        self._ran[shape] += 1
        known = self._seconds.get(shape)
        self._needs[shape] = member.need
        self._seconds[shape] = seconds if known is None else known + _WEIGHT * (seconds - known)

    def wishes(self, capacity: Capacity) -> dict[int, int]:
        """Return how many more members of each short shape would be started soon.

        A shape is asked for only when less than half of what is kept at hand is left, so that
        leases come in batches.
        """
        wishes = {}
        for shape, seconds in self._seconds.items():
            if seconds > HOT_SECONDS * 4 or self._ran[shape] < SURE:
                continue
            at_once = parallel(capacity, self._needs[shape])
            wanted = min(MOST_HOT, math.ceil(at_once * HOT_SECONDS / max(seconds, 1e-4)))
            waiting = len(self._by_shape.get(shape, ()))
            if waiting * 2 <= wanted:
                wishes[shape] = wanted - waiting
        return wishes


def parallel(capacity: Capacity, need: Capacity) -> int:
    """Return how many members with this need run at once on the whole node."""
    shares = [
        have // want
        for have, want in (
            (capacity.cpu_shares, need.cpu_shares),
            (capacity.memory, need.memory),
            (capacity.disk, need.disk),
            (capacity.gpus, need.gpus),
            (capacity.light, need.light),
        )
        if want > 0
    ]
    return min(shares, default=1)
