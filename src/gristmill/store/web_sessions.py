"""Logins of people with a browser, in rows."""

from typing import NamedTuple

from gristmill.store.database import Transaction


class WebSession(NamedTuple):
    """One login. sealed_proof: what it stands on. Times are epoch seconds."""

    user: str
    sealed_proof: bytes
    began_at: float
    ends_at: float


def insert(tx: Transaction, handle_hash: str, site: str, session: WebSession, most: int) -> None:
    """Store a new login; of one user's on a site beyond most, those that end first go."""
    tx.run(
        "insert_web_session",
        handle_hash=handle_hash,
        site=site,
        user_name=session.user,
        sealed_proof=session.sealed_proof,
        began_at=session.began_at,
        ends_at=session.ends_at,
    )
    tx.run("delete_surplus_web_sessions", site=site, user_name=session.user, most=most)


def find(tx: Transaction, handle_hash: str) -> WebSession | None:
    """Return the login, over or not."""
    row = tx.one("find_web_session", handle_hash=handle_hash)
    if row is None:
        return None
    user, sealed_proof, began_at, ends_at = row
    return WebSession(user, bytes(sealed_proof), began_at, ends_at)


def extend(tx: Transaction, handle_hash: str, ends_at: float) -> None:
    """Let a login last longer; never shorter."""
    tx.run("extend_web_session", handle_hash=handle_hash, ends_at=ends_at)


def delete(tx: Transaction, handle_hash: str) -> None:
    """Forget a login; one that is gone already is as good."""
    tx.run("delete_web_session", handle_hash=handle_hash)


def delete_expired(tx: Transaction, now: float) -> None:
    """Forget logins that are over."""
    tx.run("delete_expired_web_sessions", now=now)
