"""What the person at the demo sees: bars on a terminal, plain lines elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

BAR = 30
"""Letters of the longest bar in a chart."""

Show = Callable[[int], None]
"""Takes how much of a stage is done."""


class Screen:
    """Prints to standard output."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)

    def say(self, text: str, style: str = "") -> None:
        """Print a line, however long."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def done(self, text: str) -> None:
        """Print what was shown and checked."""
        self.say(f"  {self._letter('✓', '*')} {text}", "green")

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Show]:
        """Show the progress of a stage while the block runs; off a terminal only its title."""
        if not self._console.is_terminal:
            self.say(f"{title} …")
            yield lambda _done: None
            return
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
        )  # fmt: skip
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(title, total=total)
            yield lambda done: progress.update(task, completed=done)

    def chart(self, rows: Sequence[tuple[str, int]]) -> None:
        """Print names with numbers, and bars that are as long as the numbers are large."""
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("name", justify="right")
        table.add_column("count", justify="right")
        table.add_column("")
        letter = self._letter("█", "#")
        for name, number in rows:
            table.add_row(name, f"{number:,}", letter * max(1, BAR * number // rows[0][1]))
        self._console.print(table)

    def facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print names with what there is to say of them."""
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            label = Text(f"  {name:<{width}}  ", style="dim")
            self._console.print(label.append(value, style="default"), soft_wrap=True)

    def _letter(self, beautiful: str, plain: str) -> str:
        return beautiful if self._console.encoding.startswith("utf") else plain
