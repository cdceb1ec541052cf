"""How long a login lasts."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gristmill.domain.errors import NotAuthenticatedError
from gristmill.services.web_sessions import WebSessions
from gristmill.web.sessions import IDLE_LIMIT, LONGEST, SITE, Sessions
from tests.identity.steered import Clock
from tests.web.place import WebPlace

MINUTE = 60.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(own_place: WebPlace, clock: Clock) -> Sessions:
    return open_sessions(own_place, clock)


def open_sessions(place: WebPlace, clock: Clock) -> Sessions:
    chance = clock.chance()
    logins = WebSessions(place.house.database, chance, place.house.box, SITE)
    return Sessions(place.house.tokens, logins, chance)


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_a_login_that_is_used_lasts_until_its_end(
    sessions: Sessions, clock: Clock, own_place: WebPlace
) -> None:
    async def work() -> None:
        handle = await sessions.open(own_place.admin_token)
        end = clock.time + LONGEST
        while clock.time + IDLE_LIMIT - MINUTE < end:
            clock.time += IDLE_LIMIT - MINUTE
            assert (await sessions.visitor(handle)).who.admin
        clock.time = end + MINUTE
        with pytest.raises(NotAuthenticatedError):
            await sessions.visitor(handle)

    run(work)


def test_a_login_that_nobody_uses_ends(
    sessions: Sessions, clock: Clock, own_place: WebPlace
) -> None:
    async def work() -> None:
        handle = await sessions.open(own_place.admin_token)
        clock.time += IDLE_LIMIT + MINUTE
        with pytest.raises(NotAuthenticatedError):
            await sessions.visitor(handle)

    run(work)


def test_a_login_outlives_the_server(sessions: Sessions, clock: Clock, own_place: WebPlace) -> None:
    async def work() -> None:
        handle = await sessions.open(own_place.admin_token)
        before = await sessions.visitor(handle)
        again = open_sessions(own_place, clock)
        assert await again.visitor(handle) == before
        await again.close(handle)
        with pytest.raises(NotAuthenticatedError):
            await sessions.visitor(handle)

    run(work)


def test_a_login_ends_with_its_token(sessions: Sessions, own_place: WebPlace) -> None:
    token = own_place.token("ann")

    async def work() -> None:
        handle = await sessions.open(token["token"])
        assert (await sessions.visitor(handle)).who.user == "ann"
        await own_place.house.tokens.revoke(token["id"])
        with pytest.raises(NotAuthenticatedError):
            await sessions.visitor(handle)

    run(work)
