"""Figures as the report shows them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One line of the report, all of it text. met: None where there is no goal."""

    name: str
    ours: str
    compared: str
    ratio: str
    goal: str = ""
    met: bool | None = None


def ratios_of(ours: Sequence[float], others: Sequence[float]) -> list[float]:
    """Return the rounds' ratios; each round measured both, one after the other."""
    return [our / other for our, other in zip(ours, others, strict=True)]


def rate_figure(
    name: str, ours: Sequence[float], others: Sequence[float], than: str, at_least: float | None
) -> Figure:
    """Compare rates a second, of which more is better."""
    ratios = ratios_of(ours, others)
    ratio = median(ratios)
    return Figure(
        name,
        f"{median(ours):,.0f}/s",
        f"{than}: {median(others):,.0f}/s",
        f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
        "" if at_least is None else f"at least {at_least:g}",
        None if at_least is None else ratio >= at_least,
    )


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that this share of the values does not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile."""
    return percentile(values, 0.95)


Statistic = Callable[[Sequence[float]], float]
STATISTICS: tuple[tuple[str, Statistic], ...] = (("median", median), ("p95", p95))
