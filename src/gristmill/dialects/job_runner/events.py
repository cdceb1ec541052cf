"""What happened to runs and kill requests, told once, though two may tell it.

A worker publishes an event after its PATCH, and the server knows of the change by that PATCH
already. Whichever comes first is passed on, and its echo from the other side is not.
"""

from collections import Counter, deque
from typing import Literal

import msgspec

from gristmill.domain.clock import Chance

ECHO_TIME = 30.0
"""Seconds in which the other side's word on the same event is taken for its echo."""

LONGEST_EVENT = 1000

Side = Literal["worker", "server"]
Key = tuple[str, str, int]


class RunNews(msgspec.Struct, tag_field="kind", tag="run", forbid_unknown_fields=True):
    """An event of a run, as workers publish it."""

    event: Literal["enqueued", "started", "returned"]
    run_id: int


class KillNews(msgspec.Struct, tag_field="kind", tag="kill_request", forbid_unknown_fields=True):
    """An event of a kill request, as workers publish it."""

    event: Literal["enqueued", "executed"]
    kill_request_id: int


_decode = msgspec.json.Decoder(RunNews | KillNews).decode


def write_event(kind: str, event: str, number: int) -> str:
    """Return an event as text."""
    return msgspec.json.encode({"kind": kind, "event": event, f"{kind}_id": number}).decode()


def read_event(payload: bytes) -> Key | None:
    """Return what a worker tells, None for anything that is no event."""
    if len(payload) > LONGEST_EVENT:
        return None
    try:
        news = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(news, RunNews):
        return "run", news.event, news.run_id
    return "kill_request", news.event, news.kill_request_id


class Echoes:
    """Tells an event from its echo."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._passed: Counter[tuple[Side, Key]] = Counter()
        self._order: deque[tuple[float, Side, Key]] = deque()

    def is_new(self, side: Side, key: Key) -> bool:
        """Whether the other side has not told of this event already."""
        self._forget_old()
        other: Side = "server" if side == "worker" else "worker"
        if self._passed[other, key] > 0:
            self._passed[other, key] -= 1
            return False
        self._passed[side, key] += 1
        self._order.append((self._chance.monotonic(), side, key))
        return True

    def _forget_old(self) -> None:
        before = self._chance.monotonic() - ECHO_TIME
        while self._order and self._order[0][0] < before:
            _, side, key = self._order.popleft()
            if self._passed[side, key] <= 1:
                del self._passed[side, key]
            else:
                self._passed[side, key] -= 1
