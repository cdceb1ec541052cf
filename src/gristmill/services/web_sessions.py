"""Logins of people with a browser: a cookie holds a handle, everything else is in the store.

The handle is stored hashed; what a login stands on, such as a token, is stored sealed. So logins
outlive the server, and a copy of the database alone lets nobody in.
"""

import hashlib
from typing import NamedTuple

from gristmill.domain.clock import Chance
from gristmill.domain.errors import UnavailableError
from gristmill.services.keyring import SecretBox
from gristmill.store import web_sessions as store
from gristmill.store.database import Database, Transaction

HANDLE_BYTES = 32
MOST_OF_A_USER = 100
"""Logins of one user on a site; one more ends the one that would end first."""


class Login(NamedTuple):
    """One login in force. proof: what it stands on. Times are epoch seconds."""

    user: str
    proof: str
    began_at: float
    ends_at: float


class WebSessions:
    """The logins of one site, such as the dashboard; a handle of another site means nothing."""

    def __init__(self, database: Database, chance: Chance, box: SecretBox, site: str) -> None:
        self._database, self._chance, self._box, self._site = database, chance, box, site

    async def open(self, user: str, proof: str, lifetime: float) -> str:
        """Begin a login that ends after lifetime seconds; return its handle once it is stored.

        proof: what ``find`` gives back, for the caller to check whether it still holds.
        """
        handle, now = self._chance.token(HANDLE_BYTES), self._chance.now()
        session = store.WebSession(user, self._box.seal(proof, self._purpose), now, now + lifetime)

        def work(tx: Transaction) -> None:
            store.delete_expired(tx, now)
            store.insert(tx, self._digest(handle), self._site, session, MOST_OF_A_USER)

        await self._database.write(work)
        return handle

    async def find(self, handle: str) -> Login | None:
        """Return the login with this handle, None when there is none in force."""
        if not handle:
            return None
        digest = self._digest(handle)
        session = await self._database.read(lambda tx: store.find(tx, digest))
        if session is None or session.ends_at <= self._chance.now():
            return None
        try:
            proof = self._box.open(session.sealed_proof, self._purpose)
        except UnavailableError:
            # Sealed with a key that is gone: whoever it was can log in again.
            return None
        return Login(session.user, proof, session.began_at, session.ends_at)

    async def extend(self, handle: str, ends_at: float) -> None:
        """Let a login last until then, epoch seconds; never shorter than it does."""
        digest = self._digest(handle)
        await self._database.write(lambda tx: store.extend(tx, digest, ends_at))

    async def close(self, handle: str) -> None:
        """End a login; one that is gone already is as good."""
        if handle:
            digest = self._digest(handle)
            await self._database.write(lambda tx: store.delete(tx, digest))

    @property
    def _purpose(self) -> str:
        return f"web session {self._site}"

    def _digest(self, handle: str) -> str:
        return hashlib.sha256(f"{self._site}:{handle}".encode("utf-8", "replace")).hexdigest()
