"""The report as Markdown."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from bench.figures import Figure
from bench.sizes import Sizes

_MET = {True: "met", False: "**missed**", None: ""}


def render(
    figures: Sequence[Figure],
    machine: Sequence[tuple[str, str]],
    sizes: Sizes,
    stored: int,
    at: datetime,
) -> str:
    """Write it all down. stored: jobs in the full store. at: when it was measured."""
    return "\n".join(_lines(figures, machine, sizes, stored, at)) + "\n"


def _lines(
    figures: Sequence[Figure],
    machine: Sequence[tuple[str, str]],
    sizes: Sizes,
    stored: int,
    at: datetime,
) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield f"Written by `make bench` on {at:%Y-%m-%d}; measure on your own machine the same way."
    yield "Read the ratios: both sides of each were measured in the same run."
    yield ""
    yield "| figure | Gristmill | compared with | ratio | goal | |"
    yield "|---|--:|---|--:|---|---|"
    for row in figures:
        cells = (row.name, row.ours, row.compared, row.ratio, row.goal, _MET[row.met])
        yield "| " + " | ".join(cells) + " |"
    yield ""
    yield "## Method"
    yield ""
    yield from _method(sizes, stored)
    yield ""
    yield "## Machine"
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in machine:
        yield f"| {name} | {value} |"


def _method(sizes: Sizes, stored: int) -> Iterator[str]:
    yield f"""\
- Every figure is the median of {sizes.repeats} rounds. A round measures each side once, one after
  the other; the ratio is the median of the rounds' ratios, with their range. A slow spell hits
  both sides of a round, so trust the ratios above the rates.
- Servers run with default settings (SQLite, every commit synced to disk) and an agent that offers
  2 cores. Requests go over HTTPS on one connection.
- **Rate:** {sizes.rate:,} jobs `{{"command": "true"}}` in one request, each run as `sh -c true`
  with its exit code, resource usage and output recorded; until the counts say that all are done,
  asked 20 times a second. `xargs` starts as many of the same, two at a time.
- **Submission:** {sizes.submission:,} jobs in one request, from its first byte to the last of the
  reply with all ids. Raw: the very rows that the server stored, in the same table with the same
  indexes, in one transaction of a fresh SQLite file with the same durability; and their ids and
  texts alone in a table of two columns without an index.
- **Request to running:** {sizes.latency} jobs one by one on an idle server. The command prints the
  time as soon as it runs; directly: the same command started by `subprocess`.
- **Full store:** a second server with {stored:,} jobs: {sizes.stored_ready:,} ready that
  no agent may take, the rest complete, with their attempts and outputs. In its ratios to the empty
  store, more is better throughout.
- **Metric points:** {sizes.points:,} points, posted to MLBench's endpoint one by one over 8
  connections in plain HTTP, each answered once it is on disk; beside an endpoint on the same web
  stack that reads the JSON and answers the same without storing anything. **Summary:** 1000 means
  of a series, read by the service.
- **Memory** is proportional set size; **idle CPU** over {sizes.idle:g} s with nothing to do."""
