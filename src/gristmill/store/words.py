"""Interned words: owners, groups, projects and mutexes are small integers in the rows."""

from gristmill.store.database import Transaction

MOST_CACHED = 200_000


def private(owner: int, word: str) -> str:
    """Return the word as only this owner's jobs use it: one user's groups are not another's."""
    return f"{owner}:{word}"


def public(word: str) -> str:
    """Return a private word as its owner wrote it."""
    return word.partition(":")[2]


class Words:
    """The cache over the ``word`` table; id 0 is the empty word."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {"": 0}
        self._texts: dict[int, str] = {0: ""}

    def intern(self, tx: Transaction, text: str) -> int:
        """Return the id of text, giving it one when it is new."""
        known = self._ids.get(text)
        if known is not None:
            return known
        row = tx.one("find_word", text=text) or tx.must("insert_word", text=text)
        found: int = row[0]
        tx.after_commit(lambda: self._remember(found, text))
        return found

    def find(self, tx: Transaction, text: str) -> int | None:
        """Return the id of text, or None when no row uses it."""
        known = self._ids.get(text)
        if known is not None:
            return known
        row = tx.one("find_word", text=text)
        return row[0] if row else None

    def text(self, tx: Transaction, number: int) -> str:
        """Return the word behind an id."""
        known = self._texts.get(number)
        if known is None:
            known = str(tx.must("get_word", id=number)[0])
            self._remember(number, known)
        return known

    def _remember(self, number: int, text: str) -> None:
        if len(self._ids) >= MOST_CACHED:
            self._ids = {"": 0}
            self._texts = {0: ""}
        self._ids[text] = number
        self._texts[number] = text
