"""``python -m bench``: measure, and write the report."""

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench.course import Course
from bench.machine import facts
from bench.report import render
from bench.sizes import SIZES


def main() -> None:
    """Run the course in a folder that is gone afterwards."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--sizes", choices=sorted(SIZES), default="full")
    parser.add_argument("--output", type=Path, help="file to write; otherwise it is printed")
    given = parser.parse_args()
    sizes = SIZES[given.sizes]
    with tempfile.TemporaryDirectory(prefix="gristmill-bench-") as name:
        folder = Path(name)
        machine = facts(folder)
        course = Course(folder, sizes, lambda text: print(text, flush=True))
        figures = course.run()
        text = render(figures, machine, sizes, course.stored, datetime.now(UTC))
    if given.output is not None:
        given.output.write_text(text)
    print(text)


main()
