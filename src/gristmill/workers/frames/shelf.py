"""Tables that were read for a model, kept for the next call while memory allows."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

import pandas as pd

MOST_KEPT = 128 << 20
"""Bytes of tables that a worker keeps."""


class Shelf:
    """The tables last used. Their blobs never change, so neither do they."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[Hashable, tuple[pd.DataFrame, int]] = OrderedDict()

    def get(self, key: Hashable, read: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        """Return a copy that may be changed: some estimators work in place."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found[0].copy()
        frame = read()
        size = int(frame.memory_usage(deep=True).sum())
        if size > self._most:
            return frame
        self._kept[key] = (frame, size)
        self._size += size
        while self._size > self._most:
            _, (_, gone) = self._kept.popitem(last=False)
            self._size -= gone
        return frame.copy()


SHELF = Shelf()
