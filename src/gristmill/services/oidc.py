"""Tokens of an external OpenID Connect provider, which is asked whose they are."""

import asyncio
import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import structlog

from gristmill.domain.clock import Chance
from gristmill.domain.declared import AccountName, Address, GroupName
from gristmill.domain.errors import NotAuthenticatedError, ProviderUnreachableError
from gristmill.domain.identity import ADMIN_USER, Identity

if TYPE_CHECKING:
    from httpx2 import AsyncClient

OPAQUE_LIFETIME = 300.0
"""Seconds for which an answer about a token is believed whose own end cannot be read."""

TIMEOUT = 10.0
MOST_AT_ONCE = 16
LARGEST_ANSWER = 1 << 20
LONGEST_TOKEN = 16_384
DISCOVERY = "/.well-known/openid-configuration"
ENTITLEMENTS = ("entitlements", "eduperson_entitlement", "edu_person_entitlements")

REFUSED = "the identity provider does not know this token: ask it for a new one"
NOT_ALLOWED = "this user has none of the memberships that are needed here"

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
_MEMBERSHIP = re.compile(r"urn:[^:]+:[^:]+:group:([^:#]+)(?::.*)?")

log = structlog.get_logger()


class ProviderRules(msgspec.Struct, frozen=True, kw_only=True):
    """Which provider, and who may come in.

    entitlements: alternatives; the entitlements of one, joined by commas, must all be there.
    """

    issuer: str
    username_claim: str = "preferred_username"
    entitlements: tuple[str, ...] = ()


class Vouched(NamedTuple):
    """Whom the provider knows by a token. expires_at: epoch seconds."""

    identity: Identity
    expires_at: float


class Oidc:
    """Asks the provider."""

    def __init__(self, rules: ProviderRules, chance: Chance) -> None:
        self._rules, self._chance = rules, chance
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._client: AsyncClient | None = None
        self._endpoint: str | None = None

    async def verify(self, token: str) -> Vouched:
        """Return whom a token speaks for.

        Raises NotAuthenticatedError, ProviderUnreachableError.
        """
        if len(token) > LONGEST_TOKEN or not _TOKEN.fullmatch(token):
            raise NotAuthenticatedError(REFUSED)
        now = self._chance.now()
        expires_at = _expiry(token)
        if expires_at is not None and expires_at <= now:
            raise NotAuthenticatedError(REFUSED)
        async with self._turns:
            claims = await self._userinfo(token)
        return Vouched(self._identity(claims), expires_at or now + OPAQUE_LIFETIME)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _userinfo(self, token: str) -> dict[str, Any]:
        endpoint = self._endpoint or await self._discover()
        status, claims = await self._get(endpoint, token)
        if status in {400, 401, 403}:
            raise NotAuthenticatedError(REFUSED)
        if status != 200 or claims is None:
            raise _unreachable(f"{endpoint} answered {status}")
        return claims

    async def _discover(self) -> str:
        """Return where the provider tells about users: as it says, else at ``/userinfo``."""
        status, document = await self._get(self._rules.issuer + DISCOVERY, None)
        if status >= 500:
            raise _unreachable(f"its configuration was answered with {status}")
        named = (document or {}).get("userinfo_endpoint")
        known = isinstance(named, str) and named.startswith(("http://", "https://"))
        self._endpoint = str(named) if known else f"{self._rules.issuer}/userinfo"
        return self._endpoint

    async def _get(self, url: str, token: str | None) -> tuple[int, dict[str, Any] | None]:
        """Return the status, and the answer where it is a JSON object."""
        import httpx2

        if self._client is None:
            self._client = httpx2.AsyncClient(timeout=TIMEOUT)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = b""
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._client.stream("GET", url, headers=headers) as reply,
            ):
                async for part in reply.aiter_bytes():
                    body += part
                    if len(body) > LARGEST_ANSWER:
                        raise _unreachable(f"{url} answered with more than {LARGEST_ANSWER} bytes")
                status = reply.status_code
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
            raise _unreachable(f"{type(error).__name__}: {error}") from error
        try:
            decoded = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return status, None
        return status, decoded if isinstance(decoded, dict) else None

    def _identity(self, claims: dict[str, Any]) -> Identity:
        entitlements = _entitlements(claims)
        rules = self._rules.entitlements
        if rules and not any(set(rule.split(",")) <= entitlements for rule in rules):
            raise NotAuthenticatedError(NOT_ALLOWED)
        user = _fitting(claims.get(self._rules.username_claim) or claims.get("sub"), AccountName)
        # Our administrator is nobody outside: such a name would own the administrator's things.
        if user is None or user == ADMIN_USER:
            raise NotAuthenticatedError("the identity provider names no usable user")
        return Identity(
            user=user,
            groups=_groups(claims, entitlements),
            email=_fitting(claims.get("email"), Address) or "",
        )


def _entitlements(claims: dict[str, Any]) -> frozenset[str]:
    found: list[str] = []
    for claim in ENTITLEMENTS:
        value = claims.get(claim)
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list):
            found += [each for each in value if isinstance(each, str)]
    return frozenset(found)


def _groups(claims: dict[str, Any], entitlements: frozenset[str]) -> tuple[str, ...]:
    named = claims.get("groups")
    if isinstance(named, list):
        found = [each.removeprefix("/") for each in named if isinstance(each, str)]
    else:
        matches = (_MEMBERSHIP.fullmatch(each) for each in sorted(entitlements))
        found = [match[1] for match in matches if match is not None]
    return tuple(dict.fromkeys(group for group in found if _fitting(group, GroupName)))


def _expiry(token: str) -> float | None:
    """Return the end that a JWT announces; whether it is genuine, the provider says."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = msgspec.json.decode(payload)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None
    expires_at = claims.get("exp") if isinstance(claims, dict) else None
    return float(expires_at) if isinstance(expires_at, int | float) else None


def _fitting(value: Any, kind: Any) -> str | None:
    """Return a text that is one of this kind."""
    try:
        text: str = msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None
    return text


def _unreachable(why: str) -> ProviderUnreachableError:
    log.warning("oidc.unreachable", reason=why)
    return ProviderUnreachableError("the identity provider cannot be reached now; try again later")
