from pathlib import Path

import pytest

from gristmill.domain.errors import UnavailableError
from gristmill.store import migrate
from gristmill.store.database import open_database
from gristmill.store.statements import migrations
from tests.raw import rows


def _start(url: str, folder: Path) -> None:
    database = open_database(url, folder)
    try:
        database.start()
    finally:
        database.close()


def _versions(url: str) -> list[int]:
    return [row[0] for row in rows(url, "select version from schema_version order by version")]


def test_starting_twice_changes_nothing(database_url: str, tmp_path: Path) -> None:
    _start(database_url, tmp_path)
    first = _versions(database_url)
    _start(database_url, tmp_path)
    assert _versions(database_url) == first == sorted(set(first))


def test_a_newer_database_is_refused_and_left_alone(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _start(database_url, tmp_path)
    before = _versions(database_url)
    known = migrations("sqlite" if database_url.startswith("sqlite") else "postgres")
    monkeypatch.setattr(migrate, "migrations", lambda _: known[:-1])
    with pytest.raises(UnavailableError, match="use a newer Gristmill"):
        _start(database_url, tmp_path)
    assert _versions(database_url) == before


def test_a_migration_happens_whole_or_not_at_all(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _start(database_url, tmp_path)
    before = _versions(database_url)
    known = migrations("sqlite" if database_url.startswith("sqlite") else "postgres")
    next_number = known[-1][0] + 1
    broken = (next_number, "create table half (x integer); create nonsense;")
    monkeypatch.setattr(migrate, "migrations", lambda _: [*known, broken])
    with pytest.raises(Exception, match=r"(?i)syntax"):
        _start(database_url, tmp_path)
    assert _versions(database_url) == before
    whole = (next_number, "create table half (x integer); insert into half values (7);")
    monkeypatch.setattr(migrate, "migrations", lambda _: [*known, whole])
    _start(database_url, tmp_path)
    assert rows(database_url, "select x from half") == [(7,)]
    assert _versions(database_url) == [*before, next_number]
