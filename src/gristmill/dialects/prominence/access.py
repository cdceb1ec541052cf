"""Who is asking: a token after any scheme word."""

from collections.abc import Awaitable, Callable

import msgspec

from gristmill.dialects.prominence.errors import (
    NOT_AUTHENTICATED,
    PROVIDER_UNREACHABLE,
    RefusedError,
)
from gristmill.dialects.prominence.exchange import Scope, header
from gristmill.domain.errors import NotAuthenticatedError, ProviderUnreachableError
from gristmill.domain.identity import READ, WRITE, Identity

Verify = Callable[[str], Awaitable[Identity]]
_READS = frozenset({"GET", "HEAD"})


class Access:
    """Finds out whom a request's token speaks for.

    verify: returns the identity; raises NotAuthenticatedError or ProviderUnreachableError.
    """

    def __init__(self, verify: Verify) -> None:
        self._verify = verify

    async def identify(self, scope: Scope) -> Identity:
        """Return the verified caller, who sees nothing but its own things. Raises RefusedError."""
        _, _, token = (header(scope, b"authorization") or "").strip().partition(" ")
        try:
            who = await self._verify(token.strip())
        except ProviderUnreachableError as error:
            raise RefusedError(401, PROVIDER_UNREACHABLE) from error
        except NotAuthenticatedError as error:
            raise RefusedError(401, NOT_AUTHENTICATED) from error
        if not who.may(READ if scope["method"] in _READS else WRITE):
            raise RefusedError(401, NOT_AUTHENTICATED)
        return msgspec.structs.replace(who, admin=False)
