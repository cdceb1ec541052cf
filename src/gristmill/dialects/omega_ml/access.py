"""Who is asking, and which of that user's objects are meant."""

import ipaddress

from gristmill.dialects.omega_ml.errors import bad, refused
from gristmill.dialects.omega_ml.exchange import Exchange
from gristmill.dialects.omega_ml.settings import OmegaSettings
from gristmill.domain.errors import NotAuthenticatedError
from gristmill.domain.identity import READ, WRITE, Identity
from gristmill.services.data.place import Place
from gristmill.services.tokens import Tokens

NO_CREDENTIAL = "send 'Authorization: ApiKey USER:KEY' or 'Authorization: Bearer TOKEN'"
NOT_FROM_HERE = "without a credential only clients on the server's own machine are answered"
DEFAULT_QUALIFIER = "default"
BETWEEN = ".."
"""Between an environment's name and a bucket's: neither may hold it."""


class Access:
    """Checks callers."""

    def __init__(self, tokens: Tokens, settings: OmegaSettings) -> None:
        self._tokens, self._settings = tokens, settings
        self._anybody = Identity(user=settings.user)

    async def identify(self, exchange: Exchange) -> Identity:
        """Return the caller. Raises NotAuthenticatedError, RefusedError."""
        who = await self._known(exchange)
        needed = READ if exchange.method == "GET" else WRITE
        if not who.may(needed):
            raise refused(403, f"the credential lacks the scope {needed!r}")
        return who

    async def _known(self, exchange: Exchange) -> Identity:
        given = exchange.header("authorization")
        if not given:
            return await self._unknown(exchange)
        scheme, _, credential = given.partition(" ")
        kind, credential = scheme.lower(), credential.strip()
        if kind == "bearer" and credential:
            return await self._tokens.verify_bearer(credential)
        if kind == "apikey" and ":" in credential:
            user, _, key = credential.rpartition(":")
            return await self._tokens.verify_api_key(user.strip(), key.strip())
        raise NotAuthenticatedError(NO_CREDENTIAL)

    async def _unknown(self, exchange: Exchange) -> Identity:
        if self._settings.access == "token" or await self._tokens.any_api_key():
            raise NotAuthenticatedError(NO_CREDENTIAL)
        if not _is_loopback(exchange.client):
            raise NotAuthenticatedError(f"{NO_CREDENTIAL}; {NOT_FROM_HERE}")
        if exchange.header("sec-fetch-site") in {"cross-site", "same-site"}:
            raise refused(403, "a page of another site may not call this without a credential")
        return self._anybody

    def place(self, exchange: Exchange, who: Identity) -> Place:
        """Return whose objects are meant, by the headers. Raises RefusedError."""
        bucket = exchange.header("bucket").strip()
        qualifier = exchange.header("qualifier").strip() or DEFAULT_QUALIFIER
        for name, value in (("Bucket", bucket), ("Qualifier", qualifier)):
            if BETWEEN in value or value.startswith("."):
                raise bad(name, f"must not begin with '.' or hold '..': {value[:80]!r}")
        bucket = "" if bucket == self._settings.bucket else bucket
        if qualifier == DEFAULT_QUALIFIER:
            return Place(who.user, bucket)
        return Place(who.user, f"{qualifier}{BETWEEN}{bucket}")

    def bucket_name(self, place: Place) -> str:
        """Return what the client calls the bucket of a place."""
        return place.bucket.rpartition(BETWEEN)[2] or self._settings.bucket


def _is_loopback(client: str | None) -> bool:
    if client is None:
        return True
    try:
        return ipaddress.ip_address(client).is_loopback
    except ValueError:
        return False
