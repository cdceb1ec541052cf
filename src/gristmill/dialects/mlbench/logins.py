"""Who has given a token to the pages: a cookie holds a handle, the token stays in the server.

Logins live in memory. After a restart of the server people give their token again.
"""

import hashlib
from typing import NamedTuple

from gristmill.dialects.mlbench.exchange import Scope, header
from gristmill.domain.clock import Chance

IDLE_LIMIT = 12 * 3600.0
"""Seconds without a request after which a login is over."""

MOST_LOGINS = 10_000
HANDLE_BYTES = 32
PATH = "/mlbench"


class _Login(NamedTuple):
    token: str
    seen: float


class Logins:
    """Opens logins and finds their tokens; whether a token is still good is for others to say."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._logins: dict[bytes, _Login] = {}

    def open(self, token: str) -> str:
        """Return the handle of a new login."""
        now = self._chance.monotonic()
        self._logins = {key: each for key, each in self._logins.items() if not _over(each, now)}
        while len(self._logins) >= MOST_LOGINS:
            del self._logins[min(self._logins, key=lambda key: self._logins[key].seen)]
        handle = self._chance.token(HANDLE_BYTES)
        self._logins[_key(handle)] = _Login(token, now)
        return handle

    def token_of(self, scope: Scope) -> str | None:
        """Return the token behind a request's cookie."""
        name = f"{_name(scope)}="
        parts = (header(scope, b"cookie") or "").split(";")
        named = (part.strip() for part in parts if part.strip().startswith(name))
        handle = next(named, "").removeprefix(name)
        now, key = self._chance.monotonic(), _key(handle)
        login = self._logins.get(key)
        if login is None or _over(login, now):
            return None
        self._logins[key] = login._replace(seen=now)
        return login.token


def cookie(scope: Scope, handle: str) -> bytes:
    """Return the header that gives a browser its handle; other sites' forms do not bring it."""
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return f"{_name(scope)}={handle}; Path={PATH}; HttpOnly; SameSite=Lax{secure}".encode()


def _name(scope: Scope) -> str:
    """Return the cookie's name: cookies know no ports, and several servers may share a host."""
    server = scope.get("server")
    return f"gristmill_mlbench_{server[1] if server else 0}"


def _over(login: _Login, now: float) -> bool:
    return now - login.seen > IDLE_LIMIT


def _key(handle: str) -> bytes:
    return hashlib.sha256(handle.encode("utf-8", "replace")).digest()
