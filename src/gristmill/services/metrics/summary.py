"""Few points for many: means of consecutive points, from sums that are already there."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gristmill.domain.metrics import Point, mean, spell
from gristmill.services.metrics.chunks import Window

NAN = float("nan")


class Piece(NamedTuple):
    """Consecutive numbers of a series: a whole chunk, or the fresh points.

    skipped: points at its beginning that are not wanted. total: the sum of all its numbers.
    """

    first_at: int
    points: int
    skipped: int
    total: float | None
    window: Callable[[], Window]


class _Group:
    """One point of the summary, while it gathers what it stands for."""

    def __init__(self, at: int, cumulative: bool) -> None:
        self._at, self._cumulative = at, cumulative
        self._sums: list[float] = []
        self.points = 0

    def add(self, total: float | None, points: int) -> None:
        self._sums.append(NAN if total is None else total)
        self.points += points

    def close(self) -> Point:
        value = mean(self._sums) * len(self._sums) / self.points
        return Point(self._at, spell(value), "", self._cumulative)


def summarise(pieces: Sequence[Piece], size: int) -> list[Point]:
    """Return the means of each size consecutive points; the last group may be shorter."""
    groups: list[Point] = []
    group: _Group | None = None
    for piece in pieces:
        start = piece.skipped
        # A piece that lies within one group is known by its sum; only the others are opened.
        window: Window | None = None
        while start < piece.points:
            wanted = size if group is None else size - group.points
            end = min(start + wanted, piece.points)
            if group is None:
                window = window or piece.window()
                group = _begin(piece.first_at, window, start)
            if (start, end) == (0, piece.points):
                group.add(piece.total, piece.points)
            else:
                window = window or piece.window()
                group.add(sum(window.numbers[start:end]), end - start)
            if group.points == size:
                groups.append(group.close())
                group = None
            start = end
    if group is not None:
        groups.append(group.close())
    return groups


def _begin(first_at: int, window: Window, index: int) -> _Group:
    return _Group(first_at + window.since_first(index), window.cumulative(index))
