"""Credentials: the administrator's token, JWTs with scopes and expiry, and plain API keys.

Every JWT and key has a row, so that it can be listed and revoked. What was verified is
remembered in memory; a revocation or a change of accounts drops all of that at once.
"""

import hashlib
import hmac
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from gristmill.domain.clock import Chance
from gristmill.domain.declared import AccountName, Address, GroupName
from gristmill.domain.errors import InvalidInputError, NotAuthenticatedError, NotFoundError
from gristmill.domain.identity import ADMIN, ADMIN_USER, DEFAULT_SCOPES, SCOPES, Identity
from gristmill.domain.units import parse_duration
from gristmill.services.credential_cache import CredentialCache
from gristmill.services.job_tokens import JobTokens
from gristmill.services.keyring import Keyring
from gristmill.services.oidc import Oidc
from gristmill.services.users import with_account
from gristmill.store import identity as store
from gristmill.store.database import Database, Transaction

DEFAULT_LIFETIME = 30 * 86400.0
LONGEST_LIFETIME = 100 * 365 * 86400.0
LONGEST_TOKEN = 8192
ID_BYTES = 12
KEY_BYTES = 30
NOT_A_KEY = re.compile(r"[0-9a-fA-F]{40}")
"""What a Job-Runner signature looks like; a key of ours must never be taken for one."""

REFUSED_BEARER = "the token is wrong, revoked or expired: ask for a new one"
REFUSED_KEY = "the user or the API key is wrong, revoked or expired: ask for a new one"

_ALGORITHM = "HS256"


class Created(msgspec.Struct, frozen=True):
    """A fresh credential; the only time its secret is seen. expires_at: epoch seconds."""

    id: str
    secret_text: str
    expires_at: float | None


