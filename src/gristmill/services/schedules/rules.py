"""What the schedules of one server go by, and whom they tell of trouble."""

from dataclasses import dataclass
from typing import Protocol

from gristmill.store.database import Transaction


@dataclass(frozen=True)
class ScheduleRules:
    """Settings. Durations are seconds.

    zone: of schedules that name none. ping_interval: between two calls to every external worker;
    missed: how many of them it may leave unanswered, with ping_margin on top.
    offer_repeat: between two offers of a run that nobody claims; offer_patience: how long one
    worker is offered it before another is. first_ping: after the start. keep_logs_for: the age
    at which the log of a completed run goes; keep_logs: how many a schedule keeps; None: all.
    """

    zone: str = "UTC"
    health_interval: float = 300.0
    ping_interval: float = 300.0
    ping_margin: float = 15.0
    missed: int = 3
    offer_repeat: float = 5.0
    offer_patience: float = 30.0
    first_ping: float = 2.0
    keep_logs_for: float | None = None
    keep_logs: int | None = None

    @property
    def silence(self) -> float:
        """Seconds after its last answer when a worker counts as unresponsive."""
        return self.missed * self.ping_interval + self.ping_margin


class Notifier(Protocol):
    """Tells people; each call belongs to the transaction in which it happened."""

    def run_failed(self, tx: Transaction, run_id: int) -> None:
        """Tell that a run failed."""

    def cannot_reschedule(self, tx: Transaction, schedule_id: int) -> None:
        """Tell that a schedule has no next time."""

    def pool_unresponsive(self, tx: Transaction, pool_id: int) -> None:
        """Tell that no worker of a pool answers."""


class Silent:
    """Tells nobody."""

    def run_failed(self, tx: Transaction, run_id: int) -> None:
        """Tell nobody."""

    def cannot_reschedule(self, tx: Transaction, schedule_id: int) -> None:
        """Tell nobody."""

    def pool_unresponsive(self, tx: Transaction, pool_id: int) -> None:
        """Tell nobody."""
