"""Which ready jobs go to which waiting agents, decided and written in one transaction.

Order is priority, then age. A job that fits nowhere lets smaller ones pass, but not for longer
than PATIENCE: then the agents it could run on take nothing ranked below it until it fits.
"""

import heapq
from collections.abc import Iterable

import msgspec

from gristmill.domain.resources import Capacity, need
from gristmill.domain.shape import Shape, preference, suits
from gristmill.domain.state import JobState, Trigger
from gristmill.protocol.messages import GangPlace, Lease
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.registry import LiveAgent
from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead, take_ready

PATIENCE = 10.0
"""Seconds a job that fits nowhere lets others pass."""

MOST_A_CLAIM = 512
"""Jobs leased in one transaction; the next claim follows at once."""

GANG_PORTS = range(20_000, 30_000)

Rank = tuple[int, int]
"""Sorts jobs: (-priority, id)."""


class Room:
    """One waiting agent during a claim: what it has free, what it would queue."""

    def __init__(self, agent: LiveAgent) -> None:
        assert agent.request is not None
        self.agent = agent
        self.request = agent.request
        self.free = agent.request.free.copy()
        self.hot = dict(agent.request.hot)
        self.labels = agent.labels
        self.reserved = False
        self.leases: list[Lease] = []

    def suits(self, shape: Shape) -> bool:
        """Whether the agent could run the shape and is not kept free for another."""
        agent = self.agent
        return not self.reserved and suits(
            shape, pools=agent.pools, labels=self.labels, runtimes=agent.row.runtimes
        )

    def rank(self, shape: Shape) -> tuple[tuple[int, ...], int]:
        """Sort rooms by the shape's preferences, then the one with most free cores first."""
        return preference(shape, self.labels), -self.free.cpu_shares

    def could_ever(self, need: Capacity) -> bool:
        """Whether the need fits when nothing else runs there."""
        return self.agent.row.capacity.fits(need)

    def count(self, need: Capacity, most: int) -> int:
        """Return how many of the need fit into what is free, at most most."""
        shares = [
            have // want
            for have, want in zip(_amounts(self.free), _amounts(need), strict=True)
            if want > 0
        ]
        return max(0, min([most, *shares]))


def _amounts(capacity: Capacity) -> tuple[int, int, int, int, int]:
    return (
        capacity.cpu_shares,
        capacity.memory,
        capacity.disk,
        capacity.gpus,
        capacity.light,
    )


