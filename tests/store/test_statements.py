"""Every named statement is there for both databases, runs on both, and is used."""

import re
from importlib import resources
from pathlib import Path

import pytest

from gristmill.store.connection import Connection
from gristmill.store.database import open_database
from gristmill.store.statements import load

_SQL = Path(str(resources.files("gristmill.store") / "sql"))
_SOURCE = Path(str(resources.files("gristmill")))
_NAMES = sorted(load("sqlite"))


def _names(folder: str) -> set[str]:
    return {path.stem for path in (_SQL / folder).glob("*.sql")}


def test_both_databases_know_the_same_statements() -> None:
    assert _names("sqlite") == _names("postgres")
    assert not _names("common") & _names("sqlite")
    assert set(load("sqlite")) == set(load("postgres"))


def test_files_hold_one_statement_each() -> None:
    for path in _SQL.glob("*/*.sql"):
        text = path.read_text()
        assert ";" not in text.strip().rstrip(";"), path.name
        assert not re.search(r"--|/\*", text), path.name


def test_a_statement_takes_its_values_by_name_or_by_position() -> None:
    for name, sql in load("sqlite").items():
        named = re.search(r"(?<![:\w]):[a-z_]", sql)
        assert not (named and "?" in sql), name


def test_every_statement_is_used() -> None:
    source = "\n".join(path.read_text() for path in _SOURCE.rglob("*.py"))
    called = set(re.findall(r'"([a-z_]+)"', source))
    patterns = [
        re.compile(re.sub(r"\{[^}]*\}", "[a-z_]*", text))
        for text in re.findall(r'f"([a-z_]+_[a-z_]*\{[^"]*|\{\w+\}_[a-z_]+)"', source)
    ]
    unused = [
        name
        for name in _NAMES
        if name not in called
        and name.removesuffix("_of_group") not in called
        and not any(pattern.fullmatch(name) for pattern in patterns)
    ]
    assert unused == []


def test_both_databases_have_the_same_migrations() -> None:
    names = [
        sorted(path.name for path in (_SQL / kind / "migrations").glob("*.sql"))
        for kind in ("sqlite", "postgres")
    ]
    assert names[0] == names[1]
    numbers = [int(name.split("_")[0]) for name in names[0]]
    assert numbers == sorted(set(numbers))


def test_every_statement_can_be_prepared(database_url: str, tmp_path: Path) -> None:
    database = open_database(database_url, tmp_path)
    database.start()
    database.close()
    if database_url.startswith("sqlite"):
        _prepare_on_sqlite(database_url)
    else:
        _prepare_on_postgres(database_url)


def _prepare_on_sqlite(url: str) -> None:
    import apsw

    connection = apsw.Connection(url.removeprefix("sqlite://"))
    for name, sql in load("sqlite").items():
        named = dict.fromkeys(re.findall(r"(?<![:\w]):([a-z_]\w*)", sql))
        try:
            connection.execute(f"explain {sql}", named or [None] * sql.count("?"))
        except apsw.Error as error:
            pytest.fail(f"{name}: {error}")
    connection.close()


def _prepare_on_postgres(url: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for name, sql in load("postgres").items():
            holders = re.findall(r"%\((\w+)\)s|%s", sql)
            text = sql
            for number, holder in enumerate(dict.fromkeys(filter(None, holders)), 1):
                text = text.replace(f"%({holder})s", f"${number}")
            for number in range(1, text.count("%s") + 1):
                text = text.replace("%s", f"${number}", 1)
            try:
                connection.execute(f"prepare checked as {text.replace('%%', '%')}".encode())
                connection.execute("deallocate checked")
            except psycopg.Error as error:
                pytest.fail(f"{name}: {error}")


def test_connections_answer_alike(database_url: str, tmp_path: Path) -> None:
    database = open_database(database_url, tmp_path)
    database.start()
    database.close()
    connection = _connect(database_url)
    try:
        connection.begin(write=True)
        assert connection.all("get_agents") == []
        assert connection.one("find_word", text="x") is None
        assert connection.one("insert_word", text="x") == (1,)
        connection.savepoint()
        connection.run("insert_word", text="y")
        connection.undo()
        connection.savepoint()
        connection.many("insert_labels", [("k", "v", 1), ("k", "w", 2)])
        connection.release()
        connection.many("insert_labels", [])
        connection.commit()
        connection.rollback()
        connection.begin(write=True)
        assert connection.one("find_word", text="y") is None
        assert connection.one("find_word", text="x") == (1,)
        ids = connection.array([1, 2, 3])
        assert connection.all("get_states", ids=ids) == []
        assert connection.all("get_states", ids=connection.array([])) == []
        connection.rollback()
        connection.tidy(idle=True)
    finally:
        connection.close()


def _connect(url: str) -> Connection:
    if url.startswith("sqlite"):
        from gristmill.store.sqlite import SqliteConnection

        return SqliteConnection(Path(url.removeprefix("sqlite://")), writer=True)
    from gristmill.store.postgres import PostgresConnection

    return PostgresConnection(url, writer=True)
