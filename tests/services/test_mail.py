"""Mail is sent when the relay takes it, and survives whatever happens until then."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from gristmill.domain.clock import Chance
from gristmill.services import mail
from gristmill.services.mail import KEPT_FOR, Mailer, PostOffice
from gristmill.store.database import Database
from gristmill.store.mail import next_mail
from tests.services.mill import Clock
from tests.services.relay import Relay, text_of


def post(relay: Relay) -> PostOffice:
    return PostOffice(host="127.0.0.1", port=relay.port, sender="mill@example.org")


async def hand_in(database: Database, mailer: Mailer, *to: str, subject: str = "Hello") -> None:
    await database.write(lambda tx: mailer.enqueue(tx, list(to), subject, "Grüße\nall well\n"))


def run(mailer: Mailer, story: Callable[[], Awaitable[None]]) -> None:
    """Run a story while the mailer works."""

    async def act() -> None:
        working = asyncio.create_task(mailer.run())
        await story()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    asyncio.run(act())


async def emptied(database: Database) -> None:
    """Return once nothing waits in the outbox."""
    async with asyncio.timeout(30):
        while await database.read(next_mail) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_a_mail_arrives_once(database: Database) -> None:
    relay = Relay()
    mailer = Mailer(database, Chance(), post(relay), "boss@example.org")

    async def story() -> None:
        await hand_in(database, mailer, "ann@example.org", "ben@example.org")
        await asyncio.to_thread(relay.wait, 1)
        await database.write(lambda tx: mailer.tell_admins(tx, "Bad\r\nBcc: x@y", "news"))
        await asyncio.to_thread(relay.wait, 2)
        await emptied(database)

    with relay.running():
        run(mailer, story)
    (first_to, first), (second_to, second) = relay.taken
    assert first_to == ["ann@example.org", "ben@example.org"]
    assert (first["From"], first["Subject"]) == ("mill@example.org", "Hello")
    assert text_of(first).splitlines() == ["Grüße", "all well"]
    assert second_to == ["boss@example.org"]
    assert second["Subject"] == "Bad  Bcc: x@y"
    assert second["Bcc"] is None
    assert first["Message-ID"] != second["Message-ID"]


def test_mail_waits_for_a_relay_that_is_away_or_refuses(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "FIRST_PAUSE", 0.02)
    relay = Relay()
    mailer = Mailer(database, Chance(), post(relay), "")

    async def story() -> None:
        await hand_in(database, mailer, "ann@example.org")
        assert await database.read(next_mail) is not None
        relay.refusal = "451 not now"
        with relay.running():
            await asyncio.to_thread(relay.wait_refused, 2)
            relay.refusal = ""
            await asyncio.to_thread(relay.wait, 1)
            await emptied(database)

    run(mailer, story)
    assert len(relay.taken) == 1


def test_one_mail_that_is_refused_holds_up_no_other(database: Database) -> None:
    relay = Relay()
    mailer = Mailer(database, Chance(), post(relay), "")

    async def story() -> None:
        relay.disliked = "odd"
        await hand_in(database, mailer, "ann@example.org", subject="odd")
        await hand_in(database, mailer, "ann@example.org", subject="even")
        await asyncio.to_thread(relay.wait, 1)

    with relay.running():
        run(mailer, story)
    assert relay.taken[0][1]["Subject"] == "even"


def test_the_outbox_outlives_the_server(database: Database) -> None:
    relay = Relay()
    before = Mailer(database, Chance(), post(relay), "")
    asyncio.run(hand_in(database, before, "ann@example.org"))
    after = Mailer(database, Chance(), post(relay), "")

    async def story() -> None:
        await asyncio.to_thread(relay.wait, 1)

    with relay.running():
        run(after, story)


def test_mail_that_nobody_takes_is_given_up_after_days(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "FIRST_PAUSE", 0.0)
    relay, clock = Relay(), Clock()
    relay.refusal = "550 never"
    mailer = Mailer(database, clock.chance, post(relay), "")

    async def story() -> None:
        await hand_in(database, mailer, "ann@example.org")
        await asyncio.to_thread(relay.wait_refused, 1)
        clock.go(KEPT_FOR + 1)
        await emptied(database)

    with relay.running():
        run(mailer, story)
    assert relay.taken == []


def test_without_a_relay_nothing_is_kept(database: Database) -> None:
    mailer = Mailer(database, Chance(), None, "boss@example.org")
    asyncio.run(hand_in(database, mailer, "ann@example.org"))
    assert asyncio.run(database.read(next_mail)) is None


def test_a_mail_of_undone_work_is_never_sent(database: Database) -> None:
    mailer = Mailer(database, Chance(), PostOffice(host="h", port=1, sender="a@b"), "")

    def work(enqueue: Callable[..., None], tx: object) -> None:
        enqueue(tx, ["ann@example.org"], "s", "b")
        raise KeyError

    with pytest.raises(KeyError):
        asyncio.run(database.write(partial(work, mailer.enqueue)))
    assert asyncio.run(database.read(next_mail)) is None
