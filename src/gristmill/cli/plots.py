"""Series as pictures: characters for a terminal, PNG for everybody else."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gristmill.domain.errors import InvalidInputError

if TYPE_CHECKING:
    from gristmill.client.models import Point

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_BLANK = 0x2800
NO_MATPLOTLIB = (
    "drawing a PNG needs matplotlib: install gristmill[plot], or leave --output away to plot in "
    "the terminal"
)

Curve = list[tuple[float, float]]
"""Seconds and values."""


def curve_of(points: "Sequence[Point]") -> Curve:
    """Return what can be drawn of a series; running totals become rates a second."""
    curve: Curve = []
    last: tuple[float, float] | None = None
    for point in points:
        try:
            value = float(point.value)
        except ValueError:
            continue
        if not math.isfinite(value):
            continue
        at = point.at.timestamp()
        if not point.cumulative:
            curve.append((at, value))
        elif last is not None:
            curve.append((at, max(0.0, value - last[1]) / max(at - last[0], 0.001)))
        last = (at, value)
    return curve


def draw(curve: Curve, *, width: int, height: int) -> list[str]:
    """Return lines of text: the curve in dots, two by four to a character, with its extremes.

    width, height: of the whole, in characters.
    """
    if not curve:
        return ["(no numbers)"]
    values = [value for _, value in curve]
    low, high = min(values), max(values)
    labels = [f"{high:.4g}", f"{low:.4g}"]
    margin = max(map(len, labels)) + 1
    columns, rows = max(width - margin, 10), max(height, 3)
    cells = [[0] * columns for _ in range(rows)]
    for x, y in _dots(curve, 2 * columns, 4 * rows, low, high):
        cells[y // 4][x // 2] |= _DOTS[x % 2][y % 4]
    lines = ["".join(chr(_BLANK + cell) for cell in row) for row in cells]
    sides = [labels[0], *[""] * (rows - 2), labels[1]]
    return [f"{side:>{margin - 1}} {line}" for side, line in zip(sides, lines, strict=True)]


def _dots(curve: Curve, across: int, down: int, low: float, high: float) -> "list[tuple[int, int]]":
    start, end = curve[0][0], curve[-1][0]
    span, rise = (end - start) or 1.0, (high - low) or 1.0
    places = [
        (
            round((at - start) / span * (across - 1)),
            round((1 - (value - low) / rise) * (down - 1)) if high > low else down // 2,
        )
        for at, value in curve
    ]
    dots = []
    for (x0, y0), (x1, y1) in zip(places, places[1:] or places, strict=False):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        dots += [
            (round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps))
            for step in range(steps + 1)
        ]
    return dots


def write_png(path: str, title: str, curves: Mapping[str, Curve]) -> None:
    """Draw curves into one picture, seconds since the first point on its axis.

    Raises InvalidInputError without matplotlib.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InvalidInputError(NO_MATPLOTLIB) from error

    figure = Figure(figsize=(10, 5), layout="constrained")
    axes = figure.add_subplot()
    start = min((curve[0][0] for curve in curves.values() if curve), default=0.0)
    for name, curve in curves.items():
        axes.plot([at - start for at, _ in curve], [value for _, value in curve], label=name)
    axes.set_title(title)
    axes.set_xlabel("seconds")
    axes.grid(visible=True, alpha=0.3)
    if len(curves) > 1:
        axes.legend()
    elif curves:
        axes.set_ylabel(next(iter(curves)))
    figure.savefig(path, format="png", dpi=120)
