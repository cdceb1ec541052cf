"""Who is asking, from the Authorization header."""

from collections.abc import Mapping
from typing import Any

from litestar import Request
from litestar.di import NamedDependency

from gristmill.domain.errors import NotAuthenticatedError, NotPermittedError
from gristmill.domain.identity import ADMIN, READ, WRITE, Identity
from gristmill.native.queries import check_query
from gristmill.services.house import House

TheHouse = NamedDependency[House]
Caller = NamedDependency[Identity]
"""Named reader, writer or admin in a handler, after what it must be allowed to do."""

NO_CREDENTIAL = "send a token: 'Authorization: Bearer TOKEN'"


async def identify(house: House, headers: Mapping[str, str]) -> Identity:
    """Return the verified caller. Raises NotAuthenticatedError."""
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    kind = scheme.lower()
    if kind == "bearer" and credential:
        return await house.tokens.verify_bearer(credential.strip())
    if kind == "apikey" and ":" in credential:
        user, _, key = credential.partition(":")
        return await house.tokens.verify_api_key(user.strip(), key.strip())
    raise NotAuthenticatedError(NO_CREDENTIAL)


def require(who: Identity, scope: str) -> None:
    """Raise NotPermittedError unless the credential carries the scope."""
    if not who.may(scope) or (scope == ADMIN and not who.admin):
        raise NotPermittedError(f"this needs a credential with the scope {scope!r}")


async def provide_reader(request: Request[Any, Any, Any]) -> Identity:
    """Give a handler its caller, who may read."""
    return await _provide(request, READ)


async def provide_writer(request: Request[Any, Any, Any]) -> Identity:
    """Give a handler its caller, who may write."""
    return await _provide(request, WRITE)


async def provide_admin(request: Request[Any, Any, Any]) -> Identity:
    """Give a handler its caller, an administrator."""
    return await _provide(request, ADMIN)


async def _provide(request: Request[Any, Any, Any], scope: str) -> Identity:
    house: House = request.app.state.house
    who = await identify(house, request.headers)
    require(who, scope)
    # Only after the credential is good: strangers learn nothing, not even names of parameters.
    check_query(request)
    return who
