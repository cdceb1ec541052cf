"""Shapes and their numbers."""

import msgspec

from gristmill.domain.shape import Shape
from gristmill.store.database import Transaction

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[tuple[str, str], ...]).decode


class Shapes:
    """Every shape, both ways; small, so all of it is kept in memory."""

    def __init__(self) -> None:
        self._ids: dict[Shape, int] = {}
        self.by_id: dict[int, Shape] = {}

    def load(self, tx: Transaction) -> None:
        """Read the shapes that the database has."""
        for number, *columns, constraints in tx.all("get_shapes", after=0):
            shares, memory, disk, gpus, nodes, container, pool = columns
            shape = Shape(
                shares, memory, disk, gpus, nodes, bool(container), pool, _decode(constraints)
            )
            self._remember(number, shape)

    def number(self, tx: Transaction, shape: Shape) -> int:
        """Return the number of a shape, giving it one when it is new."""
        known = self._ids.get(shape)
        if known is not None:
            return known
        values = shape._asdict()
        values["container"] = int(shape.container)
        values["constraints"] = _encode(shape.constraints).decode()
        row = tx.one("find_shape", **values) or tx.must("insert_shape", **values)
        number: int = row[0]
        tx.after_commit(lambda: self._remember(number, shape))
        return number

    def _remember(self, number: int, shape: Shape) -> None:
        self._ids[shape] = number
        self.by_id[number] = shape
