"""Logging in from a terminal: it shows a code, a person who is logged in elsewhere approves it.

The terminal's own secret is stored hashed; what it gets once approved is an ordinary token.
"""

import hashlib
import hmac
from typing import NamedTuple

from gristmill.domain.clock import Chance
from gristmill.domain.errors import (
    ConflictError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)
from gristmill.domain.identity import DEFAULT_SCOPES, Identity
from gristmill.services.tokens import Created, Tokens
from gristmill.store import device_logins as store
from gristmill.store.database import Database, Transaction

LIFETIME = 600.0
"""Seconds a person has to approve."""

TOKEN_LIFETIME = 7 * 86_400.0
MOST_WAITING = 5_000
SECRET_BYTES = 24
CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no words come about, and nothing that is mistaken for something else."""

CODE_LENGTH = 8
_PURPOSE = b"gristmill device login client 1"


class Client(NamedTuple):
    """A program that may ask for logins."""

    id: str
    secret: str


class Begun(NamedTuple):
    """A login that waits to be approved. expires_in: seconds."""

    device_code: str
    user_code: str
    expires_in: float


class PendingError(ConflictError):
    """Nobody has approved the login yet."""


class DeviceLogins:
    """The logins that are under way."""

    def __init__(
        self, database: Database, chance: Chance, tokens: Tokens, signing_key: bytes
    ) -> None:
        self._database, self._chance, self._tokens = database, chance, tokens
        self._key = hmac.digest(signing_key, _PURPOSE, hashlib.sha256)

    def register(self) -> Client:
        """Return a new client. Nothing is stored: its secret follows from its id."""
        client = self._chance.token(SECRET_BYTES)
        return Client(client, self._secret(client))

    def check_client(self, client_id: str, secret: str) -> None:
        """Raise NotAuthenticatedError unless the secret is the client's."""
        expected = self._secret(client_id).encode()
        if not hmac.compare_digest(expected, secret.encode("utf-8", "replace")):
            raise NotAuthenticatedError("the client or its secret is wrong: register it again")

    async def begin(self) -> Begun:
        """Start a login. Raises UnavailableError when too many are under way."""
        now = self._chance.now()
        device_code = self._chance.token(SECRET_BYTES)
        letters = "".join(self._chance.random.choice(CODE_LETTERS) for _ in range(CODE_LENGTH))
        user_code = f"{letters[:4]}-{letters[4:]}"

        def work(tx: Transaction) -> None:
            store.delete_expired(tx, now)
            if store.count_waiting(tx, MOST_WAITING) >= MOST_WAITING:
                raise UnavailableError("too many logins are under way; try again in some minutes")
            store.insert(tx, _digest(device_code), user_code, now + LIFETIME)

        await self._database.write(work)
        return Begun(device_code, user_code, LIFETIME)

    async def approve(self, who: Identity, user_code: str) -> None:
        """Let whoever shows this code log in as who.

        Raises NotFoundError, and NotPermittedError for a job, whose own token ends with it.
        """
        if who.job:
            raise NotPermittedError("a job's token cannot let others log in")
        code = user_code.strip().upper()
        if "-" not in code:
            code = f"{code[:4]}-{code[4:]}"
        now = self._chance.now()

        def work(tx: Transaction) -> None:
            if not store.approve(tx, code, who, now):
                raise NotFoundError("there is no such code, or its time is over: begin again")

        await self._database.write(work)

    async def collect(self, device_code: str) -> Created:
        """Return the token of an approved login, once.

        Raises PendingError, and NotFoundError when the login is unknown or its time is over.
        """
        digest, now = _digest(device_code), self._chance.now()

        def work(tx: Transaction) -> Identity:
            login = store.find(tx, digest)
            if login is None or login.expires_at <= now:
                raise NotFoundError("there is no such login, or its time is over: begin again")
            if login.identity is None:
                raise PendingError("nobody has approved this login yet")
            store.delete(tx, digest)
            return login.identity

        who = await self._database.write(work)
        return await self._tokens.create(
            who.user,
            groups=who.groups,
            scopes=DEFAULT_SCOPES,
            expires_in=TOKEN_LIFETIME,
            email=who.email or None,
        )

    def _secret(self, client_id: str) -> str:
        return hmac.new(self._key, client_id.encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def _digest(device_code: str) -> str:
    return hashlib.sha256(device_code.encode("utf-8", "replace")).hexdigest()
