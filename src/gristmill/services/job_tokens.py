"""Tokens that running jobs are given: the owner's rights, for as long as the attempt runs.

Nothing of a token is stored: it is signed, names job and attempt, and is good while that attempt
is the one that counts and still held by an agent.
"""

from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from gristmill.domain.errors import NotAuthenticatedError
from gristmill.domain.identity import Identity
from gristmill.domain.state import HELD
from gristmill.services.queue.core import QueueCore
from gristmill.services.users import with_account
from gristmill.store.database import Transaction
from gristmill.store.identity import find_account
from gristmill.store.jobs import get_head

LIFETIME = 400 * 86400.0
"""Seconds after which a token is refused even while its job still runs."""

REFUSED = "the job's token is wrong, or the job has ended"
_ALGORITHM = "HS256"
_HEADER = {"alg": _ALGORITHM, "kid": "job", "typ": "JWT"}


class JobTokens:
    """Mints and verifies the tokens of running jobs."""

    def __init__(self, core: QueueCore, signing_key: bytes) -> None:
        self._core = core
        self._key = OctKey.import_key(signing_key)
        # All tokens of jobs begin alike, and no other does.
        self._beginning = self._signed({}).partition(".")[0] + "."

    def is_one(self, token: str) -> bool:
        """Whether a bearer token claims to be a job's."""
        return token.startswith(self._beginning)

    def mint(self, who: Identity, job: int, attempt: int) -> str:
        """Return a token that speaks for who while this attempt runs."""
        now = self._core.chance.now()
        claims: dict[str, Any] = {
            "username": who.user,
            "groups": ",".join(who.groups),
            "job": str(job),
            "attempt": attempt,
            "iat": int(now),
            "exp": int(now + LIFETIME),
        }
        if who.email:
            claims["email"] = who.email
        return self._signed(claims)

    def _signed(self, claims: dict[str, Any]) -> str:
        return jwt.encode(dict(_HEADER), claims, self._key, algorithms=[_ALGORITHM])

    async def verify(self, token: str) -> Identity:
        """Return whom the token speaks for. Raises NotAuthenticatedError."""
        job, attempt, expires = self._read(token)
        if expires <= self._core.chance.now():
            raise NotAuthenticatedError(REFUSED)
        return await self._core.database.read(lambda tx: self._identity(tx, job, attempt))

    def _read(self, token: str) -> tuple[int, int, float]:
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims
            return int(claims["job"]), int(claims["attempt"]), float(claims["exp"])
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise NotAuthenticatedError(REFUSED) from error

    def _identity(self, tx: Transaction, job: int, attempt: int) -> Identity:
        head = get_head(tx, job)
        if head is None or head.state not in HELD or head.attempt != attempt:
            raise NotAuthenticatedError(REFUSED)
        return caller_of(self._core, tx, job, head.owner_id)


def caller_of(core: QueueCore, tx: Transaction, job: int, owner_id: int) -> Identity:
    """Return the owner of a job with the groups that the submitter's credential had."""
    user = core.words.text(tx, owner_id)
    row = tx.one("get_job_caller", job=job)
    groups, email = row if row is not None else ("", "")
    who = Identity(user=user, groups=tuple(filter(None, groups.split(","))), email=email, job=job)
    return with_account(who, find_account(tx, user))
