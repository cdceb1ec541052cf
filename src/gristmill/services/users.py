"""Declared users: their passwords, and what their account adds to a credential."""

import asyncio
import hashlib
from functools import cache

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from gristmill.domain.errors import NotAuthenticatedError
from gristmill.domain.identity import DEFAULT_SCOPES, Identity
from gristmill.store.database import Database
from gristmill.store.identity import Account, find_account

LONGEST_PASSWORD = 1024
WRONG = "the user name or the password is wrong"

_hasher = argon2.PasswordHasher()


class Users:
    """People that were declared with ``apply``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def verify_password(self, name: str, password: str) -> Identity:
        """Return who this is. Raises NotAuthenticatedError, equally slow for unknown names."""
        account = await self._database.read(lambda tx: find_account(tx, name))
        expected = account.password_hash if account else None
        good = await asyncio.to_thread(_matches, expected, password)
        if account is None or not good or not account.user.enabled:
            raise NotAuthenticatedError(WRONG)
        return with_account(Identity(user=name, scopes=frozenset(DEFAULT_SCOPES)), account)

    async def password_stamp(self, name: str) -> str:
        """Return a text that changes with the user's password, empty without one."""
        return await self._database.read(lambda tx: _stamp(find_account(tx, name)))


def _stamp(account: Account | None) -> str:
    password_hash = account.password_hash if account else None
    return "" if password_hash is None else hashlib.sha256(password_hash.encode()).hexdigest()


def with_account(identity: Identity, account: Account | None) -> Identity:
    """Join what a credential says with what is declared about its user now.

    Groups of both count. Raises NotAuthenticatedError when the user was disabled.
    """
    if account is None:
        return identity
    user = account.user
    if not user.enabled:
        raise NotAuthenticatedError(f"the user {user.name!r} is disabled")
    return Identity(
        user=identity.user,
        groups=tuple(sorted({*identity.groups, *user.groups})),
        scopes=identity.scopes,
        admin=identity.admin or user.admin,
        token_id=identity.token_id,
        email=identity.email or user.email or "",
    )


def hash_password(password: str) -> str:
    """Return the argon2 hash, salt included; takes tens of milliseconds on purpose."""
    return _hasher.hash(password)


def password_matches(password_hash: str, password: str) -> bool:
    """Whether the password is the one behind the hash."""
    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        return _hasher.verify(password_hash, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


def _matches(expected: str | None, password: str) -> bool:
    if expected is None:
        password_matches(_hash_of_nobody(), password)
        return False
    return password_matches(expected, password)


@cache
def _hash_of_nobody() -> str:
    return _hasher.hash("")
