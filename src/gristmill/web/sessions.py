"""Who has logged in to the dashboard, with which credential, and for how long."""

import hashlib
import hmac
from contextlib import suppress
from dataclasses import dataclass

from gristmill.domain.clock import Chance
from gristmill.domain.errors import (
    NotAuthenticatedError,
    NotPermittedError,
    UnavailableError,
)
from gristmill.domain.identity import READ, Identity
from gristmill.services.tokens import Tokens
from gristmill.services.web_sessions import Login, WebSessions

SITE = "ui"
IDLE_LIMIT = 12 * 3600.0
LONGEST = 7 * 86400.0
COARSE = 300.0
"""Seconds of use that are not worth a write."""

LOG_IN = "log in to see this page"

_FORM_PURPOSE = b"gristmill form token 1"


@dataclass(frozen=True)
class Session:
    """One login. form_token: what its forms must carry; it follows from the handle."""

    credential: str
    form_token: str


@dataclass(frozen=True)
class Visitor:
    """Who looks at a page, and the login they came with."""

    who: Identity
    session: Session


class Sessions:
    """Opens, finds and ends logins."""

    def __init__(self, tokens: Tokens, logins: WebSessions, chance: Chance) -> None:
        self._tokens, self._logins, self._chance = tokens, logins, chance

    async def open(self, credential: str) -> str:
        """Return the handle of a new login.

        Raises NotAuthenticatedError for a wrong token, NotPermittedError for one that may not
        read.
        """
        who = await self._tokens.verify_bearer(credential)
        if not who.may(READ):
            raise NotPermittedError(f"this token lacks the scope {READ!r}: use one that has it")
        return await self._logins.open(who.user, credential, IDLE_LIMIT)

    async def visitor(self, handle: str) -> Visitor:
        """Return who has this handle. Raises NotAuthenticatedError, also once a token ended."""
        login = await self._logins.find(handle)
        if login is None:
            raise NotAuthenticatedError(LOG_IN)
        visitor = await self.renewed(Session(login.proof, _form_token(handle)))
        await self._used(handle, login)
        return visitor

    async def renewed(self, session: Session) -> Visitor:
        """Return the visitor as the credential is now. Raises NotAuthenticatedError."""
        return Visitor(await self._tokens.verify_bearer(session.credential), session)

    async def close(self, handle: str) -> None:
        """End a login; one that is gone already is as good."""
        await self._logins.close(handle)

    async def _used(self, handle: str, login: Login) -> None:
        ends_at = min(self._chance.now() + IDLE_LIMIT, login.began_at + LONGEST)
        if ends_at > login.ends_at + COARSE:
            # A page can be shown while nothing can be written.
            with suppress(UnavailableError):
                await self._logins.extend(handle, ends_at)


def check_form_token(session: Session, given: str) -> None:
    """Raise NotPermittedError unless a form came from a page of this login."""
    if not hmac.compare_digest(session.form_token.encode(), given.encode("utf-8", "replace")):
        raise NotPermittedError("the form is from an older login: go back and load the page again")


def _form_token(handle: str) -> str:
    return hmac.new(handle.encode("utf-8", "replace"), _FORM_PURPOSE, hashlib.sha256).hexdigest()
