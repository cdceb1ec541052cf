"""Keys that live jobs stand for: one job a key and owner."""

from collections.abc import Iterable

from gristmill.store.database import Transaction
from gristmill.store.jobs import JobHead


class LiveKeys:
    """Sees to it, within a transaction, that at most one live job stands for a key."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._claimed: dict[tuple[int, str], int] = {}

    def reserve(self, owner: int, keys: Iterable[str], job: int) -> None:
        """Keep keys for jobs that are about to be added, of which job is the first."""
        for key in keys:
            self._claimed[owner, key] = job

    def claim(self, head: JobHead, key: str) -> int | None:
        """Let an ended job stand for its key again; return the other job if one does already."""
        owner = head.owner_id
        if (owner, key) not in self._claimed:
            row = self._tx.one("find_key", key=key, owner=owner)
            self._claimed[owner, key] = row[0] if row else head.id
        holder = self._claimed[owner, key]
        return None if holder == head.id else holder
