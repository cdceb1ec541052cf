"""Keys belong to one owner, whatever they look like."""

import asyncio

import pytest

from gristmill.domain.errors import ConflictError, InvalidInputError
from gristmill.services.kv import LARGEST_VALUE, KeyValues, Pair
from gristmill.store.database import Database


def test_values_are_kept_as_they_are(database: Database) -> None:
    async def story() -> None:
        kv = KeyValues(database)
        value = bytes(range(256))
        await kv.put("bob", "a", value)
        assert await kv.get("bob", "a") == value
        await kv.put("bob", "a", b"")
        assert await kv.get("bob", "a") == b""
        assert await kv.get("bob", "b") is None
        assert await kv.delete("bob", "a")
        assert not await kv.delete("bob", "a")
        await kv.put("bob", "k", b"x" * LARGEST_VALUE)
        with pytest.raises(InvalidInputError, match="16000"):
            await kv.put("bob", "k", b"x" * (LARGEST_VALUE + 1))
        for key in ("", "a\0", "x" * 1025):
            with pytest.raises(InvalidInputError):
                await kv.put("bob", key, b"x")

    asyncio.run(story())


def test_owners_never_see_one_another(database: Database) -> None:
    async def story() -> None:
        kv = KeyValues(database)
        owners = ["bob", "bobby", "bo", "bob/x", "Bob", "bob%", "bo_"]
        for owner in owners:
            await kv.put(owner, f"of {owner}", owner.encode())
            await kv.put(owner, "by", owner.encode())
        for owner in owners:
            assert await kv.keys(owner) == sorted(["by", f"of {owner}"])
            assert await kv.get(owner, "by") == owner.encode()
        await kv.delete_prefix("bob", "by")
        await kv.delete_prefix("bob", "o")
        assert await kv.keys("bob") == []
        for owner in owners[1:]:
            assert len(await kv.keys(owner)) == 2

    asyncio.run(story())


def test_prefixes_mean_what_they_say(database: Database) -> None:
    async def story() -> None:
        kv = KeyValues(database)
        keys = sorted(["a", "a%", "a_b", "ab", "a/b", "b", "ä", "a\U0010ffff"])
        for key in keys:
            await kv.put("bob", key, key.encode())
        for prefix in ("a", "a%", "a_", "a/", "ä", "z"):
            wanted = [key for key in keys if key.startswith(prefix)]
            assert await kv.keys("bob", prefix) == wanted
            found = [pair async for page in _pages(kv, prefix) for pair in page]
            assert found == [Pair(key, key.encode()) for key in wanted]
        await kv.delete_prefix("bob", "a_")
        assert await kv.keys("bob") == [key for key in keys if key != "a_b"]

    asyncio.run(story())


async def _pages(kv: KeyValues, prefix: str):  # type: ignore[no-untyped-def]
    after = ""
    while page := await kv.pairs("bob", prefix, after, 2):
        yield page
        after = page[-1].key


def test_of_many_who_replace_a_value_one_does(database: Database) -> None:
    async def story() -> None:
        kv = KeyValues(database)
        await kv.put("bob", "lock", b"free")

        async def grab(number: int) -> bool:
            try:
                await kv.put("bob", "lock", b"%d" % number, b"free")
            except ConflictError:
                return False
            return True

        won = await asyncio.gather(*(grab(number) for number in range(30)))
        assert won.count(True) == 1
        assert await kv.get("bob", "lock") == b"%d" % won.index(True)
        with pytest.raises(ConflictError):
            await kv.put("bob", "not there", b"x", b"y")
        assert await kv.get("bob", "not there") is None

    asyncio.run(story())
