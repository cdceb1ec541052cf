import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Self

import pytest

from gristmill.domain.errors import ConflictError, UnavailableError
from gristmill.store.database import Database, Transaction, open_database
from gristmill.store.events import append_event, events_after, last_event
from gristmill.store.words import Words
from tests.raw import rows


def note(text: str) -> Callable[[Transaction], int]:
    """A piece of work that leaves an event behind and returns its id."""

    def work(tx: Transaction) -> int:
        append_event(tx, 1.0, text, [])
        return last_event(tx)

    return work


def noted(url: str) -> list[str]:
    return [row[0] for row in rows(url, "select kind from event order by id")]


class Gate:
    """Holds the writer, so that callers pile up behind it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open, self._reached = threading.Event(), threading.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._database.write(self._hold))
        await asyncio.to_thread(self._reached.wait)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._open.set()
        assert self._task is not None
        await self._task

    def _hold(self, _: Transaction) -> None:
        self._reached.set()
        self._open.wait()


async def together(database: Database, *works: Callable[[Transaction], object]) -> list[object]:
    """Have works share a commit; return their results and errors."""
    async with Gate(database):
        tasks = [asyncio.create_task(database.write(work)) for work in works]
        await asyncio.sleep(0)
    return await asyncio.gather(*tasks, return_exceptions=True)


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def act() -> None:
        await story()

    asyncio.run(act())


def test_an_answer_means_it_is_committed(database: Database, database_url: str) -> None:
    async def story() -> None:
        await database.write(note("a"))
        assert noted(database_url) == ["a"]

    run(story)


def test_failing_work_undoes_itself_alone(database: Database, database_url: str) -> None:
    def fail(tx: Transaction) -> None:
        note("bad")(tx)
        raise ConflictError("no")

    def crash(tx: Transaction) -> None:
        note("worse")(tx)
        raise KeyError("x")

    def wrong(tx: Transaction) -> None:
        note("sql")(tx)
        tx.run("insert_pool", name=None)

    async def story() -> None:
        results = await together(database, note("a"), fail, note("b"), crash, wrong, note("c"))
        assert [type(result) for result in results[:4]] == [int, ConflictError, int, KeyError]
        assert isinstance(results[4], Exception)
        assert isinstance(results[5], int)
        assert noted(database_url) == ["a", "b", "c"]

    run(story)


def test_work_that_shares_a_commit_sees_what_came_before_it(database: Database) -> None:
    async def story() -> None:
        results = await together(database, *[note(str(n)) for n in range(20)])
        numbers = [result for result in results if isinstance(result, int)]
        assert numbers == sorted(set(numbers))
        assert len(numbers) == 20

    run(story)


def test_acts_come_after_the_commit_in_order_and_only_for_what_succeeded(
    database: Database, database_url: str
) -> None:
    acts: list[tuple[str, int]] = []

    def acting(name: str, *, fail: bool = False, bad_act: bool = False) -> Callable[..., None]:
        def work(tx: Transaction) -> None:
            note(name)(tx)
            tx.after_commit(lambda: acts.append((name, len(noted(database_url)))))
            if bad_act:
                tx.after_commit(lambda: acts.append(acts[999]))
            if fail:
                raise ConflictError("no")

        return work

    async def story() -> None:
        loop = threading.get_ident()
        works = [acting("a"), acting("b", fail=True), acting("c", bad_act=True), acting("d")]
        await together(database, *works)
        assert acts == [("a", 3), ("c", 3), ("d", 3)]
        where: list[int] = []
        await database.write(partial(_note_thread, where=where))
        assert where == [loop]

    run(story)


def _note_thread(tx: Transaction, where: list[int]) -> None:
    tx.after_commit(lambda: where.append(threading.get_ident()))


def test_a_caller_that_gave_up_disturbs_nobody(database: Database, database_url: str) -> None:
    acted: list[str] = []

    def work(tx: Transaction) -> None:
        note("given up")(tx)
        tx.after_commit(lambda: acted.append("yes"))

    async def story() -> None:
        async with Gate(database):
            gone = asyncio.create_task(database.write(work))
            stays = asyncio.create_task(database.write(note("stays")))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.sleep(0)
        await stays
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert noted(database_url) == ["given up", "stays"]
        assert acted == ["yes"], "what became true is acted upon, whoever still listens"

    run(story)


def test_the_writer_survives_a_loop_that_closed(database: Database, database_url: str) -> None:
    async def leave() -> None:
        task = asyncio.create_task(database.write(slow))
        await asyncio.to_thread(reached.wait)
        task.cancel()

    def slow(tx: Transaction) -> None:
        reached.set()
        go_on.wait()
        note("late")(tx)

    reached, go_on = threading.Event(), threading.Event()
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(_cancelled(leave))
    go_on.set()

    async def story() -> None:
        await database.write(note("next"))
        assert noted(database_url) == ["late", "next"]

    run(story)


async def _cancelled(leave: Callable[[], Awaitable[None]]) -> None:
    await leave()
    raise asyncio.CancelledError


def test_many_writers_and_readers_at_once(database: Database, database_url: str) -> None:
    async def reader() -> None:
        counts = []
        for _ in range(20):
            seen = await database.read(lambda tx: len(events_after(tx, 0, 10_000)))
            counts.append(seen)
        assert counts == sorted(counts)

    async def story() -> None:
        writers = [database.write(note(str(n))) for n in range(1_500)]
        await asyncio.gather(*writers, *[reader() for _ in range(6)])
        assert len(noted(database_url)) == 1_500

    run(story)


def test_a_reader_sees_one_snapshot(database: Database) -> None:
    begun, written = threading.Event(), threading.Event()

    def look_twice(tx: Transaction) -> tuple[int, int]:
        first = last_event(tx)
        begun.set()
        written.wait()
        return first, last_event(tx)

    async def story() -> None:
        looking = asyncio.create_task(database.read(look_twice))
        await asyncio.to_thread(begun.wait)
        await database.write(note("meanwhile"))
        written.set()
        assert await looking == (0, 0)
        assert await database.read(last_event) == 1

    run(story)


def test_readers_cannot_write(database: Database, database_url: str) -> None:
    async def story() -> None:
        with pytest.raises(UnavailableError):
            await database.read(note("a"))
        assert noted(database_url) == []
        assert await database.write(note("b"))

    run(story)


def test_what_was_handed_in_before_closing_is_finished(database_url: str, tmp_path: Path) -> None:
    database = open_database(database_url, tmp_path)
    database.start()

    async def story() -> None:
        tasks = [asyncio.create_task(database.write(note(str(n)))) for n in range(50)]
        await asyncio.sleep(0)
        await asyncio.to_thread(database.close)
        await asyncio.gather(*tasks)

    run(story)
    assert len(noted(database_url)) == 50


def test_words_forget_what_was_rolled_back(database: Database) -> None:
    words = Words()

    def intern_and_fail(tx: Transaction) -> None:
        words.intern(tx, "ghost")
        raise ConflictError("no")

    async def story() -> None:
        with pytest.raises(ConflictError):
            await database.write(intern_and_fail)
        assert await database.read(lambda tx: words.find(tx, "ghost")) is None
        other = await database.write(lambda tx: words.intern(tx, "real"))
        ghost = await database.write(lambda tx: words.intern(tx, "ghost"))
        assert other != ghost
        for known in (words, Words()):
            assert await database.read(lambda tx, known=known: known.find(tx, "ghost")) == ghost  # type: ignore[misc]
            assert await database.read(lambda tx, known=known: known.text(tx, ghost)) == "ghost"  # type: ignore[misc]

    run(story)


def test_the_cache_of_words_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gristmill.store.words.MOST_CACHED", 10)
    words = Words()

    async def story() -> None:
        ids = [
            await database.write(lambda tx, n=n: words.intern(tx, f"w{n}"))  # type: ignore[misc]
            for n in range(40)
        ]
        assert len(set(ids)) == 40
        assert await database.write(lambda tx: words.intern(tx, "w3")) == ids[3]
        assert await database.read(lambda tx: words.text(tx, ids[0])) == "w0"
        assert await database.read(lambda tx: words.text(tx, 0)) == ""

    run(story)


def test_events_are_read_on_from_any_of_them(database: Database) -> None:
    async def story() -> None:
        ids = [await database.write(note(f"k{n}")) for n in range(5)]
        after = await database.read(lambda tx: events_after(tx, ids[1], 2))
        assert [(event.id, event.kind) for event in after] == [(ids[2], "k2"), (ids[3], "k3")]
        await database.write(lambda tx: append_event(tx, 2.5, "x", [4, 5], {"a": "é"}))
        (last,) = await database.read(lambda tx: events_after(tx, ids[4], 9))
        assert (last.at, last.jobs, bytes(last.data)) == (2.5, [4, 5], '{"a":"é"}'.encode())

    run(story)


def test_event_ids_are_never_used_again(database: Database) -> None:
    async def story() -> None:
        await together(database, *[note("a") for _ in range(3)])
        last = await database.read(last_event)
        await database.write(lambda tx: tx.run("delete_events_before", before=9.0, most=99))
        assert await database.write(note("b")) > last

    run(story)


def test_a_database_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "folder.db"
    folder.mkdir()
    database = open_database(f"sqlite://{folder}", tmp_path)
    with pytest.raises(UnavailableError, match="cannot open the database"):
        database.start()
    database.close()
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(b"no database " * 1_000)
    database = open_database(f"sqlite://{garbage}", tmp_path)
    with pytest.raises(UnavailableError, match="cannot open the database"):
        database.start()
    database.close()
