"""PostgreSQL through psycopg 3, behind the same few methods."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, cast

import psycopg

from gristmill.store.connection import Row, StoreBrokenError
from gristmill.store.statements import load

T = TypeVar("T")

WRITER_LOCK = 0x67726973746D696C
"""The advisory lock of the one server that may write."""

_BROKEN = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)


class PostgresConnection:
    """One connection; transactions are explicit."""

    kind = "postgres"

    def __init__(self, url: str, *, writer: bool) -> None:
        self._sql = cast("dict[str, Any]", load("postgres"))
        self._connection = _guard(
            lambda: psycopg.connect(url, autocommit=True, connect_timeout=5, prepare_threshold=2)
        )
        try:
            _guard(self._claim if writer else self._renounce)
        except StoreBrokenError:
            self._connection.close()
            raise

    def _claim(self) -> None:
        """Be the only writer: the lock goes with the connection."""
        self._connection.execute("set synchronous_commit = on")
        row = self._connection.execute("select pg_try_advisory_lock(%s)", (WRITER_LOCK,)).fetchone()
        if not row or not row[0]:
            raise StoreBrokenError("another server writes to this database; stop it first")

    def _renounce(self) -> None:
        self._connection.execute("set default_transaction_read_only = on")

    def all(self, statement: str, **values: object) -> list[Row]:
        def act() -> list[Row]:
            cursor = self._connection.execute(self._sql[statement], values or None)
            return cursor.fetchall() if cursor.description else []

        return _guard(act)

    def one(self, statement: str, **values: object) -> Row | None:
        rows = self.all(statement, **values)
        return rows[0] if rows else None

    def run(self, statement: str, **values: object) -> None:
        _guard(lambda: self._connection.execute(self._sql[statement], values or None))

    def many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        def act() -> None:
            with self._connection.cursor() as cursor:
                cursor.executemany(self._sql[statement], rows)

        _guard(act)

    def array(self, values: Sequence[object]) -> object:
        return list(values)

    def script(self, sql: str) -> None:
        _guard(lambda: self._connection.execute(cast("Any", sql)))

    def begin(self, *, write: bool) -> None:
        level = "" if write else " isolation level repeatable read"
        _guard(lambda: self._connection.execute(cast("Any", f"begin{level}")))

    def commit(self) -> None:
        _guard(lambda: self._connection.execute("commit"))

    def rollback(self) -> None:
        if self._connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            _guard(lambda: self._connection.execute("rollback"))

    def savepoint(self) -> None:
        _guard(lambda: self._connection.execute("savepoint caller"))

    def release(self) -> None:
        _guard(lambda: self._connection.execute("release savepoint caller"))

    def undo(self) -> None:
        _guard(lambda: self._connection.execute("rollback to savepoint caller"))
        self.release()

    def tidy(self, *, idle: bool) -> None:
        """Nothing to do: the database keeps house itself."""

    def close(self) -> None:
        self._connection.close()


def _guard(act: Callable[[], T]) -> T:
    try:
        return act()
    except _BROKEN as error:
        raise StoreBrokenError(str(error).strip()) from error
