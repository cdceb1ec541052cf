"""What people are told by mail when a schedule is in trouble.

The words and the recipients are here; an outbox, which keeps a mail with the transaction that
caused it, sends them.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from gristmill.domain import templates
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.runs import Run
from gristmill.store import recipients
from gristmill.store.database import Transaction
from gristmill.store.declarations import EPOCH
from gristmill.store.runs import get_logs, get_runs
from gristmill.store.schedules import ScheduleRow, get_schedules


class Outbox(Protocol):
    """Takes mails that are sent once the transaction is durable."""

    def enqueue(
        self, tx: Transaction, recipients: Sequence[str], subject: str, body: str
    ) -> object:
        """Keep a plain-text mail for sending."""


class MailNotifier:
    """Writes the mails.

    admins: told of everything. base: how people reach this server, ``http://host:port``.
    """

    def __init__(
        self, outbox: Outbox, admins: Sequence[str], zone: ZoneInfo, base: Callable[[], str]
    ) -> None:
        self._outbox, self._admins = outbox, tuple(admins)
        self._zone, self._base = zone, base

    def run_failed(self, tx: Transaction, run_id: int) -> None:
        """Tell everybody concerned that a run failed."""
        run = get_runs(tx, [run_id]).get(run_id)
        schedule = get_schedules(tx, [run.schedule_id]).get(run.schedule_id) if run else None
        if run is not None and schedule is not None:
            to = recipients.of_schedule(tx, schedule.id)
            self._send(tx, to, f"Run error for: {schedule.name}", self._failure(tx, run, schedule))

    def cannot_reschedule(self, tx: Transaction, schedule_id: int) -> None:
        """Tell everybody concerned that a schedule has no next time."""
        schedule = get_schedules(tx, [schedule_id]).get(schedule_id)
        if schedule is not None:
            body = (
                f"No next run of {schedule.name} could be scheduled: every time that would come "
                "next is excluded. Change its interval or its excluded times.\n\n"
                f"{self._link(schedule)}\n"
            )
            to = recipients.of_schedule(tx, schedule_id)
            self._send(tx, to, f"Reschedule error for: {schedule.name}", body)

    def pool_unresponsive(self, tx: Transaction, pool_id: int) -> None:
        """Tell administrators, and who watches the pool, that none of its workers answers."""
        pool = recipients.of_pool(tx, pool_id)
        if pool is not None:
            body = (
                f"No enabled worker of the pool {pool.name} answers. Its runs wait, and those "
                "its workers had are taken for failed.\n"
            )
            self._send(tx, pool.addresses, f"Worker-pool unresponsive: {pool.name}", body)

    def _send(self, tx: Transaction, to: Sequence[str], subject: str, body: str) -> None:
        everybody = tuple(dict.fromkeys((*self._admins, *to)))
        if everybody:
            self._outbox.enqueue(tx, everybody, subject, body)

    def _failure(self, tx: Transaction, run: Run, schedule: ScheduleRow) -> str:
        lines = [
            f"Job: {schedule.name}",
            f"Manual run: {_yes_no(run.manual)}",
            f"Killed: {_yes_no(recipients.was_killed(tx, run.id))}",
            f"Worker-pool: {schedule.pool_name}",
            f"Details: {self._link(schedule)}runs/{run.id}/",
            f"Run: {run.id}",
            f"Returned: {self._moment(run.returned_at)}",
            "",
            "Script:",
            _script(schedule),
        ]
        log = get_logs(tx, [run.id]).get(run.id)
        if log is not None and log.content:
            lines += ["", "Log:", log.content.decode("utf-8", "replace").replace("\x00", "�")]
        return "\n".join(lines) + "\n"

    def _link(self, schedule: ScheduleRow) -> str:
        return f"{self._base()}/project/{schedule.project_id}/jobs/{schedule.id}/"

    def _moment(self, at: float | None) -> str:
        if at is None:
            return "unknown"
        moment = (EPOCH + timedelta(seconds=at)).astimezone(self._zone)
        return _written(moment)


def _written(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname()}"


def _script(schedule: ScheduleRow) -> str:
    try:
        return templates.render(schedule.template_body, schedule.script)
    except InvalidInputError:
        return schedule.script


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"
