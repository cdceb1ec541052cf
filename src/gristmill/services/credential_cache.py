"""What was verified a moment ago, so that a busy client is not verified at every request."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from gristmill.domain.clock import Chance
from gristmill.domain.identity import Identity

MOST_REMEMBERED = 10_000

Verify = Callable[[], Awaitable[tuple[Identity, float | None]]]


class _Verified(NamedTuple):
    identity: Identity
    expires_at: float | None


class CredentialCache:
    """Credential -> identity, until it expires or everything is dropped."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self._entries: dict[bytes, _Verified] = {}
        self._version = 0

    def clear(self) -> None:
        """Drop everything, verifications that are under way included."""
        self._version += 1
        self._entries.clear()

    async def get(self, credential: bytes, verify: Verify) -> Identity:
        """Return the identity, verifying when it is not known; what verify raises is raised."""
        # The digest keeps secrets out of memory, and lookup time apart from what is looked up.
        key = hashlib.sha256(credential).digest()
        known = self._entries.get(key)
        if known is not None and not self._over(known):
            return known.identity
        while True:
            version = self._version
            fresh = _Verified(*await verify())
            if version == self._version:
                break
        if known is None and len(self._entries) >= MOST_REMEMBERED:
            self._entries.pop(next(iter(self._entries)))
        self._entries[key] = fresh
        return fresh.identity

    def _over(self, entry: _Verified) -> bool:
        return entry.expires_at is not None and entry.expires_at <= self._chance.now()
