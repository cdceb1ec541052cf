"""Who has given a token to the pages: a cookie holds a handle, the token stays in the server."""

from gristmill.dialects.mlbench.exchange import Scope, header
from gristmill.services.web_sessions import WebSessions

SITE = "mlbench"
LIFETIME = 7 * 86400.0
"""Seconds a login lasts, unless its token ends before."""

PATH = "/mlbench"


class Logins:
    """Opens logins and finds their tokens; whether a token is still good is for others to say."""

    def __init__(self, sessions: WebSessions) -> None:
        self._sessions = sessions

    async def open(self, user: str, token: str) -> str:
        """Return the handle of a new login of whoever the token is of."""
        return await self._sessions.open(user, token, LIFETIME)

    async def token_of(self, scope: Scope) -> str | None:
        """Return the token behind a request's cookie."""
        name = f"{_name(scope)}="
        parts = (header(scope, b"cookie") or "").split(";")
        named = (part.strip() for part in parts if part.strip().startswith(name))
        login = await self._sessions.find(next(named, "").removeprefix(name))
        return None if login is None else login.proof


def cookie(scope: Scope, handle: str) -> bytes:
    """Return the header that gives a browser its handle; other sites' forms do not bring it."""
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    return f"{_name(scope)}={handle}; Path={PATH}; HttpOnly; SameSite=Lax{secure}".encode()


def _name(scope: Scope) -> str:
    """Return the cookie's name: cookies know no ports, and several servers may share a host."""
    server = scope.get("server")
    return f"gristmill_mlbench_{server[1] if server else 0}"
