"""Who has logged in with a password, and whether a request comes from a page of ours."""

import hmac
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from gristmill.dialects.job_runner.exchange import Request
from gristmill.domain.clock import Chance
from gristmill.services.users import Users
from gristmill.services.web_sessions import WebSessions

SITE = "job_runner"
SESSION_COOKIE = "sessionid"
CSRF_COOKIE = "csrftoken"
CSRF_HEADER = b"x-csrftoken"
LIFETIME = 14 * 86400.0
"""Seconds a login lasts."""

HANDLE_BYTES = 32
_COOKIE = re.compile(rb"(?:^|;)\s*sessionid=")


class Sessions:
    """Opens, finds and ends logins. A login ends with the password that it was opened with."""

    def __init__(self, logins: WebSessions, users: Users, chance: Chance) -> None:
        self._logins, self._users, self._chance = logins, users, chance

    async def open(self, name: str, password: str) -> str:
        """Return the handle of a new login. Raises NotAuthenticatedError."""
        # Looked at first: a login that races with a new password is none.
        stamp = await self._users.password_stamp(name)
        who = await self._users.verify_password(name, password)
        return await self._logins.open(who.user, stamp, LIFETIME)

    async def user(self, handle: str) -> str | None:
        """Return who has this handle."""
        login = await self._logins.find(handle)
        if login is None:
            return None
        stamp = await self._users.password_stamp(login.user)
        return login.user if same_text(stamp, login.proof) else None

    async def close(self, handle: str) -> None:
        """End a login; one that is gone already is as good."""
        await self._logins.close(handle)

    def new_token(self) -> str:
        """Return an unguessable text for a cookie."""
        return self._chance.token(HANDLE_BYTES)


def brings_session(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request has a cookie as our logins give them."""
    return any(name == b"cookie" and _COOKIE.search(value) for name, value in headers)


def is_own_request(request: Request) -> bool:
    """Whether a request that changes something comes from a page of ours, not another site's."""
    token = request.cookies.get(CSRF_COOKIE, "")
    if not token or not same_text(token, request.text(CSRF_HEADER)):
        return False
    return comes_from_here(request)


def comes_from_here(request: Request) -> bool:
    """Whether what a browser says of the page behind a request is this server.

    Over TLS it must say so; in the clear a header can be missing.
    """
    said = request.text(b"origin") or request.text(b"referer")
    if not said:
        return not request.secure
    try:
        found = urlsplit(said)
    except ValueError:
        return False
    return f"{found.scheme}://{found.netloc}".lower() == request.origin.lower()


def same_text(one: str, other: str) -> bool:
    """Compare in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
