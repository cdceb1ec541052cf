"""Scripts: source text or packages, run by jobs of their own."""

from gristmill.services.data.core import DataCore
from gristmill.services.data.notebooks import put_blob_object
from gristmill.services.data.place import (
    SCRIPT,
    Place,
    Stored,
    check_bucket,
    check_name,
)
from gristmill.store import data as store
from gristmill.store.database import Transaction

FORMAT = "python.package"


class Scripts:
    """The scripts of owners."""

    def __init__(self, core: DataCore) -> None:
        self._core = core

    async def get(self, place: Place, name: str) -> Stored:
        """Return what is known of a script. Raises NotFoundError."""
        return await self._core.get(place, SCRIPT, name)

    async def put(self, place: Place, name: str, body: bytes, *, archive: bool) -> Stored:
        """Store a script, in the place of an earlier one.

        body: a source distribution (tar.gz) when archive, else JSON with ``code``.
        Raises InvalidInputError.
        """
        check_bucket(place.bucket)
        check_name(SCRIPT, name)
        path = self._core.new_path(SCRIPT, "tar.gz" if archive else "py")
        making = self._put(place, name, body, path, archive)
        return await self._core.to_its_end(self._core.blob(path, making))

    async def _put(self, place: Place, name: str, body: bytes, path: str, archive: bool) -> Stored:
        root = self._core.root
        question = {"op": "script.put", "root": root, "path": path, "archive": archive}
        answer = await self._core.workers.call(question, body)
        manifest = {"path": path, **answer.header}
        return await self._core.queue.database.write(
            lambda tx: put_blob_object(self._core, tx, place, SCRIPT, name, FORMAT, manifest)
        )

    async def delete(self, place: Place, name: str) -> None:
        """Forget a script. Raises NotFoundError."""
        check_bucket(place.bucket)
        check_name(SCRIPT, name)

        def work(tx: Transaction) -> None:
            row = self._core.find(tx, place, SCRIPT, name)
            store.delete_object(tx, self._core.own_place(tx, place), SCRIPT, name, row.id)
            self._core.bury(tx, [row.manifest["path"]])
            self._core.changed(tx)

        await self._core.queue.database.write(work)
