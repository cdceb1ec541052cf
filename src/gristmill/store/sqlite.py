"""SQLite through apsw: WAL, synchronous=FULL, one writer, a few readers."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import apsw
import msgspec

from gristmill.store.connection import Row, StoreBrokenError
from gristmill.store.statements import load

T = TypeVar("T")

CHECKPOINT_PAGES = 4_000
"""WAL pages after which an idle moment is used for a checkpoint (16 MB)."""

FORCED_CHECKPOINT_PAGES = 64_000
"""WAL pages after which a checkpoint comes before the next transaction (256 MB)."""

_BROKEN = (
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.BusyError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ReadOnlyError,
    apsw.ProtocolError,
    apsw.NoMemError,
    apsw.ConnectionClosedError,
)

_encode = msgspec.json.Encoder().encode


class SqliteConnection:
    """A connection of its own settings to one database file."""

    kind = "sqlite"

    def __init__(self, path: Path, *, writer: bool) -> None:
        self._sql = load("sqlite")
        self._wal_pages = 0
        _make_private(path)
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        self._connection = _guard(lambda: apsw.Connection(str(path), flags, statementcachesize=300))
        self._connection.set_busy_timeout(5_000)
        for pragma in (
            "journal_mode=wal",
            "synchronous=full",
            "foreign_keys=off",
            "cache_size=-65536" if writer else "cache_size=-16384",
            "mmap_size=0",
            "temp_store=memory",
            "wal_autocheckpoint=0",
        ):
            _guard(lambda pragma=pragma: self._connection.execute(f"pragma {pragma}"))  # type: ignore[misc]
        if writer:
            self._connection.set_wal_hook(self._count_pages)
        else:
            _guard(lambda: self._connection.execute("pragma query_only=on"))

    def all(self, statement: str, **values: object) -> list[Row]:
        try:
            cursor = self._connection.execute(self._sql[statement], _bind(values))
            return cast("list[Row]", cursor.fetchall())
        except _BROKEN as error:
            raise StoreBrokenError(str(error)) from error

    def one(self, statement: str, **values: object) -> Row | None:
        rows = self.all(statement, **values)
        return rows[0] if rows else None

    def run(self, statement: str, **values: object) -> None:
        self.all(statement, **values)

    def many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        try:
            self._connection.executemany(self._sql[statement], cast("Any", rows))
        except _BROKEN as error:
            raise StoreBrokenError(str(error)) from error

    def array(self, values: Sequence[object]) -> object:
        return _encode(values).decode()

    def script(self, sql: str) -> None:
        _guard(lambda: self._connection.execute(sql))

    def begin(self, *, write: bool) -> None:
        if self._wal_pages > FORCED_CHECKPOINT_PAGES:
            self._checkpoint()
        _guard(lambda: self._connection.execute("begin immediate" if write else "begin"))

    def commit(self) -> None:
        _guard(lambda: self._connection.execute("commit"))

    def rollback(self) -> None:
        if self._connection.in_transaction:
            _guard(lambda: self._connection.execute("rollback"))

    def savepoint(self) -> None:
        _guard(lambda: self._connection.execute("savepoint caller"))

    def release(self) -> None:
        _guard(lambda: self._connection.execute("release caller"))

    def undo(self) -> None:
        _guard(lambda: self._connection.execute("rollback to caller; release caller"))

    def tidy(self, *, idle: bool) -> None:
        if idle and self._wal_pages > CHECKPOINT_PAGES:
            self._checkpoint()

    def close(self) -> None:
        self._connection.close()

    def _count_pages(self, _connection: object, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        def passive() -> None:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

        _guard(passive)
        self._wal_pages = 0


def _make_private(path: Path) -> None:
    """Make the file before SQLite does, for nobody else to read: it holds everybody's jobs."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StoreBrokenError(f"cannot open {path}: {error.strerror}") from error


def _bind(values: dict[str, object]) -> Any:
    return values or None


def _guard(act: Callable[[], T]) -> T:
    try:
        return act()
    except _BROKEN as error:
        raise StoreBrokenError(str(error)) from error
