"""Logins of people with a browser: kept, hashed and sealed, and ended."""

import pytest

from gristmill.services import web_sessions as module
from gristmill.services.keyring import SecretBox
from gristmill.services.web_sessions import WebSessions
from gristmill.store.connection import Row
from tests.services.conftest import Play
from tests.services.mill import Mill

HOUR = 3600.0
PROOF = "the token of ann"


def of(mill: Mill, site: str = "pages", key: bytes = b"k" * 32) -> WebSessions:
    return WebSessions(mill.database, mill.clock.chance, SecretBox(key), site)


async def rows(mill: Mill, handle: str) -> list[Row]:
    digest = of(mill)._digest(handle)
    return await mill.database.read(lambda tx: tx.all("find_web_session", handle_hash=digest))


def test_a_login_is_found_until_it_ends(play: Play) -> None:
    async def story(mill: Mill) -> None:
        handle = await of(mill).open("ann", PROOF, HOUR)
        login = await of(mill).find(handle)
        assert login is not None
        assert (login.user, login.proof) == ("ann", PROOF)
        assert login.ends_at - login.began_at == HOUR
        await of(mill).extend(handle, login.began_at + 2 * HOUR)
        await of(mill).extend(handle, login.began_at + HOUR)
        mill.clock.go(2 * HOUR - 1)
        assert await of(mill).find(handle) is not None
        mill.clock.go(1)
        assert await of(mill).find(handle) is None

    play(story)


def test_handles_mean_nothing_elsewhere(play: Play) -> None:
    async def story(mill: Mill) -> None:
        handle = await of(mill).open("ann", PROOF, HOUR)
        assert await of(mill, "forms").find(handle) is None
        assert await of(mill).find("") is None
        assert await of(mill).find(handle + "x") is None
        assert await of(mill).find("\ud800") is None
        await of(mill, "forms").close(handle)
        assert await of(mill).find(handle) is not None
        await of(mill).close(handle)
        await of(mill).close(handle)
        assert await of(mill).find(handle) is None

    play(story)


def test_the_store_alone_lets_nobody_in(play: Play) -> None:
    async def story(mill: Mill) -> None:
        handle = await of(mill).open("ann", PROOF, HOUR)
        (row,) = await rows(mill, handle)
        text = repr([bytes(one) if isinstance(one, memoryview) else one for one in row])
        assert PROOF not in text
        assert handle not in text
        assert await of(mill, key=b"l" * 32).find(handle) is None

    play(story)


def test_one_user_has_so_many_at_most(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OF_A_USER", 3)

    async def story(mill: Mill) -> None:
        other = await of(mill).open("ben", PROOF, 1.5)
        elsewhere = await of(mill, "forms").open("ann", PROOF, 1.5)
        handles = []
        for _ in range(4):
            mill.clock.go(0.1)
            handles.append(await of(mill).open("ann", PROOF, HOUR))
        found = [await of(mill).find(handle) is not None for handle in handles]
        assert found == [False, True, True, True]
        assert await of(mill).find(other) is not None
        assert await of(mill, "forms").find(elsewhere) is not None

    play(story)


def test_what_is_over_is_forgotten(play: Play) -> None:
    async def story(mill: Mill) -> None:
        logins = of(mill)
        handle = await logins.open("ann", PROOF, HOUR)
        young = await logins.open("ann", PROOF, 3 * HOUR)
        mill.clock.go(2 * HOUR)
        await mill.housekeeping.tidy()
        assert await rows(mill, handle) == []
        assert len(await rows(mill, young)) == 1

    play(story)
