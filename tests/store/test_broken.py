"""The database fails: callers are told, nothing half-done stays, and it recovers by itself."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import apsw
import psycopg
import pytest

from gristmill.domain.errors import UnavailableError
from gristmill.store.connection import StoreBrokenError
from gristmill.store.database import Database, Transaction, open_database
from gristmill.store.events import append_event, last_event
from gristmill.store.sqlite import SqliteConnection
from tests.raw import rows


def note(tx: Transaction) -> None:
    append_event(tx, 1.0, "noted", [])


def bulky(tx: Transaction) -> None:
    for _ in range(200):
        append_event(tx, 1.0, os.urandom(20_000).hex(), [])


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[tuple[Database, str]]:
    url = f"sqlite://{tmp_path}/gristmill.db"
    database = open_database(url, tmp_path)
    database.start()
    yield database, url
    database.close()


def test_a_full_disk_refuses_what_does_not_fit_and_keeps_the_rest(
    sqlite: tuple[Database, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, url = sqlite

    def limit(tx: Transaction, pages: int) -> None:
        connection = tx.all.__self__  # type: ignore[attr-defined]
        connection._connection.pragma("max_page_count", pages)

    async def story() -> None:
        await database.write(note)
        used = rows(url, "pragma page_count")[0][0]
        await database.write(lambda tx: limit(tx, used + 20))
        results = await asyncio.gather(
            *[database.write(work) for work in (note, bulky, note)], return_exceptions=True
        )
        refused = [result for result in results if isinstance(result, UnavailableError)]
        assert refused
        kept = rows(url, "select count(*) from event")[0][0]
        assert kept == 1 + len([result for result in results if result is None])
        assert await database.read(last_event) >= 1
        await database.write(lambda tx: limit(tx, 1 << 30))
        await database.write(bulky)

    asyncio.run(story())


def test_errors_of_the_disk_are_told_apart_from_errors_of_the_work(
    sqlite: tuple[Database, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, url = sqlite
    commit = SqliteConnection.commit
    fail = True

    def failing(self: SqliteConnection) -> None:
        if fail:
            raise StoreBrokenError("disk I/O error")
        commit(self)

    monkeypatch.setattr(SqliteConnection, "commit", failing)

    async def story() -> None:
        nonlocal fail
        acts: list[int] = []

        def acting(tx: Transaction) -> None:
            note(tx)
            tx.after_commit(lambda: acts.append(1))

        results = await asyncio.gather(
            *[database.write(acting) for _ in range(5)], return_exceptions=True
        )
        assert all(isinstance(result, UnavailableError) for result in results)
        assert acts == []
        assert rows(url, "select count(*) from event") == [(0,)]
        fail = False
        await database.write(acting)
        assert acts == [1]
        assert rows(url, "select count(*) from event") == [(1,)]

    asyncio.run(story())


def test_a_database_locked_by_somebody_else_is_unavailable_until_it_is_not(
    sqlite: tuple[Database, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database, url = sqlite

    async def story() -> None:
        await database.write(
            lambda tx: tx.all.__self__._connection.set_busy_timeout(50)  # type: ignore[attr-defined]
        )
        other = apsw.Connection(url.removeprefix("sqlite://"))
        other.execute("begin immediate")
        with pytest.raises(UnavailableError):
            await database.write(note)
        assert await database.read(last_event) == 0
        other.execute("rollback")
        other.close()
        await database.write(note)
        assert await database.read(last_event) == 1

    asyncio.run(story())


@pytest.fixture
def server(postgres_cluster: str) -> Iterator[str]:
    name = f"broken_{os.urandom(6).hex()}"
    with psycopg.connect(f"{postgres_cluster}&dbname=postgres", autocommit=True) as connection:
        connection.execute(f"create database {name} template gristmill_template".encode())
    yield f"{postgres_cluster}&dbname={name}"
    with psycopg.connect(f"{postgres_cluster}&dbname=postgres", autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)".encode())


def _cut_all_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            b"select pg_terminate_backend(pid, 10000) from pg_stat_activity"
            b" where datname = current_database() and pid <> pg_backend_pid()"
        )


def test_connections_that_were_cut_are_made_anew(server: str, tmp_path: Path) -> None:
    database = open_database(server, tmp_path)
    database.start()

    async def eventually(write: bool) -> int:
        failures = 0
        while True:
            try:
                if write:
                    await database.write(note)
                else:
                    await database.read(last_event)
            except UnavailableError:
                failures += 1
                assert failures < 500
            else:
                return failures

    async def story() -> None:
        for _ in range(3):
            await eventually(write=True)
            await asyncio.gather(*[database.read(last_event) for _ in range(8)])
            _cut_all_connections(server)
            assert await eventually(write=True) >= 1, "a cut connection is told, once"
            for _ in range(8):
                await eventually(write=False)
        assert await database.read(last_event) >= 6

    asyncio.run(story())
    database.close()


def test_a_connection_cut_in_the_middle_changes_nothing(server: str, tmp_path: Path) -> None:
    database = open_database(server, tmp_path)
    database.start()

    def work(tx: Transaction) -> None:
        note(tx)
        _cut_all_connections(server)
        note(tx)

    async def story() -> None:
        with pytest.raises(UnavailableError):
            await database.write(work)
        assert await database.read(last_event) == 0
        await database.write(note)
        assert rows(server, "select count(*) from event") == [(1,)]

    asyncio.run(story())
    database.close()


def test_only_one_server_writes(server: str, tmp_path: Path) -> None:
    first = open_database(server, tmp_path)
    first.start()
    second = open_database(server, tmp_path)
    with pytest.raises(UnavailableError, match="another server writes"):
        second.start()
    second.close()
    first.close()
    third = open_database(server, tmp_path)
    third.start()
    third.close()
