"""What the store asks of a database, whichever it is."""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

Row = tuple[Any, ...]


class Connection(Protocol):
    """One connection to the database, used by one thread at a time.

    Every method raises StoreBrokenError when the database itself fails (disk full, gone).
    """

    kind: str

    def all(self, statement: str, **values: object) -> list[Row]:
        """Return every row of the named statement."""

    def one(self, statement: str, **values: object) -> Row | None:
        """Return the first row of the named statement, if any."""

    def run(self, statement: str, **values: object) -> None:
        """Execute the named statement for its effect."""

    def many(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Execute the named statement once a row, values by position."""

    def array(self, values: Sequence[object]) -> object:
        """Return the values as the one parameter that ``IN (…)`` statements take."""

    def script(self, sql: str) -> None:
        """Execute several statements that take no values."""

    def begin(self, *, write: bool) -> None:
        """Open a transaction; a reading one sees one snapshot."""

    def commit(self) -> None:
        """Make the transaction durable."""

    def rollback(self) -> None:
        """Undo the open transaction, if there is one."""

    def savepoint(self) -> None:
        """Mark a point to return to."""

    def release(self) -> None:
        """Keep what came since the savepoint."""

    def undo(self) -> None:
        """Drop what came since the savepoint, and the savepoint."""

    def tidy(self, *, idle: bool) -> None:
        """Do the database's housekeeping, if any is due."""

    def close(self) -> None:
        """Close the connection."""


class StoreBrokenError(Exception):
    """The database failed; the transaction is lost, the connection may be too."""
