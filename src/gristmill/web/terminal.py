"""What a program wrote to its terminal, as plain text for a page."""

import re
from typing import NamedTuple

LONGEST_LINE = 64 << 10
"""Bytes of a line without an end that are shown as one; a longer one is cut there."""

# Strings end at the next escape at the latest: reading stays linear whatever a program wrote.
_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours, cursor moves
    r"|[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # titles, links and other strings
    r"|[ -/]*[0-~])"
)


class Piece(NamedTuple):
    """Part of a stream as text. partial: a last line that may go on; it starts at next_offset."""

    lines: str
    partial: str
    next_offset: int


def readable(data: bytes) -> str:
    """Return text as a terminal would leave it: no colours, overwritten progress bars gone."""
    text = _SEQUENCE.sub("", data.decode("utf-8", "replace"))
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def piece(data: bytes, offset: int, *, ended: bool) -> Piece:
    """Cut what was read from offset at its last whole line, so that no character is torn."""
    whole = data.rfind(b"\n") + 1
    if ended or len(data) - whole >= LONGEST_LINE:
        whole = len(data)
    return Piece(readable(data[:whole]), readable(data[whole:]), offset + whole)
