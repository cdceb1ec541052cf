"""The unit of work: functions run inside a transaction, many callers to a commit.

Writers hand a function to ``write``; one thread runs the functions of all waiting callers in one
transaction, each in a savepoint of its own, commits once, and only then answers them. Readers
run in a small pool, each on a connection of its own.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import structlog

from gristmill.domain.errors import GristmillError, UnavailableError
from gristmill.store.connection import Connection, Row, StoreBrokenError
from gristmill.store.intake import Intake
from gristmill.store.migrate import migrate

T = TypeVar("T")
Connect = Callable[[bool], Connection]

MOST_CALLERS_A_COMMIT = 512
READERS = 4
LOCK_LOST = "the database cannot be reached or written now; try again later"

log = structlog.get_logger()


class Transaction:
    """What a unit of work sees: named statements, and acts for after the commit."""

    def __init__(
        self, connection: Connection, listeners: Mapping[str, Sequence[Callable[[], None]]] = {}
    ) -> None:
        self._listeners = listeners
        self.all: Callable[..., list[Row]] = connection.all
        self.one: Callable[..., Row | None] = connection.one
        self.run: Callable[..., None] = connection.run
        self.many = connection.many
        self.array = connection.array
        self.acts: list[Callable[[], None]] = []

    def after_commit(self, act: Callable[[], None]) -> None:
        """Have act called on the event loop once this work is durable."""
        self.acts.append(act)

    def tell(self, event: str) -> None:
        """Have those who listen for an event called once this work is durable."""
        self.acts.extend(self._listeners.get(event, ()))

    def must(self, statement: str, **values: object) -> Row:
        """Return the first row of a statement that always has one."""
        row = self.one(statement, **values)
        assert row is not None, statement
        return row


class _Caller(NamedTuple):
    work: Callable[[Transaction], Any]
    future: "asyncio.Future[Any]"
    loop: asyncio.AbstractEventLoop


class _Outcome(NamedTuple):
    caller: _Caller
    value: object
    error: BaseException | None
    acts: list[Callable[[], None]]


class Database:
    """One database: a writer thread and a pool of readers.

    intake: where single rows are durable at less than a commit's price; None where there is none.
    listeners: by event, see Transaction.tell.
    """

    def __init__(self, connect: Connect, intake: Intake | None = None) -> None:
        self._connect, self.intake = connect, intake
        self.listeners: dict[str, list[Callable[[], None]]] = {}
        self._queue: queue.SimpleQueue[_Caller | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_loop, name="store-writer", daemon=True)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._local = threading.local()
        self._writer: Connection | None = None
        self._open_readers: list[Connection] = []

    def start(self) -> None:
        """Connect, migrate, and start the writer. Raises UnavailableError."""
        try:
            self._writer = self._connect(True)
            migrate(self._writer)
        except StoreBrokenError as error:
            self._drop_writer()
            raise UnavailableError(f"cannot open the database: {error}") from error
        except BaseException:
            self._drop_writer()
            raise
        self._thread.start()

    def close(self) -> None:
        """Finish what was handed in, then close every connection."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()
        self._readers.shutdown(wait=True)
        if self.intake is not None:
            self.intake.close()
        for connection in self._open_readers:
            connection.close()

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Run work in a transaction; return its value once that is on disk.

        An exception of work undoes work alone and is raised here; UnavailableError when the
        database failed, and then nothing was changed.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._queue.put(_Caller(work, future, loop))
        return await future

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Run work on one consistent snapshot and return its value."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, work)

    def _read(self, work: Callable[[Transaction], T]) -> T:
        try:
            return self._read_once(work)
        except StoreBrokenError:
            self._drop_reader()
        try:
            # The connection may have been cut long ago; only a fresh one tells how things are.
            return self._read_once(work)
        except StoreBrokenError as error:
            self._drop_reader()
            raise UnavailableError(LOCK_LOST) from error

    def _read_once(self, work: Callable[[Transaction], T]) -> T:
        connection = self._reader()
        connection.begin(write=False)
        try:
            return work(Transaction(connection))
        finally:
            connection.rollback()

    def _reader(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect(False)
            self._local.connection = connection
            self._open_readers.append(connection)
        return connection

    def _drop_reader(self) -> None:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            self._local.connection = None
            self._open_readers.remove(connection)
            connection.close()

    def _write_loop(self) -> None:
        while True:
            callers = self._next_callers()
            if callers is None:
                break
            outcomes = self._commit_together(callers)
            try:
                callers[0].loop.call_soon_threadsafe(_deliver, outcomes)
            except RuntimeError:
                log.warning("store.callers_gone", callers=len(callers))
            self._keep_house()
        self._drop_writer()

    def _next_callers(self) -> list[_Caller] | None:
        first = self._queue.get()
        if first is None:
            return None
        callers = [first]
        while len(callers) < MOST_CALLERS_A_COMMIT:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._queue.put(None)
                break
            callers.append(following)
        return callers

    def _commit_together(self, callers: list[_Caller]) -> list[_Outcome]:
        try:
            if self._writer is None:
                self._writer = self._connect(True)
            self._writer.begin(write=True)
            outcomes = [self._run_one(self._writer, caller) for caller in callers]
            self._writer.commit()
        except StoreBrokenError as error:
            log.warning("store.failed", error=str(error), callers=len(callers))
            self._abandon()
            unavailable = UnavailableError(LOCK_LOST)
            return [_Outcome(caller, None, unavailable, []) for caller in callers]
        return outcomes

    def _run_one(self, connection: Connection, caller: _Caller) -> _Outcome:
        transaction = Transaction(connection, self.listeners)
        connection.savepoint()
        try:
            value = caller.work(transaction)
        except StoreBrokenError:
            raise
        except Exception as error:
            connection.undo()
            if not isinstance(error, GristmillError):
                log.exception("store.work_failed")
            return _Outcome(caller, None, error, [])
        connection.release()
        return _Outcome(caller, value, None, transaction.acts)

    def _abandon(self) -> None:
        """Drop the transaction; drop the connection too when even that fails."""
        if self._writer is None:
            return
        try:
            self._writer.rollback()
        except StoreBrokenError:
            self._drop_writer()

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def _keep_house(self) -> None:
        if self._writer is None:
            return
        try:
            self._writer.tidy(idle=self._queue.empty())
        except StoreBrokenError as error:
            log.warning("store.housekeeping_failed", error=str(error))


def _deliver(outcomes: list[_Outcome]) -> None:
    for outcome in outcomes:
        future = outcome.caller.future
        if future.done():
            continue
        if outcome.error is not None:
            future.set_exception(outcome.error)
        else:
            future.set_result(outcome.value)
    # Callers go on only after this callback, so every act still comes before them.
    for act in chain.from_iterable(outcome.acts for outcome in outcomes):
        try:
            act()
        except Exception:
            log.exception("store.act_failed")


def open_database(url: str, home: Path) -> Database:
    """Return the database at url: ``sqlite:///PATH``, ``postgresql://…``, or the home's own."""
    if url.startswith(("postgresql://", "postgres://")):
        from gristmill.store.postgres import PostgresConnection

        return Database(lambda writer: PostgresConnection(url, writer=writer))
    from gristmill.store.sqlite import SqliteConnection

    path = Path(url.removeprefix("sqlite://")) if url else home / "gristmill.db"
    intake = Intake(path.with_name(f"{path.name}-intake"))
    return Database(lambda writer: SqliteConnection(path, writer=writer), intake)
