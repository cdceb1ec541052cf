"""Who has logged in with a password: a cookie holds a handle, everything else stays here.

Sessions live in memory: after a restart of the server people log in again.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from gristmill.dialects.job_runner.exchange import Request
from gristmill.domain.clock import Chance

SESSION_COOKIE = "sessionid"
CSRF_COOKIE = "csrftoken"
CSRF_HEADER = b"x-csrftoken"
LIFETIME = 14 * 86400.0
"""Seconds a login lasts."""

MOST_SESSIONS = 10_000
HANDLE_BYTES = 32
_COOKIE = re.compile(rb"(?:^|;)\s*sessionid=")


@dataclass(frozen=True)
class Session:
    """One login. began: monotonic seconds."""

    user: str
    began: float


class Sessions:
    """Opens, finds and ends logins."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._sessions: dict[bytes, Session] = {}

    def open(self, user: str) -> str:
        """Return the handle of a new login."""
        self._drop_old()
        handle = self.new_token()
        self._sessions[_key(handle)] = Session(user, self._chance.monotonic())
        return handle

    def user(self, handle: str) -> str | None:
        """Return who has this handle."""
        session = self._sessions.get(_key(handle))
        if session is None or self._chance.monotonic() - session.began > LIFETIME:
            return None
        return session.user

    def close(self, handle: str) -> None:
        """End a login; one that is gone already is as good."""
        self._sessions.pop(_key(handle), None)

    def new_token(self) -> str:
        """Return an unguessable text for a cookie."""
        return self._chance.token(HANDLE_BYTES)

    def _drop_old(self) -> None:
        """Sessions are kept in the order they began, so the oldest come first."""
        now = self._chance.monotonic()
        while self._sessions:
            oldest = next(iter(self._sessions))
            over = now - self._sessions[oldest].began > LIFETIME
            if not over and len(self._sessions) < MOST_SESSIONS:
                return
            del self._sessions[oldest]


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


def _key(handle: str) -> bytes:
    return hashlib.sha256(handle.encode("utf-8", "replace")).digest()
