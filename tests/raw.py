"""A look into a database past the store, so that tests do not believe what they test."""

import apsw

from gristmill.store.connection import Row


def rows(url: str, sql: str) -> list[Row]:
    """Return what a statement without values finds."""
    if url.startswith("sqlite://"):
        connection = apsw.Connection(url.removeprefix("sqlite://"))
        try:
            return list(connection.execute(sql).fetchall())
        finally:
            connection.close()
    import psycopg

    with psycopg.connect(url, autocommit=True) as server:
        return server.execute(sql.encode()).fetchall()
