"""Fitted estimators: stored with skops, and kept in memory for the next call."""

import warnings
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from gristmill.workers.blobs import Blobs
from gristmill.workers.refusals import RefusedError

MOST_KEPT = 256 << 20
"""Bytes of stored models whose estimators a worker keeps."""

HARMLESS = frozenset({"numpy.mean"})
"""Functions that are arguments of estimators by default; they are named, never called."""


def pack(estimator: Any) -> bytes:
    """Return the estimator as bytes that can be read without running anything.

    Raises RefusedError when it holds what would not be read back.
    """
    import skops.io

    try:
        data: bytes = skops.io.dumps(estimator)
    except (TypeError, AttributeError, NotImplementedError) as error:
        raise RefusedError(f"the model cannot be stored: {error}", "pipeline") from error
    foreign = _foreign(skops.io.get_untrusted_types(data=data))
    if foreign:
        raise RefusedError(f"the model holds what is not stored: {', '.join(foreign)}", "pipeline")
    return data


def _foreign(names: Iterable[str]) -> list[str]:
    """Return what no estimator of scikit-learn consists of, among what skops does not know."""
    return [name for name in names if not name.startswith("sklearn.") and name not in HARMLESS]


def unpack(data: bytes) -> Any:
    """Return the estimator. Raises RefusedError when the bytes hold any foreign type."""
    import skops.io

    unknown = skops.io.get_untrusted_types(data=data)
    foreign = _foreign(unknown)
    if foreign:
        raise RefusedError(f"the stored model holds foreign types: {', '.join(foreign)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return skops.io.loads(data, trusted=unknown)


class Vault:
    """The estimators last used, by the path of their bytes, which never change."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most, self._size = most, 0
        self._kept: OrderedDict[str, tuple[Any, int]] = OrderedDict()

    def get(self, blobs: Blobs, root: str, path: str) -> Any:
        """Return the estimator, from memory or from the store."""
        key = f"{root}\0{path}"
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][0]
        data = blobs.read(path)
        estimator = unpack(data)
        self.keep(root, path, estimator, len(data))
        return estimator

    def keep(self, root: str, path: str, estimator: Any, size: int) -> None:
        """Remember an estimator; the least used go when there are too many."""
        self._kept[f"{root}\0{path}"] = (estimator, size)
        self._size += size
        while self._size > self._most and len(self._kept) > 1:
            _, (_, gone) = self._kept.popitem(last=False)
            self._size -= gone


VAULT = Vault()