class Tokens:
    """Gives out, verifies, lists and revokes credentials."""

    def __init__(
        self,
        database: Database,
        chance: Chance,
        keyring: Keyring,
        job_tokens: JobTokens | None = None,
        oidc: Oidc | None = None,
    ) -> None:
        self._job_tokens = job_tokens
        self._database = database
        self._chance = chance
        self._signing_key = OctKey.import_key(keyring.signing_key)
        self._admin_token = keyring.admin_token.encode()
        self._verified = CredentialCache(chance)
        self._oidc = oidc
        self._any_key: bool | None = None

    async def create(
        self,
        user: str,
        *,
        groups: Iterable[str] = (),
        scopes: Iterable[str] = DEFAULT_SCOPES,
        expires_in: float | None = None,
        email: str | None = None,
        api_key: bool = False,
        claims: Mapping[str, str] | None = None,
    ) -> Created:
        """Give out a JWT, or a plain key, to a user who need not be declared.

        expires_in: seconds; None for 30 days, or for a key without an end.
        claims: further claims of a JWT, such as ``job``. Raises InvalidInputError.
        """
        now = self._chance.now()
        record = store.TokenRecord(
            id=self._chance.token(ID_BYTES),
            kind="api_key" if api_key else "jwt",
            user=_checked(user, AccountName, "user"),
            groups=_checked(tuple(dict.fromkeys(groups)), tuple[GroupName, ...], "groups"),
            scopes=_checked_scopes(scopes),
            email=_checked(email, Address, "email") if email else "",
            created_at=now,
            expires_at=_end(now, expires_in, api_key=api_key),
        )
        secret = self._new_key() if api_key else self._sign(record, claims or {})
        key_hash = _digest(secret) if api_key else None

        def work(tx: Transaction) -> None:
            store.delete_expired_tokens(tx, now)
            store.insert_token(tx, record, key_hash)

        await self._database.write(work)
        if api_key:
            self._any_key = True
        return Created(record.id, secret, record.expires_at)

    async def any_api_key(self) -> bool:
        """Whether anybody has an API key; some interfaces are open until somebody has."""
        if self._any_key is None:
            found = await self._database.read(store.any_api_key)
            if self._any_key is None:
                self._any_key = found
        return self._any_key

    async def list(self) -> list[store.TokenRecord]:
        """Return the credentials in force, oldest first."""
        now = self._chance.now()
        records = await self._database.read(store.list_tokens)
        return [record for record in records if not _over(record, now)]

    async def revoke(self, token_id: str) -> None:
        """End a credential; it is refused from now on. Raises NotFoundError."""

        def work(tx: Transaction) -> None:
            if not store.delete_token(tx, token_id):
                raise NotFoundError(f"there is no token {token_id!r}: see the list of tokens")
            tx.after_commit(self.forget)

        await self._database.write(work)

    def forget(self) -> None:
        """Verify everything anew; called once accounts or tokens have changed."""
        self._verified.clear()
        self._any_key = None

    async def verify_bearer(self, token: str) -> Identity:
        """Return whom a bearer token speaks for.

        Raises NotAuthenticatedError, and ProviderUnreachableError for what is no token of ours.
        """
        presented = token.encode("utf-8", "replace")
        if hmac.compare_digest(presented, self._admin_token):
            return ADMINISTRATOR
        if self._job_tokens is not None and self._job_tokens.is_one(token):
            return await self._job_tokens.verify(token)

        async def verify() -> tuple[Identity, float | None]:
            try:
                token_id = self._read_jwt(token)
            except NotAuthenticatedError:
                if self._oidc is None:
                    raise
                return await self._verify_outside(self._oidc, token)

            def read(tx: Transaction) -> tuple[Identity, float | None]:
                return self._identity(tx, store.find_token(tx, token_id), REFUSED_BEARER)

            return await self._database.read(read)

        return await self._verified.get(presented, verify)

    async def _verify_outside(self, oidc: Oidc, token: str) -> tuple[Identity, float | None]:
        """Ask the identity provider; whom it vouches for is never an administrator here."""
        identity, expires_at = await oidc.verify(token)
        account = await self._database.read(lambda tx: store.find_account(tx, identity.user))
        joined = with_account(identity, account)
        return msgspec.structs.replace(joined, admin=False), expires_at

    async def verify_api_key(self, user: str, key: str) -> Identity:
        """Return whom ``ApiKey user:key`` speaks for. Raises NotAuthenticatedError."""
        key_hash = _digest(key)

        def read(tx: Transaction) -> tuple[Identity, float | None]:
            record = store.find_api_key(tx, key_hash)
            if record is not None and not hmac.compare_digest(
                record.user.encode(), user.encode("utf-8", "replace")
            ):
                record = None
            return self._identity(tx, record, REFUSED_KEY)

        async def verify() -> tuple[Identity, float | None]:
            return await self._database.read(read)

        presented = f"{user}:{key}".encode("utf-8", "replace")
        return await self._verified.get(b"ApiKey " + presented, verify)

    def _identity(
        self, tx: Transaction, record: store.TokenRecord | None, wrong: str
    ) -> tuple[Identity, float | None]:
        if record is None or _over(record, self._chance.now()):
            raise NotAuthenticatedError(wrong)
        identity = Identity(
            user=record.user,
            groups=record.groups,
            scopes=frozenset(record.scopes),
            admin=ADMIN in record.scopes,
            token_id=record.id,
            email=record.email,
        )
        return with_account(identity, store.find_account(tx, record.user)), record.expires_at

    def _sign(self, record: store.TokenRecord, claims: Mapping[str, str]) -> str:
        assert record.expires_at is not None
        body: dict[str, Any] = {
            **claims,
            "username": record.user,
            "groups": ",".join(record.groups),
            "scope": " ".join(record.scopes),
            "iat": int(record.created_at),
            "exp": int(record.expires_at),
            "jti": record.id,
        }
        if record.email:
            body["email"] = record.email
        return jwt.encode({"alg": _ALGORITHM}, body, self._signing_key, algorithms=[_ALGORITHM])

    def _read_jwt(self, token: str) -> str:
        """Return the id in a token that we signed; its row says the rest."""
        if len(token) > LONGEST_TOKEN or token.count(".") != 2 or not token.isascii():
            raise NotAuthenticatedError(REFUSED_BEARER)
        try:
            claims = jwt.decode(token, self._signing_key, algorithms=[_ALGORITHM]).claims
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise NotAuthenticatedError(REFUSED_BEARER) from error
        token_id = claims.get("jti")
        if not isinstance(token_id, str):
            raise NotAuthenticatedError(REFUSED_BEARER)
        return token_id

    def _new_key(self) -> str:
        while NOT_A_KEY.fullmatch(key := self._chance.token(KEY_BYTES)):
            pass
        return key


ADMINISTRATOR = Identity(user=ADMIN_USER, scopes=frozenset({ADMIN}), admin=True)


def parse_expires(value: str | float | None) -> float | None:
    """Turn ``30d``, ``12h``, ``1s`` or seconds into seconds. Raises InvalidInputError."""
    if value is None:
        return None
    try:
        return parse_duration(str(value))
    except InvalidInputError as error:
        raise InvalidInputError(str(error), "expires") from error


def _end(now: float, expires_in: float | None, *, api_key: bool) -> float | None:
    if expires_in is None:
        if api_key:
            return None
        expires_in = DEFAULT_LIFETIME
    if not 0 < expires_in <= LONGEST_LIFETIME:
        raise InvalidInputError(
            f"must be more than 0 and at most 100 years, not {expires_in:g} seconds", "expires"
        )
    return float(math.ceil(now + expires_in))


def _over(record: store.TokenRecord, now: float) -> bool:
    return record.expires_at is not None and record.expires_at <= now


def _checked(value: Any, kind: Any, field: str) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InvalidInputError(f"{value!r} does not fit: {error}", field) from error


def _checked_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    wanted = tuple(dict.fromkeys(scopes))
    for scope in wanted:
        if scope not in SCOPES:
            raise InvalidInputError(f"{scope!r} is none of {', '.join(SCOPES)}", "scopes")
    if not wanted:
        raise InvalidInputError(f"name at least one of {', '.join(SCOPES)}", "scopes")
    return wanted


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()
