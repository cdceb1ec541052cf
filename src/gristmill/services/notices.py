"""What went wrong with nodes and placement, for people to read once.

Kept in memory only: a notice is about the present, and what it tells is among the events too.
"""

from dataclasses import dataclass

MOST = 1000
"""Different texts that are kept; of more, the oldest go."""


@dataclass
class Notice:
    """A text, when it first and last came (epoch seconds), and how often."""

    text: str
    first: float
    last: float
    count: int = 1


class Notices:
    """Notices that nobody has taken yet, each text once."""

    def __init__(self) -> None:
        self._notices: dict[str, Notice] = {}

    def note(self, text: str, now: float) -> None:
        """Add a notice, or count it once more."""
        known = self._notices.get(text)
        if known is not None:
            known.last, known.count = now, known.count + 1
            return
        if len(self._notices) >= MOST:
            del self._notices[next(iter(self._notices))]
        self._notices[text] = Notice(text, now, now)

    def take(self) -> list[Notice]:
        """Return all notices, oldest first, and forget them."""
        taken, self._notices = self._notices, {}
        return list(taken.values())
