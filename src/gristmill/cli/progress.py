"""A progress bar on standard error."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class Bar:
    """How many jobs have ended, and how many of them not well."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task = progress.add_task("", total=None, failed="")

    def show(self, done: int, failed: int, total: int) -> None:
        """Move on to these numbers."""
        text = f"[red]{failed} failed[/red]" if failed else ""
        self._progress.update(self._task, completed=done, total=total, failed=text)


@contextmanager
def bar() -> Iterator[Bar]:
    """Show a bar while the block runs, and remove it at its end."""
    columns = (
        TextColumn("jobs"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress)
