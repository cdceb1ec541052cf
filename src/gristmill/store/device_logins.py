"""Logins that wait for a person's approval, in rows."""

from typing import NamedTuple

from gristmill.domain.identity import Identity
from gristmill.store.database import Transaction


class DeviceLogin(NamedTuple):
    """One login. identity: who approved it, None until then. expires_at: epoch seconds."""

    expires_at: float
    identity: Identity | None


def insert(tx: Transaction, device_hash: str, user_code: str, expires_at: float) -> None:
    """Store a new login."""
    tx.run(
        "insert_device_login",
        device_hash=device_hash,
        user_code=user_code,
        expires_at=expires_at,
    )


def find(tx: Transaction, device_hash: str) -> DeviceLogin | None:
    """Return the login, expired or not."""
    row = tx.one("find_device_login", device_hash=device_hash)
    if row is None:
        return None
    expires_at, user, groups, email = row
    if user is None:
        return DeviceLogin(expires_at, None)
    who = Identity(user=user, groups=tuple(groups.split(",")) if groups else (), email=email)
    return DeviceLogin(expires_at, who)


def approve(tx: Transaction, user_code: str, who: Identity, now: float) -> bool:
    """Note who approved; False when no login in time waits under this code."""
    row = tx.one(
        "approve_device_login",
        user_code=user_code,
        user_name=who.user,
        group_names=",".join(who.groups),
        email=who.email,
        now=now,
    )
    return row is not None


def delete(tx: Transaction, device_hash: str) -> None:
    """Forget a login."""
    tx.run("delete_device_login", device_hash=device_hash)


def delete_expired(tx: Transaction, now: float) -> None:
    """Forget logins whose time is over."""
    tx.run("delete_expired_device_logins", now=now)


def count_waiting(tx: Transaction, most: int) -> int:
    """Return how many logins there are, counting no further than most."""
    count: int = tx.must("count_device_logins", most=most)[0]
    return count
