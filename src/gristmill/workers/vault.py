"""Fitted estimators: stored with skops, and kept in memory for the next call."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from gristmill.workers.blobs import Blobs
from gristmill.workers.refusals import RefusedError

MOST_KEPT = 256 << 20
"""Bytes of stored models whose estimators a worker keeps."""

LARGEST_MODEL = 2 << 30


def pack(estimator: Any) -> bytes:
    """Return the estimator as bytes that can be read without running anything.

    Raises RefusedError when it holds what would not be read back.
    """
    import skops.io

    try:
        data: bytes = skops.io.dumps(estimator)
    except (TypeError, AttributeError, NotImplementedError) as error:
        raise RefusedError(f"the model cannot be stored: {error}", "pipeline") from error
    strange = _strange(data)
    if strange:
        raise RefusedError(f"the model holds what is not stored: {', '.join(strange)}", "pipeline")
    return data


def _strange(data: bytes) -> list[str]:
    import skops.io

    # scikit-learn's own types are those that the estimators we build consist of.
    return [
        name
        for name in skops.io.get_untrusted_types(data=data)
        if not name.startswith(("sklearn.", "numpy.", "scipy."))
    ]


def unpack(data: bytes) -> Any:
    """Return the estimator. Raises RefusedError when the bytes hold any foreign type."""
    import skops.io

    untrusted = skops.io.get_untrusted_types(data=data)
    foreign = [name for name in untrusted if not name.startswith("sklearn.")]
    if foreign:
        raise RefusedError(f"the stored model holds foreign types: {', '.join(foreign)}")
    return skops.io.loads(data, trusted=untrusted)


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
Load = Callable[[], Any]
