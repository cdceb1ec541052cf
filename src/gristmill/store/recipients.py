"""Who is to be told of what goes wrong with a schedule or a pool."""

from collections.abc import Iterable
from typing import NamedTuple

from gristmill.store.database import Transaction


class PoolAddresses(NamedTuple):
    """A pool's name and the addresses it was declared with."""

    name: str
    addresses: tuple[str, ...]


def of_schedule(tx: Transaction, schedule: int) -> tuple[str, ...]:
    """Return the addresses of a schedule, its template, its project and its pool."""
    row = tx.one("get_addresses_of_schedule", id=schedule)
    return _addresses(row or ())


def of_pool(tx: Transaction, pool: int) -> PoolAddresses | None:
    """Return the addresses of a pool, None when it is gone."""
    row = tx.one("get_addresses_of_pool", id=pool)
    return None if row is None else PoolAddresses(row[0], _addresses(row[1:]))


def was_killed(tx: Transaction, run: int) -> bool:
    """Whether a worker has carried out a request to kill a run."""
    return tx.one("find_executed_kill", run_id=run) is not None


def _addresses(texts: Iterable[str]) -> tuple[str, ...]:
    """Return addresses that are written one to a line, each once, in their order."""
    lines = (line.strip() for text in texts for line in text.splitlines())
    return tuple(dict.fromkeys(filter(None, lines)))
