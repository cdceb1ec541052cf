"""How long a login lasts."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gristmill.domain.errors import NotAuthenticatedError
from gristmill.web import sessions as module
from gristmill.web.sessions import IDLE_LIMIT, LONGEST, Sessions
from tests.identity.steered import Clock
from tests.web.place import WebPlace

MINUTE = 60.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(own_place: WebPlace, clock: Clock) -> Sessions:
    return Sessions(own_place.house.tokens, clock.chance())


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


def test_the_login_used_least_makes_room(
    sessions: Sessions, clock: Clock, own_place: WebPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SESSIONS", 3)

    async def work() -> None:
        handles = []
        for _ in range(3):
            clock.time += MINUTE
            handles.append(await sessions.open(own_place.admin_token))
        clock.time += MINUTE
        await sessions.visitor(handles[0])
        await sessions.open(own_place.admin_token)
        await sessions.visitor(handles[0])
        with pytest.raises(NotAuthenticatedError):
            await sessions.visitor(handles[1])

    run(work)
