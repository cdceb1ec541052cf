"""Tokens and the accounts behind them, in rows."""

from typing import Literal

import msgspec

from gristmill.domain.declared import User
from gristmill.store.connection import Row
from gristmill.store.database import Transaction

TokenKind = Literal["jwt", "api_key"]


class TokenRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A credential that was given out; never its secret. Times are epoch seconds."""

    id: str
    kind: TokenKind
    user: str
    groups: tuple[str, ...]
    scopes: tuple[str, ...]
    email: str
    created_at: float
    expires_at: float | None


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A declared user and the hash of the password, if there is one."""

    user: User
    password_hash: str | None


def insert_token(tx: Transaction, record: TokenRecord, key_hash: str | None) -> None:
    """Store a credential. key_hash: SHA-256 in hex of an API key, None for a JWT."""
    tx.run(
        "insert_token",
        id=record.id,
        kind=record.kind,
        user_name=record.user,
        group_names=",".join(record.groups),
        scopes=" ".join(record.scopes),
        email=record.email,
        key_hash=key_hash,
        created_at=record.created_at,
        expires_at=record.expires_at,
    )


def find_token(tx: Transaction, token_id: str) -> TokenRecord | None:
    """Return the credential with this id, unless it was revoked."""
    row = tx.one("find_token", id=token_id)
    return _token(row) if row else None


def find_api_key(tx: Transaction, key_hash: str) -> TokenRecord | None:
    """Return the credential whose key has this hash, unless it was revoked."""
    row = tx.one("find_api_key", key_hash=key_hash)
    return _token(row) if row else None


def list_tokens(tx: Transaction) -> list[TokenRecord]:
    """Return every credential that was not revoked, oldest first."""
    return [_token(row) for row in tx.all("list_tokens")]


def any_api_key(tx: Transaction) -> bool:
    """Whether there is an API key, in force or expired."""
    return tx.one("any_api_key") is not None


def delete_token(tx: Transaction, token_id: str) -> bool:
    """Forget the credential; False when there is none with this id."""
    return tx.one("delete_token", id=token_id) is not None


def delete_expired_tokens(tx: Transaction, now: float) -> None:
    """Forget credentials whose time is over."""
    tx.run("delete_expired_tokens", now=now)


def find_account(tx: Transaction, name: str) -> Account | None:
    """Return the declared user of this name with the groups."""
    row = tx.one("find_account", name=name)
    if row is None:
        return None
    number, password_hash, email, admin, enabled = row
    groups = tx.all("get_groups_of_account", account_id=number)
    user = User(
        name=name,
        groups=tuple(group for (group,) in groups),
        email=email,
        admin=bool(admin),
        enabled=bool(enabled),
    )
    return Account(user=user, password_hash=password_hash)


def _token(row: Row) -> TokenRecord:
    number, kind, user, groups, scopes, email, created_at, expires_at = row
    return TokenRecord(
        id=number,
        kind=kind,
        user=user,
        groups=tuple(groups.split(",")) if groups else (),
        scopes=tuple(scopes.split()),
        email=email,
        created_at=created_at,
        expires_at=expires_at,
    )
