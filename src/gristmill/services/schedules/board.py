"""What external workers and onlookers are told: offers, kills, pings, and what happened.

Nothing here is a fact: those are in the store. What is lost on the way is told again.
"""

import asyncio
from dataclasses import dataclass
from typing import Literal, NamedTuple

MOST_UNREAD = 100_000
"""Messages that a consumer may leave unread; of more it misses the newest."""


class Offer(NamedTuple):
    """A call to one worker. number: of the run or the kill request, None for a ping."""

    kind: Literal["enqueue", "kill", "ping"]
    worker_id: int
    api_key: str
    number: int | None = None


class RunEvent(NamedTuple):
    """What happened to a run or a kill request, whoever made it happen."""

    kind: Literal["run", "kill_request"]
    event: Literal["enqueued", "started", "returned", "executed"]
    number: int


@dataclass
class Standing:
    """A run that waits to be claimed. worker_id: whom it is offered to, None for our agents only.

    fixed: no other worker may have it. since: monotonic seconds of the first offer to the worker.
    """

    schedule_id: int
    pool_id: int
    worker_id: int | None
    api_key: str
    fixed: bool
    since: float


class Board:
    """The open offers of one server and everybody who listens. Belongs to the event loop."""

    def __init__(self) -> None:
        self.standing: dict[int, Standing] = {}
        self.kills: dict[int, Offer] = {}
        self.something = asyncio.Event()
        self._offers: list[asyncio.Queue[Offer]] = []
        self._events: list[asyncio.Queue[RunEvent]] = []

    def offers(self) -> "asyncio.Queue[Offer]":
        """Return a queue that gets every call to workers from now on."""
        queue: asyncio.Queue[Offer] = asyncio.Queue(MOST_UNREAD)
        self._offers.append(queue)
        return queue

    def events(self) -> "asyncio.Queue[RunEvent]":
        """Return a queue that gets every event from now on."""
        queue: asyncio.Queue[RunEvent] = asyncio.Queue(MOST_UNREAD)
        self._events.append(queue)
        return queue

    def drop(self, queue: "asyncio.Queue[Offer] | asyncio.Queue[RunEvent]") -> None:
        """Put nothing into a queue any more."""
        self._offers = [one for one in self._offers if one is not queue]
        self._events = [one for one in self._events if one is not queue]

    def offer(self, run: int, standing: Standing) -> None:
        """Offer a run; one that stands already is left as it is."""
        if run not in self.standing:
            self.standing[run] = standing
            self.say_again(run)
            if standing.worker_id is not None:
                self.something.set()

    def say_again(self, run: int) -> None:
        """Call the worker that the run is offered to."""
        standing = self.standing[run]
        if standing.worker_id is not None:
            self.call(Offer("enqueue", standing.worker_id, standing.api_key, run))

    def withdraw(self, run: int) -> None:
        """Offer a run no longer."""
        self.standing.pop(run, None)

    def kill(self, request: int, worker: int, api_key: str) -> None:
        """Call on a worker to kill, now and until it took the request."""
        self.kills[request] = Offer("kill", worker, api_key, request)
        self.call(self.kills[request])
        self.something.set()

    def killed(self, request: int) -> None:
        """Call for a kill no longer."""
        self.kills.pop(request, None)

    def call(self, offer: Offer) -> None:
        """Hand a call to every listener."""
        for queue in self._offers:
            if not queue.full():
                queue.put_nowait(offer)

    def tell(self, event: RunEvent) -> None:
        """Hand an event to every listener."""
        for queue in self._events:
            if not queue.full():
                queue.put_nowait(event)

    def greet(self) -> None:
        """Say everything that is open once more, for somebody who just began to listen."""
        for run in self.standing:
            self.say_again(run)
        for kill in self.kills.values():
            self.call(kill)
