"""Tables kept in memory: read once, bounded, and never changed by who uses them."""

import pandas as pd

from gristmill.workers.frames.shelf import Shelf


def _table(number: int) -> pd.DataFrame:
    return pd.DataFrame({"x": [number] * 100}, index=range(100))


def test_a_table_is_read_once_and_what_is_done_to_it_stays_unseen() -> None:
    shelf, reads = Shelf(), []

    def read() -> pd.DataFrame:
        reads.append(1)
        return _table(7)

    for _ in range(3):
        frame = shelf.get("a", read)
        assert frame.equals(_table(7))
        frame.loc[:, "x"] = 0
    assert len(reads) == 1


def test_the_least_used_go_when_there_are_too_many() -> None:
    size = int(_table(0).memory_usage(deep=True).sum())
    shelf, reads = Shelf(2 * size), []

    def get(number: int) -> None:
        def read() -> pd.DataFrame:
            reads.append(number)
            return _table(number)

        assert shelf.get(number, read).equals(_table(number))

    for number in (1, 2, 1, 3, 1, 2):
        get(number)
    assert reads == [1, 2, 3, 2]


def test_a_table_too_large_to_keep_is_read_each_time() -> None:
    shelf, reads = Shelf(10), []
    for _ in range(2):
        shelf.get("a", lambda: reads.append(1) or _table(1))  # type: ignore[func-returns-value]
    assert len(reads) == 2
