"""The benchmark at its smallest, so that it cannot rot; its figures say nothing here."""

import subprocess
import sys
from pathlib import Path

import pytest
from bench.figures import p95, rate_figure, ratios_of

from tests.e2e.harness import environment, processes_with

ROOT = Path(__file__).parents[2]


@pytest.mark.bench
def test_the_whole_course_at_small_sizes(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--sizes", "small", "--output", str(report)],
        cwd=ROOT, env=environment(TMPDIR="/tmp"), check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line for line in report.read_text().splitlines() if line.startswith("| ")]
    names = " ".join(rows)
    for figure in (
        "xargs", "2,000 jobs in one request", "request to running, median",
        "request to running, p95", "memory of the agent", "idle CPU of the server", "full store",
        "metric points, one a request", "reading a summary of 10,000 points",
        "a table of 2,000 rows, written", "predict, rows: 1, warm, median", "8 clients at once",
    ):  # fmt: skip
        assert figure in names
    assert processes_with("gristmill-bench-") == []


def test_the_ratio_is_the_median_of_the_rounds_ratios_not_of_their_parts() -> None:
    assert ratios_of([10.0, 1.0, 30.0], [10.0, 4.0, 10.0]) == [1.0, 0.25, 3.0]
    figure = rate_figure("x", [10.0, 1.0, 30.0], [10.0, 4.0, 10.0], "y", None)
    assert figure.ratio == "1.00 (0.25 to 3.00)"


@pytest.mark.parametrize(("ours", "met"), [(85.0, True), (84.0, False)])
def test_a_goal_is_met_or_not(ours: float, met: bool) -> None:
    assert rate_figure("x", [ours], [100.0], "y", 0.85).met is met


def test_p95_is_near_the_top_and_of_one_value_the_value() -> None:
    assert p95([float(number) for number in range(100)]) == 95.0
    assert p95([7.0]) == 7.0
