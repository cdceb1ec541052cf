"""What commands print: JSON for scripts, tables for people, plain columns for pipes."""

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

STATE_STYLES = {
    "waiting": "dim",
    "delayed": "dim",
    "ready": "cyan",
    "reserved": "blue",
    "running": "bold blue",
    "lost": "yellow",
    "buried": "bold red",
    "complete": "green",
    "cancelled": "magenta",
    "online": "green",
    "offline": "dim",
    "draining": "yellow",
}


class Output:
    """Standard output in the form that was asked for; notes go to standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.colourful = not as_json and sys.stdout.isatty()

    def json(self, value: object) -> None:
        """Print one JSON document on a line of its own."""
        import msgspec

        self.raw(msgspec.json.encode(value) + b"\n")

    def raw(self, data: bytes) -> None:
        """Print bytes as they are, at once."""
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def line(self, text: str) -> None:
        """Print a line."""
        sys.stdout.write(printable(text) + "\n")

    def note(self, text: str) -> None:
        """Tell a person something that is no result."""
        sys.stderr.write(printable(text) + "\n")

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print columns under headers."""
        cells = [[printable(_text(value)) for value in row] for row in rows]
        if self.colourful:
            _rich_table(headers, cells)
        else:
            _plain_table(headers, cells)

    def facts(self, title: str, facts: Iterable[tuple[str, object]]) -> None:
        """Print a title and below it names with values; values that are None are left out."""
        known = [(name, printable(_text(value))) for name, value in facts if value is not None]
        width = max((len(name) for name, _ in known), default=0)
        if self.colourful:
            from rich.console import Console
            from rich.text import Text

            console = Console(highlight=False)
            console.print(Text(printable(title), style="bold"), soft_wrap=True)
            for name, value in known:
                label = Text(f"  {name:<{width}}  ", style="dim")
                console.print(label.append_text(_styled(value, "default")), soft_wrap=True)
            return
        sys.stdout.write(printable(title) + "\n")
        for name, value in known:
            sys.stdout.write(f"  {name:<{width}}  {value}".rstrip() + "\n")


def printable(text: str) -> str:
    """Write out control characters, which could otherwise steer the terminal."""
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )


def _text(value: object) -> str:
    return "-" if value is None or value == "" else str(value)


def _plain_table(headers: Sequence[str], rows: list[list[str]]) -> None:
    widths = [
        max(len(header), *(len(row[column]) for row in rows)) if rows else len(header)
        for column, header in enumerate(headers)
    ]
    for row in [list(headers), *rows]:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def _rich_table(headers: Sequence[str], rows: list[list[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        last = header == headers[-1]
        table.add_column(header, no_wrap=True, overflow="ellipsis", ratio=1 if last else None)
    for row in rows:
        table.add_row(*(_styled(cell, "") for cell in row))
    Console(highlight=False).print(table)


def _styled(value: str, otherwise: str) -> "Text":
    from rich.text import Text

    return Text(value, style=STATE_STYLES.get(value, otherwise))
