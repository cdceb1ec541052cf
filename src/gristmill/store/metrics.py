"""Sources, series, their tails of fresh points and their chunks of settled ones."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gristmill.domain.metrics import Point
from gristmill.store.database import Transaction

SOURCE_DELETED = "metric source deleted"
"""What those who remember series listen for."""

_EPOCH, _NUMBER = "metric_intake_epoch", "metric_intake"


class ChunkHead(NamedTuple):
    """What is known of a chunk without reading its points; times in microseconds.

    in_numbers: whether every value is a number. total: their sum, None where that is no number.
    """

    id: int
    first_at: int
    last_at: int
    points: int
    in_numbers: int
    total: float | None


class Packed(NamedTuple):
    """The points of a chunk as they are stored; see services/metrics/chunks.py."""

    times: bytes
    numbers: bytes | None
    texts: bytes | None
    extras: bytes | None


class NewChunk(NamedTuple):
    """A chunk that has no id yet."""

    first_at: int
    last_at: int
    points: int
    in_numbers: int
    total: float | None
    packed: Packed


def find_source(tx: Transaction, owner: int, name: str) -> int | None:
    """Return the id of an owner's source."""
    row = tx.one("find_metric_source", owner=owner, name=name)
    return row[0] if row else None


def ensure_source(tx: Transaction, owner: int, name: str, now: float) -> int:
    """Return the id of an owner's source, making it when it is new."""
    found = find_source(tx, owner, name)
    if found is not None:
        return found
    made: int = tx.must("insert_metric_source", owner=owner, name=name, now=now)[0]
    return made


def list_sources(
    tx: Transaction, owner: int, after: str, most: int
) -> list[tuple[int, str, float]]:
    """Return (id, name, created at) of an owner's sources behind a name, by name."""
    rows = tx.all("list_metric_sources", owner=owner, after=after, most=most)
    return [(row[0], row[1], row[2]) for row in rows]


def ensure_series(tx: Transaction, source: int, name: str) -> int:
    """Return the id of a source's series, making it when it is new."""
    row = tx.one("find_metric_series", source=source, name=name)
    if row is None:
        row = tx.must("insert_metric_series", source=source, name=name)
    found: int = row[0]
    return found


def list_series(tx: Transaction, source: int) -> list[tuple[int, str]]:
    """Return (id, name) of the series of a source, by name."""
    return [(row[0], row[1]) for row in tx.all("list_metric_series", source=source)]


def living_series(tx: Transaction, ids: Sequence[int]) -> set[int]:
    """Return those of the series that still exist."""
    return {row[0] for row in tx.all("get_living_metric_series", ids=tx.array(ids))}


def delete_source(tx: Transaction, source: int) -> None:
    """Remove a source with all its series and points."""
    tx.run("delete_metric_tail_of_source", source=source)
    tx.run("delete_metric_chunks_of_source", source=source)
    tx.run("delete_metric_series", source=source)
    tx.run("delete_metric_source", source=source)
    tx.tell(SOURCE_DELETED)


def delete_sources_named(tx: Transaction, names: Sequence[str]) -> None:
    """Remove the sources of these names, whoever owns them."""
    for row in tx.all("get_metric_sources_named", names=tx.array(names)):
        delete_source(tx, row[0])


def add_to_tails(tx: Transaction, points: Iterable[tuple[int, Point]]) -> None:
    """Append (series, point) as they arrived."""
    tx.many(
        "insert_metric_tail",
        [
            (series, point.at, point.value, point.metadata, int(point.cumulative))
            for series, point in points
        ],
    )


def get_intake(tx: Transaction) -> tuple[int, int] | None:
    """Return the epoch of the intake and the number of its last record that is in the tails."""
    epoch, number = tx.one("get_sequence", name=_EPOCH), tx.one("get_sequence", name=_NUMBER)
    return (epoch[0], number[0]) if epoch and number else None


def put_intake(tx: Transaction, number: int, epoch: int | None = None) -> None:
    """Note the number of the last record that is in the tails. epoch: where there was none."""
    tx.run("put_sequence", name=_NUMBER, value=number)
    if epoch is not None:
        tx.run("put_sequence", name=_EPOCH, value=epoch)


def get_tail(tx: Transaction, series: int) -> list[Point]:
    """Return the fresh points of a series, by time and then by arrival."""
    rows = tx.all("get_metric_tail", series=series)
    return [Point(at, value, metadata, bool(total)) for _, at, value, metadata, total in rows]


def take_tail(tx: Transaction, series: int) -> list[Point]:
    """Remove the fresh points of a series and return them, by time and then by arrival."""
    rows = tx.all("get_metric_tail", series=series)
    if rows:
        tx.run("delete_metric_tail", series=series, last=max(row[0] for row in rows))
    return [Point(at, value, metadata, bool(total)) for _, at, value, metadata, total in rows]


def tail_bounds(tx: Transaction, series: int) -> tuple[int, int | None]:
    """Return how many fresh points a series has, and the earliest time among them."""
    count, first = tx.must("get_metric_tail_bounds", series=series)
    return count, first


def tail_sizes(tx: Transaction) -> dict[int, int]:
    """Return series -> number of fresh points."""
    return {row[0]: row[1] for row in tx.all("count_metric_tails")}


def chunk_heads(tx: Transaction, series: int) -> list[ChunkHead]:
    """Return the chunks of a series, by time."""
    return [ChunkHead._make(row) for row in tx.all("get_metric_chunk_heads", series=series)]


def last_moment(tx: Transaction, series: int) -> int | None:
    """Return the time of the last settled point of a series."""
    row = tx.one("get_last_metric_chunk", series=series)
    return row[1] if row else None


def get_chunk(tx: Transaction, chunk: int) -> Packed:
    """Return the points of a chunk."""
    return Packed._make(tx.must("get_metric_chunk", id=chunk))


def add_chunks(tx: Transaction, series: int, chunks: Iterable[NewChunk]) -> None:
    """Add chunks to a series."""
    tx.many("insert_metric_chunk", [(series, *chunk[:5], *chunk.packed) for chunk in chunks])


def delete_chunk(tx: Transaction, chunk: int) -> None:
    """Remove a chunk; its points go on elsewhere."""
    tx.run("delete_metric_chunk", id=chunk)