class Claim:
    """One round of leasing.

    heads: shape -> rank of its first ready job; brought up to date by run.
    fresh: shapes whose head may have changed. blocked_since: shape -> monotonic seconds since
    when its head fits nowhere; kept by the caller between rounds.
    """

    def __init__(
        self,
        core: QueueCore,
        agents: Iterable[LiveAgent],
        heads: dict[int, Rank],
        fresh: frozenset[int],
        blocked_since: dict[int, float],
    ) -> None:
        self.heads = heads
        self.rooms = [Room(agent) for agent in agents]
        self.taken = 0
        self._core, self._fresh, self._blocked_since = core, fresh, blocked_since
        self._now = core.chance.now()
        self._reckoned: list[tuple[int, float, int, int]] = []

    def run(self, tx: Transaction) -> list[Room]:
        """Lease what fits; return the agents' rooms with their leases."""
        self._refresh(tx)
        ledger = Ledger(self._core, tx, self._now)
        ranked = [(rank, number) for number, rank in self.heads.items()]
        heapq.heapify(ranked)
        buffers: dict[int, list[tuple[JobHead, bytes]]] = {}
        while ranked and self.taken < MOST_A_CLAIM:
            _, number = heapq.heappop(ranked)
            shape = self._core.shapes.by_id[number]
            buffer = buffers.get(number)
            if buffer is None:
                buffer = buffers[number] = self._fetch(tx, number, shape)
            if buffer and self._place(tx, ledger, number, shape, *buffer[-1]):
                buffer.pop()
                if self._advance(number, buffer):
                    heapq.heappush(ranked, (self.heads[number], number))
            elif number in self.heads:
                self._note_blocked(tx, number, shape)
        if self._reckoned:
            tx.many("set_expected", self._reckoned)
        ledger.close()
        return self.rooms

    def _refresh(self, tx: Transaction) -> None:
        for number in self._fresh:
            row = tx.one("get_ready_heads", shape=number)
            if row is None:
                self._drop(number)
            else:
                self.heads[number] = (-row[1], row[0])

    def _drop(self, number: int) -> None:
        self.heads.pop(number, None)
        self._blocked_since.pop(number, None)

    def _fetch(self, tx: Transaction, number: int, shape: Shape) -> list[tuple[JobHead, bytes]]:
        """Return the shape's first ready jobs, the first one last.

        One more than could be placed, so that the next head is known without another look.
        """
        most = MOST_A_CLAIM - self.taken
        places = sum(
            room.count(shape.need, most) + room.hot.get(number, 0)
            for room in self.rooms
            if room.suits(shape)
        )
        gangs = min(places // shape.nodes, most)
        if gangs == 0:
            return []
        rows = take_ready(tx, number, gangs + 1)
        if not rows:
            self._drop(number)
        rows.reverse()
        return rows

    def _advance(self, number: int, buffer: list[tuple[JobHead, bytes]]) -> bool:
        self.taken += 1
        self._blocked_since.pop(number, None)
        if not buffer:
            del self.heads[number]
            return False
        head = buffer[-1][0]
        self.heads[number] = (-head.priority, head.id)
        return True

    def _place(
        self,
        tx: Transaction,
        ledger: Ledger,
        number: int,
        shape: Shape,
        head: JobHead,
        spec: bytes,
    ) -> bool:
        chosen, taken = self._choose(number, shape)
        if not chosen:
            return False
        ledger.adopt(head)
        head.attempt += 1
        head.agent_id = chosen[0].agent.row.id
        head.started_at = head.ended_at = head.exit_code = head.reason = head.ready_at = None
        ledger.move(head, Trigger.LEASE, JobState.RESERVED)
        gang = self._gang(tx, head, chosen) if shape.nodes > 1 else None
        if shape.bucket:
            self._reckoned.append((shape.memory, shape.seconds, shape.disk, head.id))
        for rank, room in enumerate(chosen):
            room.leases.append(
                Lease(head.id, head.attempt, rank, number, msgspec.Raw(spec), {}, gang, taken)
            )
        return True

    def _choose(self, number: int, shape: Shape) -> tuple[list[Room], Capacity | None]:
        """Return a room a member, their free amounts already reduced; empty when none fit.

        And what each member takes, where that is not what the job asks for.
        """
        for shares, memory in shape.choices:
            larger = need(shares, memory, shape.disk, shape.gpus)
            chosen = self._seat(larger, shape)
            if chosen:
                return chosen, larger
        chosen = self._seat(shape.need, shape)
        if not chosen and shape.nodes == 1:
            chosen = self._choose_hot(number, shape)
        return chosen, shape.need if shape.bucket or shape.choices else None

    def _seat(self, wanted: Capacity, shape: Shape) -> list[Room]:
        """Return a room for each member of a job that wants this much in each, or none."""
        chosen: list[Room] = []
        while len(chosen) < shape.nodes:
            fitting = [room for room in self.rooms if room.free.fits(wanted) and room.suits(shape)]
            if not fitting:
                break
            room = max(fitting, key=lambda room: room.free.cpu_shares)
            if shape.prefer:
                room = min(fitting, key=lambda room: room.rank(shape))
            room.free.take(wanted)
            chosen.append(room)
        if len(chosen) == shape.nodes:
            return chosen
        for room in chosen:
            room.free.give(wanted)
        return []

    def _choose_hot(self, number: int, shape: Shape) -> list[Room]:
        for room in self.rooms:
            if room.hot.get(number, 0) > 0 and room.suits(shape):
                room.hot[number] -= 1
                return [room]
        return []

    def _gang(self, tx: Transaction, head: JobHead, chosen: list[Room]) -> GangPlace:
        tx.many(
            "insert_gang_members",
            [(head.id, head.attempt, rank, room.agent.row.id) for rank, room in enumerate(chosen)],
        )
        hosts = [room.agent.row.address for room in chosen]
        port = GANG_PORTS[(head.id * 31 + head.attempt) % len(GANG_PORTS)]
        return GangPlace(len(chosen), hosts, port)

    def _note_blocked(self, tx: Transaction, number: int, shape: Shape) -> None:
        now = self._core.chance.monotonic()
        since = self._blocked_since.setdefault(number, now)
        if now - since < PATIENCE:
            return
        if tx.one("get_ready_heads", shape=number) is None:
            self._drop(number)
            return
        able = [room for room in self.rooms if room.suits(shape) and room.could_ever(shape.need)]
        able.sort(key=lambda room: room.free.cpu_shares, reverse=True)
        for room in able[: shape.nodes]:
            room.reserved = True
