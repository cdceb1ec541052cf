"""How much is measured: enough for figures to publish, or just enough to see that it works."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Numbers of jobs, unless said otherwise.

    repeats: rounds in which each thing is measured once; their median counts.
    seed: jobs really run, whose records are multiplied until there are stored_complete.
    stored_ready: jobs that no agent will ever take. idle: seconds. rows: of a table.
    predicted: rows of one large call. calls: to a model. points: metric points posted one by one.
    summary: points of the series that is summarised.
    """

    repeats: int
    rate: int
    submission: int
    latency: int
    seed: int
    stored_complete: int
    stored_ready: int
    idle: float
    rows: int
    predicted: int
    calls: int
    points: int
    summary: int


SIZES = {
    "small": Sizes(1, 200, 2_000, 10, 200, 1_000, 3_000, 1.0, 2_000, 1_000, 10, 400, 10_000),
    "full": Sizes(
        5,
        20_000,
        100_000,
        100,
        2_000,
        1_000_000,
        1_000_000,
        10.0,
        1_000_000,
        100_000,
        300,
        16_000,
        10_000_000,
    ),
}
