"""Tables: written and read by workers; what is current is decided here, in one transaction."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from gristmill.domain.errors import InvalidInputError
from gristmill.services.data.core import DataCore, stored
from gristmill.services.data.place import (
    DATASET,
    Place,
    Stored,
    check_bucket,
    check_name,
    split_projection,
)
from gristmill.store import data as store
from gristmill.store.database import Transaction
from gristmill.workers.wire import Header

TABLE = "pandas.dfrows"
"""The kind of datasets that have columns."""

LARGEST = (1 << 63) - 1


class Query(NamedTuple):
    """What to read. filters: (column, operation, text), all of them. limit: None for all."""

    orient: str = "dict"
    skip: int = 0
    limit: int | None = None
    filters: Sequence[tuple[str, str, str]] = ()


class Datasets:
    """The tables of owners."""

    def __init__(self, core: DataCore) -> None:
        self._core = core

    async def get(self, place: Place, name: str) -> Stored:
        """Return what is known of a table. Raises NotFoundError."""
        return await self._core.get(place, DATASET, name)

    async def write(
        self,
        place: Place,
        name: str,
        body: bytes,
        *,
        append: bool | None = None,
        orient: str | None = None,
    ) -> Stored:
        """Create a table, or add rows, or replace all; readers see the old or the new.

        body: JSON with data, dtypes, orient, index and append; the arguments win over it. With
        the kind python.data, data is any JSON value: a document, added to those before.
        Raises InvalidInputError, and then nothing was changed.
        """
        check_bucket(place.bucket)
        check_name(DATASET, name)
        return await self._core.to_its_end(self._write(place, name, body, append, orient))

    async def _write(
        self, place: Place, name: str, body: bytes, append: bool | None, orient: str | None
    ) -> Stored:
        core = self._core
        async with core.lock(place, DATASET, name):
            old = await core.queue.database.read(lambda tx: self._find(tx, place, name))
            path = core.new_path(DATASET, "parquet")
            question = {
                "op": "dataset.write",
                "root": core.root,
                "path": path,
                "manifest": old.manifest if old else None,
                "append": append,
                "orient": orient,
            }
            return await core.blob(path, self._make(place, name, question, body))

    async def _make(self, place: Place, name: str, question: Header, body: bytes) -> Stored:
        answer = await self._core.workers.call(question, body)
        return await self._core.queue.database.write(
            lambda tx: self._commit(tx, place, name, question["path"], answer.header)
        )

    def _find(self, tx: Transaction, place: Place, name: str) -> store.ObjectRow | None:
        where = self._core.place(tx, place)
        return store.find_object(tx, where, DATASET, name) if where else None

    def _commit(
        self, tx: Transaction, place: Place, name: str, path: str, made: Mapping[str, Any]
    ) -> Stored:
        now = self._core.queue.chance.now()
        where = self._core.own_place(tx, place)
        old = store.find_object(tx, where, DATASET, name)
        manifest = made["manifest"]
        if any(part[0] == path for part in manifest["parts"]):
            store.keep_blob(tx, path)
        else:
            self._core.bury(tx, [path])
        if old is None:
            store.insert_object(tx, where, DATASET, name, manifest["kind"], manifest, now=now)
        elif made["changed"]:
            store.update_object(tx, old.id, manifest["kind"], old.version + 1, manifest, now=now)
        self._core.bury(tx, made["dropped"])
        self._core.changed(tx)
        row = store.find_object(tx, where, DATASET, name)
        assert row is not None
        return stored(DATASET, name, place, row)

    async def read(
        self, place: Place, reference: str, query: Query, extra: Mapping[str, Any]
    ) -> bytearray:
        """Return rows as the JSON of an object: data, dtypes, index, orient, and extra.

        reference: a name, with a projection in brackets behind it if one is wanted. Of documents,
        data is the list of them; they have neither dtypes nor index.
        Raises NotFoundError, InvalidInputError.
        """
        name, selection = split_projection(reference)
        for field, value in (("skip", query.skip), ("limit", query.limit or 0)):
            if not 0 <= value <= LARGEST:
                raise InvalidInputError(f"must not be negative or enormous: {value}", field)
        return await self._core.reading(self._read(place, name, selection, query, extra))

    async def _read(
        self, place: Place, name: str, selection: str | None, query: Query, extra: Mapping[str, Any]
    ) -> bytearray:
        found = await self.get(place, name)
        question = {
            "op": "dataset.read",
            "root": self._core.root,
            "manifest": found.manifest,
            "select": selection,
            "filters": [list(each) for each in query.filters],
            "skip": query.skip,
            "limit": query.limit,
            "orient": query.orient,
            "extra": dict(extra),
        }
        return (await self._core.workers.call(question)).body

    async def source(self, place: Place, reference: str, field: str) -> dict[str, Any]:
        """Return a table as a model's call takes it. Raises NotFoundError."""
        name, selection = split_projection(reference)
        check_name(DATASET, name, field)
        found = await self.get(place, name)
        return {
            "name": name,
            "version": found.version,
            "manifest": found.manifest,
            "select": selection,
        }

    async def delete(self, place: Place, name: str) -> None:
        """Forget a table. Raises NotFoundError."""
        check_bucket(place.bucket)
        check_name(DATASET, name)

        def work(tx: Transaction) -> None:
            row = self._core.find(tx, place, DATASET, name)
            where = self._core.own_place(tx, place)
            store.delete_object(tx, where, DATASET, name, row.id)
            self._core.bury(tx, [part[0] for part in row.manifest["parts"]])
            self._core.changed(tx)

        async with self._core.lock(place, DATASET, name):
            await self._core.queue.database.write(work)
