"""What a failed command wrote, shortened as wr shortens it."""

KEPT = 4096
"""Bytes kept of the head and of the tail."""

WHOLE = 256 << 10
"""Bytes looked at; of longer output, so many of the head and of the tail."""

_LEFT_OUT = b"[...]"


def shorten(head: bytes, between: int = 0, tail: bytes = b"") -> str:
    """Return the text: progress bars reduced, the middle left out, outer blanks trimmed.

    between: bytes of the output that are not at hand, between head and tail.
    """
    first, last = _reduce(head), _reduce(tail)
    whole = first + last
    size = len(whole) + between
    if size > 2 * KEPT:
        note = b"\n... omitting %d bytes ...\n" % (size - 2 * KEPT)
        whole = whole[:KEPT] + note + whole[-KEPT:]
    return whole.decode("utf-8", "replace").strip()


def _reduce(data: bytes) -> bytes:
    if b"\r" not in data:
        return data
    return b"\n".join(map(_reduce_line, data.split(b"\n")))


def _reduce_line(line: bytes) -> bytes:
    """Of a line that was rewritten many times keep its first and its last state."""
    states = [state for state in line.split(b"\r") if state]
    if len(states) <= 2:
        return b"\n".join(states)
    return b"\n".join((states[0], _LEFT_OUT, states[-1]))
