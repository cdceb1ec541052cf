"""Who may ask. Runs and pods belong to one user of the core, whoever asks."""

import ipaddress
from functools import lru_cache

from gristmill.dialects.mlbench.errors import detail
from gristmill.dialects.mlbench.exchange import Scope, header
from gristmill.dialects.mlbench.logins import Logins
from gristmill.dialects.mlbench.settings import MlbenchSettings
from gristmill.domain.identity import READ, WRITE, Identity
from gristmill.services.tokens import Tokens
from gristmill.services.web_sessions import WebSessions

TOKEN_NEEDED = "send a token: 'Authorization: Bearer TOKEN'"  # noqa: S105 - a message
NOT_FROM_HERE = (
    "without a token this interface answers clients on the server's own machine; "
    "the setting mlbench-access opens it"
)
FOREIGN = "a page of another site may not write here"


class Access:
    """Checks callers; all that are let in act as the one configured user."""

    def __init__(self, tokens: Tokens, settings: MlbenchSettings, sessions: WebSessions) -> None:
        self._tokens, self._rule = tokens, settings.access
        self._logins = Logins(sessions)
        self.user = Identity(user=settings.user)

    async def admit(self, scope: Scope, *, writing: bool) -> Identity:
        """Return whom the request acts for. Raises RefusedError, NotAuthenticatedError."""
        scheme, _, token = (header(scope, b"authorization") or "").partition(" ")
        if scheme.lower() == "bearer" and token:
            await self._holder_of(token.strip(), writing=writing)
            return self.user
        known = await self._logins.token_of(scope) if self._rule == "token" else None
        if known is not None:
            if writing and is_cross_site(scope):
                raise detail(403, FOREIGN)
            await self._holder_of(known, writing=writing)
            return self.user
        if self._rule == "token":
            raise detail(401, TOKEN_NEEDED, (b"www-authenticate", b"Bearer"))
        if self._rule == "loopback" and not is_loopback(scope):
            raise detail(403, NOT_FROM_HERE)
        if writing and is_cross_site(scope):
            raise detail(403, FOREIGN)
        return self.user

    async def log_in(self, token: str) -> str:
        """Return the handle of a login with a token. Raises RefusedError, NotAuthenticatedError."""
        holder = await self._holder_of(token, writing=False)
        return await self._logins.open(holder.user, token)

    async def _holder_of(self, token: str, *, writing: bool) -> Identity:
        who = await self._tokens.verify_bearer(token)
        needed = WRITE if writing else READ
        if not who.may(needed):
            raise detail(403, f"the token lacks the scope {needed!r}")
        return who


def is_loopback(scope: Scope) -> bool:
    """Whether the client is on this machine."""
    client = scope.get("client")
    return not client or _is_own(client[0])


@lru_cache(maxsize=1024)
def _is_own(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_cross_site(scope: Scope) -> bool:
    """Whether a browser says that a foreign page sends this; other clients say nothing."""
    return header(scope, b"sec-fetch-site") in {"cross-site", "same-site"}
