"""Who has logged in: a cookie holds a handle, the credential behind it stays in the server.

Sessions live in memory. After a restart of the server people give their token again.
"""

import hashlib
import hmac
from dataclasses import dataclass

from gristmill.domain.clock import Chance
from gristmill.domain.errors import NotAuthenticatedError, NotPermittedError
from gristmill.domain.identity import READ, Identity
from gristmill.services.tokens import Tokens

IDLE_LIMIT = 12 * 3600.0
LONGEST = 7 * 86400.0
MOST_SESSIONS = 10_000
HANDLE_BYTES = 32

LOG_IN = "log in to see this page"


@dataclass
class Session:
    """One login. form_token: what its forms must carry. Times are monotonic seconds."""

    credential: str
    form_token: str
    began: float
    seen: float


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page, and the login they came with."""

    who: Identity
    session: Session


class Sessions:
    """Opens, finds and ends logins."""

    def __init__(self, tokens: Tokens, chance: Chance) -> None:
        self._tokens, self._chance = tokens, chance
        self._sessions: dict[bytes, Session] = {}

    async def open(self, credential: str) -> str:
        """Return the handle of a new login.

        Raises NotAuthenticatedError for a wrong token, NotPermittedError for one that may not
        read.
        """
        who = await self._tokens.verify_bearer(credential)
        if not who.may(READ):
            raise NotPermittedError(f"this token lacks the scope {READ!r}: use one that has it")
        self._drop_old()
        handle, now = self._chance.token(HANDLE_BYTES), self._chance.monotonic()
        session = Session(credential, self._chance.token(HANDLE_BYTES), now, now)
        self._sessions[_key(handle)] = session
        return handle

    async def visitor(self, handle: str) -> Visitor:
        """Return who has this handle. Raises NotAuthenticatedError, also once a token ended."""
        key, now = _key(handle), self._chance.monotonic()
        session = self._sessions.get(key)
        if session is None or _over(session, now):
            raise NotAuthenticatedError(LOG_IN)
        session.seen = now
        return await self.renewed(session)

    async def renewed(self, session: Session) -> Visitor:
        """Return the visitor as the credential is now. Raises NotAuthenticatedError."""
        return Visitor(await self._tokens.verify_bearer(session.credential), session)

    def close(self, handle: str) -> None:
        """End a login; one that is gone already is as good."""
        self._sessions.pop(_key(handle), None)

    def _drop_old(self) -> None:
        now = self._chance.monotonic()
        for key in [key for key, session in self._sessions.items() if _over(session, now)]:
            del self._sessions[key]
        while len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen)]


def check_form_token(session: Session, given: str) -> None:
    """Raise NotPermittedError unless a form came from a page of this login."""
    if not hmac.compare_digest(session.form_token.encode(), given.encode("utf-8", "replace")):
        raise NotPermittedError("the form is from an older login: go back and load the page again")


def _over(session: Session, now: float) -> bool:
    return now - session.seen > IDLE_LIMIT or now - session.began > LONGEST


def _key(handle: str) -> bytes:
    return hashlib.sha256(handle.encode("utf-8", "replace")).digest()
