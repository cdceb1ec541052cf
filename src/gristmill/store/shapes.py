"""Shapes and their numbers, and what was learned about them."""

from collections import defaultdict

import msgspec

from gristmill.domain.learning import ROUNDING, Resource, advise, observe
from gristmill.domain.shape import Advice, AnyOf, Shape, advised
from gristmill.store.database import Transaction

_Pairs = tuple[tuple[str, str], ...]


class _Rare(msgspec.Struct, omit_defaults=True):
    """A shape's constraints, together with what few shapes have."""

    constraints: _Pairs = ()
    choices: tuple[tuple[int, int], ...] = ()
    require: AnyOf = ()
    prefer: AnyOf = ()


_encode = msgspec.json.Encoder().encode
_decode_pairs = msgspec.json.Decoder(_Pairs).decode
_decode_rare = msgspec.json.Decoder(_Rare).decode

Seen = dict[Resource, list[int]]


class Shapes:
    """Every shape, both ways; small, so all of it is kept in memory.

    by_id holds what is to be reckoned with now: for shapes that learn, the advice is in it.
    """

    def __init__(self) -> None:
        self.by_id: dict[int, Shape] = {}
        self._ids: dict[Shape, int] = {}
        self._seen: defaultdict[str, Seen] = defaultdict(lambda: defaultdict(list))

    def load(self, tx: Transaction) -> None:
        """Read what the database has."""
        for bucket, resource, value in tx.all("get_learned"):
            self._seen[bucket][Resource(resource)].append(value)
        for number, *columns in tx.all("get_shapes", after=0):
            shares, memory, disk, gpus, nodes, container, pool, constraints = columns[:8]
            bucket, override, disk_given, seconds = columns[8:]
            rare = _decode(constraints)
            shape = Shape(
                shares, memory, disk, gpus, nodes, bool(container), pool, rare.constraints,
                bucket, override, bool(disk_given), seconds,
                rare.choices, rare.require, rare.prefer,
            )  # fmt: skip
            self._remember(number, shape)

    def number(self, tx: Transaction, shape: Shape) -> int:
        """Return the number of a shape as it was asked for, giving it one when it is new."""
        known = self._ids.get(shape)
        if known is not None:
            return known
        values = shape._asdict()
        values["container"] = int(shape.container)
        values["disk_given"] = int(shape.disk_given)
        values["constraints"] = _constraints(shape)
        for name in ("choices", "require", "prefer"):
            del values[name]
        row = tx.one("find_shape", **values) or tx.must("insert_shape", **values)
        number: int = row[0]
        # Others see its rows from the commit on, which is before what follows the commit. Should
        # there be none, no row has this number until another shape gets it.
        self.by_id[number] = self._reckoned(shape)
        tx.after_commit(lambda: self._remember(number, shape))
        return number

    def learn(self, tx: Transaction, bucket: str, resource: Resource, value: int) -> None:
        """Take note of what a job of a bucket used."""
        if value in self._seen[bucket][resource]:
            return
        tx.many("insert_learned", [(bucket, int(resource), value)])
        tx.after_commit(lambda: self._learned(bucket, resource, value))

    def _learned(self, bucket: str, resource: Resource, value: int) -> None:
        if observe(self._seen[bucket][resource], value):
            for asked, number in self._ids.items():
                if asked.bucket == bucket:
                    self.by_id[number] = advised(asked, self._advice(bucket))

    def _advice(self, bucket: str) -> Advice:
        seen = self._seen[bucket]
        return Advice(
            *(
                advise(seen[resource], ROUNDING[resource])
                for resource in (Resource.MEMORY, Resource.DISK, Resource.TIME)
            )
        )

    def _remember(self, number: int, shape: Shape) -> None:
        self._ids[shape] = number
        self.by_id[number] = self._reckoned(shape)

    def _reckoned(self, shape: Shape) -> Shape:
        return advised(shape, self._advice(shape.bucket)) if shape.bucket else shape


def _constraints(shape: Shape) -> str:
    """Write the constraints as a list, or as an object together with what is rare."""
    if shape.choices or shape.require or shape.prefer:
        rare = _Rare(shape.constraints, shape.choices, shape.require, shape.prefer)
        return _encode(rare).decode()
    return _encode(shape.constraints).decode()


def _decode(text: str) -> _Rare:
    return _decode_rare(text) if text.startswith("{") else _Rare(_decode_pairs(text))
