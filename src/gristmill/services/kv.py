"""Small values under keys, private to their owner."""

from typing import NamedTuple

from gristmill.domain.errors import ConflictError, InvalidInputError
from gristmill.domain.objects import BEYOND, check_key
from gristmill.store.connection import Row
from gristmill.store.database import Database, Transaction

LARGEST_VALUE = 16_000
"""Bytes."""

MOST_A_PAGE = 1_000


class Pair(NamedTuple):
    """A key and its value."""

    key: str
    value: bytes


class KeyValues:
    """The key-value store. Nothing of one owner is ever found under another's name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, owner: str, key: str) -> bytes | None:
        """Return the value; None when there is none."""
        check_key(key)
        return await self._database.read(lambda tx: _get(tx, owner, key))

    async def put(self, owner: str, key: str, value: bytes, previous: bytes | None = None) -> None:
        """Set a value; durable when this returns.

        previous: the value that the key must have now. Raises InvalidInputError, and
        ConflictError when it has another, or none.
        """
        check_key(key)
        if len(value) > LARGEST_VALUE:
            raise InvalidInputError(
                f"has {len(value)} bytes, at most {LARGEST_VALUE}: put it into an object", "value"
            )

        def work(tx: Transaction) -> None:
            if previous is not None and _get(tx, owner, key) != previous:
                raise ConflictError(f"{key!r} does not have that previous value")
            tx.run("put_key_value", owner=owner, key=key, value=value)

        await self._database.write(work)

    async def delete(self, owner: str, key: str) -> bool:
        """Remove a key; False when there is none."""
        check_key(key)
        return await self._database.write(
            lambda tx: tx.one("delete_key_value", owner=owner, key=key) is not None
        )

    async def delete_prefix(self, owner: str, prefix: str) -> None:
        """Remove all keys that begin with a prefix, which is not empty."""
        check_key(prefix, "prefix")
        await self._database.write(
            lambda tx: tx.run("delete_key_values", owner=owner, low=prefix, high=prefix + BEYOND)
        )

    async def keys(
        self, owner: str, prefix: str = "", after: str = "", limit: int = MOST_A_PAGE
    ) -> list[str]:
        """Return keys that begin with prefix and follow after, in order."""
        rows = await self._rows("list_keys", owner, prefix, after, min(limit, MOST_A_PAGE))
        return [key for (key,) in rows]

    async def pairs(
        self, owner: str, prefix: str = "", after: str = "", limit: int = MOST_A_PAGE
    ) -> list[Pair]:
        """Return keys and values, as ``keys`` does."""
        rows = await self._rows("list_key_values", owner, prefix, after, min(limit, MOST_A_PAGE))
        return [Pair(key, bytes(value)) for key, value in rows]

    async def _rows(
        self, statement: str, owner: str, prefix: str, after: str, most: int
    ) -> list[Row]:
        if prefix:
            check_key(prefix, "prefix")
        if after:
            check_key(after, "after")
        low, high = max(prefix, after), prefix + BEYOND
        rows = await self._database.read(
            lambda tx: tx.all(statement, owner=owner, low=low, high=high, most=most + 1)
        )
        return [row for row in rows if not after or row[0] != after][:most]


def _get(tx: Transaction, owner: str, key: str) -> bytes | None:
    row = tx.one("get_key_value", owner=owner, key=key)
    return bytes(row[0]) if row else None
