"""Who is asking: a token in the query, or in the Authorization header."""

from gristmill.dialects.wr import errors
from gristmill.dialects.wr.errors import RefusedError
from gristmill.dialects.wr.exchange import Scope, header
from gristmill.dialects.wr.queries import Query
from gristmill.domain.errors import NotAuthenticatedError
from gristmill.domain.identity import READ, WRITE, Identity
from gristmill.services.tokens import Tokens

_SCHEME = "Bearer "


async def identify(tokens: Tokens, scope: Scope, query: Query) -> Identity:
    """Return the verified caller. Raises RefusedError.

    A token in the query is the one that counts, whatever the header says.
    """
    token = query.get("token") or _from_header(scope)
    try:
        who = await tokens.verify_bearer(token)
    except NotAuthenticatedError as error:
        raise RefusedError(401, errors.WRONG_TOKEN) from error
    needed = READ if scope["method"] == "GET" else WRITE
    if not who.may(needed):
        raise RefusedError(403, f"the token lacks the scope {needed!r}")
    return who


def _from_header(scope: Scope) -> str:
    value = header(scope, b"authorization")
    if not value:
        raise RefusedError(401, errors.HEADER_REQUIRED)
    if not value.startswith(_SCHEME):
        raise RefusedError(401, errors.SCHEME_REQUIRED)
    return value.removeprefix(_SCHEME)
