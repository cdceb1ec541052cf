"""Notebooks and what became of their runs."""

from collections.abc import Sequence

from gristmill.domain.errors import NotFoundError
from gristmill.services.data.core import DataCore, stored
from gristmill.services.data.place import (
    NOTEBOOK,
    Place,
    Stored,
    check_bucket,
    check_name,
)
from gristmill.store import data as store
from gristmill.store.data import RunRow
from gristmill.store.database import Transaction

FORMAT = "script.ipynb"
Run = RunRow


class Notebooks:
    """The notebooks of owners; names are without a suffix."""

    def __init__(self, core: DataCore) -> None:
        self._core = core

    async def get(self, place: Place, name: str) -> Stored:
        """Return what is known of a notebook. Raises NotFoundError."""
        return await self._core.get(place, NOTEBOOK, name)

    async def put(self, place: Place, name: str, body: bytes) -> Stored:
        """Store a notebook, in the place of an earlier one; runs so far are kept.

        body: JSON with ``code`` or with ``content``. Raises InvalidInputError.
        """
        check_bucket(place.bucket)
        check_name(NOTEBOOK, name)
        path = self._core.new_path(NOTEBOOK, "ipynb")
        making = self._put(place, name, body, path)
        return await self._core.to_its_end(self._core.blob(path, making))

    async def _put(self, place: Place, name: str, body: bytes, path: str) -> Stored:
        question = {"op": "notebook.put", "root": self._core.root, "path": path}
        answer = await self._core.workers.call(question, body)
        manifest = {"path": path, "size": answer.header["size"]}
        return await self._core.queue.database.write(
            lambda tx: put_blob_object(self._core, tx, place, NOTEBOOK, name, FORMAT, manifest)
        )

    async def content(self, place: Place, name: str) -> bytearray:
        """Return the notebook's JSON. Raises NotFoundError."""
        return await self._core.reading(self._content(place, name))

    async def _content(self, place: Place, name: str) -> bytearray:
        found = await self.get(place, name)
        return await self._read(found.manifest["path"])

    async def runs(self, place: Place, name: str) -> Sequence[RunRow]:
        """Return the runs, oldest first. Raises NotFoundError."""
        check_bucket(place.bucket)
        check_name(NOTEBOOK, name)

        def work(tx: Transaction) -> Sequence[RunRow]:
            return store.list_runs(tx, self._core.find(tx, place, NOTEBOOK, name).id)

        return await self._core.queue.database.read(work)

    async def run(self, place: Place, name: str, stamp: int) -> RunRow:
        """Return one run. Raises NotFoundError."""
        check_bucket(place.bucket)
        check_name(NOTEBOOK, name)

        def work(tx: Transaction) -> RunRow:
            found = store.find_run(tx, self._core.find(tx, place, NOTEBOOK, name).id, stamp)
            if found is None:
                raise NotFoundError(f"notebook {name[:200]!r} has no run {stamp}")
            return found

        return await self._core.queue.database.read(work)

    async def result(self, place: Place, name: str, stamp: int) -> bytearray:
        """Return the JSON of an executed copy. Raises NotFoundError."""
        return await self._core.reading(self._result(place, name, stamp))

    async def _result(self, place: Place, name: str, stamp: int) -> bytearray:
        return await self._read((await self.run(place, name, stamp)).path)

    async def export(self, place: Place, name: str, stamp: int | None) -> bytearray:
        """Return an executed copy, or the notebook itself, as a page of HTML."""
        return await self._core.reading(self._export(place, name, stamp))

    async def _export(self, place: Place, name: str, stamp: int | None) -> bytearray:
        if stamp is None:
            path: str = (await self.get(place, name)).manifest["path"]
        else:
            path = (await self.run(place, name, stamp)).path
        question = {"op": "notebook.export", "root": self._core.root, "path": path}
        return (await self._core.workers.call(question)).body

    async def _read(self, path: str) -> bytearray:
        question = {"op": "notebook.get", "root": self._core.root, "path": path}
        return (await self._core.workers.call(question)).body

    async def delete(self, place: Place, name: str) -> None:
        """Forget a notebook with its runs. Raises NotFoundError."""
        check_bucket(place.bucket)
        check_name(NOTEBOOK, name)

        def work(tx: Transaction) -> None:
            row = self._core.find(tx, place, NOTEBOOK, name)
            paths = [run.path for run in store.list_runs(tx, row.id)]
            store.delete_object(tx, self._core.own_place(tx, place), NOTEBOOK, name, row.id)
            self._core.bury(tx, [row.manifest["path"], *paths])
            self._core.changed(tx)

        await self._core.queue.database.write(work)


def put_blob_object(
    core: DataCore,
    tx: Transaction,
    place: Place,
    kind: str,
    name: str,
    form: str,
    manifest: dict[str, object],
) -> Stored:
    """Store an object that is one blob; the blob it had before is no longer wanted."""
    where = core.own_place(tx, place)
    now = core.queue.chance.now()
    old = store.find_object(tx, where, kind, name)
    if old is None:
        store.insert_object(tx, where, kind, name, form, manifest, now=now)
    else:
        store.update_object(tx, old.id, form, old.version + 1, manifest, now=now)
        core.bury(tx, [old.manifest["path"]])
    store.keep_blob(tx, str(manifest["path"]))
    core.changed(tx)
    row = store.find_object(tx, where, kind, name)
    assert row is not None
    return stored(kind, name, place, row)
