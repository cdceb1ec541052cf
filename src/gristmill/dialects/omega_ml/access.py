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
        if not _is_local(exchange):
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


def _is_local(exchange: Exchange) -> bool:
    """Whether somebody on this machine asks, and neither a proxy nor a page that was misled.

    A foreign page whose name was made to lead here still says its own name as the host.
    """
    if exchange.client is None:
        return True
    if exchange.header("x-forwarded-for") or exchange.header("forwarded"):
        return False
    return _is_loopback(exchange.client) and _is_loopback(_hostname(exchange.header("host")))


def _hostname(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_loopback(name: str) -> bool:
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
