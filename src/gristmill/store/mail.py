"""Mail that waits to be sent, and who wants to know when a job ends, in rows."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gristmill.store.database import Transaction


class Letter(NamedTuple):
    """A mail in the outbox. recipients: addresses, separated by commas. Times: epoch seconds."""

    id: int
    recipients: str
    subject: str
    body: str
    created_at: float
    tries: int


def insert_mail(
    tx: Transaction, recipients: Sequence[str], subject: str, body: str, now: float
) -> None:
    """Put a mail into the outbox, due at once."""
    tx.many("insert_mail", [(",".join(recipients), subject, body, now, now)])


def due_mail(tx: Transaction, now: float, most: int) -> list[Letter]:
    """Return mail whose time has come, the longest due first."""
    return [Letter(*row) for row in tx.all("list_due_mail", now=now, most=most)]


def next_mail(tx: Transaction) -> float | None:
    """Return when the next mail is due; None when there is none."""
    due: float | None = tx.must("get_next_mail")[0]
    return due


def delete_mail(tx: Transaction, ids: Iterable[int]) -> None:
    """Forget mail that was sent or given up."""
    tx.many("delete_mail", [(number,) for number in ids])


def postpone_mail(tx: Transaction, dues: Iterable[tuple[float, int]]) -> None:
    """Note that mail could not be sent: (when to try again, id)."""
    tx.many("postpone_mail", list(dues))


def insert_notifications(tx: Transaction, rows: Iterable[tuple[int, str]]) -> None:
    """Note whom to tell when a job or workflow ends: (id, address)."""
    tx.many("insert_notifications", rows)


def renew_notifications(tx: Transaction, pairs: Iterable[tuple[int, int]]) -> None:
    """Note that whoever submitted a job is told of another's end, or of its next: (that, job)."""
    tx.many("copy_notifications", pairs)


def notifications_of(tx: Transaction, ids: Sequence[int]) -> list[tuple[int, str]]:
    """Return (id, address) for those of the jobs or workflows somebody waits for."""
    if not ids:
        return []
    return [(job, address) for job, address in tx.all("find_notifications", ids=tx.array(ids))]


def notifications_after(tx: Transaction, after: int, most: int) -> list[tuple[int, str]]:
    """Return (id, address) of those with larger ids, in order."""
    rows = tx.all("list_notifications", after=after, most=most)
    return [(job, address) for job, address in rows]


def delete_notifications(tx: Transaction, ids: Iterable[int]) -> None:
    """Forget whom to tell."""
    tx.many("delete_notification", [(number,) for number in ids])
