"""Objects by space and name, and the blobs that nothing names any more, in rows."""

from collections.abc import Sequence

from gristmill.domain.objects import BEYOND, Space, StoredObject
from gristmill.store.connection import Row
from gristmill.store.database import Transaction


def find_object(tx: Transaction, space: Space, name: str) -> StoredObject | None:
    """Return the object of this name."""
    row = tx.one("find_object", space=space.text, name=name)
    return _object(row) if row else None


def find_objects(tx: Transaction, space: Space, names: Sequence[str]) -> list[StoredObject]:
    """Return those of the names that exist, in no order."""
    if not names:
        return []
    rows = tx.all("find_objects", space=space.text, names=tx.array(names))
    return [_object(row) for row in rows]


def list_objects(
    tx: Transaction, space: Space, prefix: str, after: str, most: int
) -> list[StoredObject]:
    """Return objects whose names begin with prefix and follow after, by name."""
    low = max(prefix, after)
    rows = tx.all("list_objects", space=space.text, low=low, high=prefix + BEYOND, most=most + 1)
    found = [_object(row) for row in rows]
    return [each for each in found if not after or each.name != after][:most]


def put_object(tx: Transaction, space: Space, new: StoredObject) -> None:
    """Give the name to the new bytes; those it had are doomed."""
    replaced = find_object(tx, space, new.name)
    tx.run(
        "put_object",
        space=space.text,
        name=new.name,
        blob=new.blob,
        size=new.size,
        sha256=new.sha256,
        modified_at=new.modified_at,
        job=space.job_id,
    )
    if replaced is not None:
        tx.many("insert_doomed_blobs", [(replaced.blob,)])


def delete_object(tx: Transaction, space: Space, name: str) -> bool:
    """Forget an object and doom its bytes; False when there is none."""
    row = tx.one("delete_object", space=space.text, name=name)
    if row is None:
        return False
    tx.many("insert_doomed_blobs", [(row[0],)])
    return True


def delete_objects_of_jobs(tx: Transaction, ids: Sequence[int]) -> None:
    """Forget what jobs left and doom its bytes."""
    array = tx.array(ids)
    tx.run("doom_objects_of_jobs", ids=array)
    tx.run("delete_objects_of_jobs", ids=array)


def blob_is_named(tx: Transaction, blob: str) -> bool:
    """Whether an object has these bytes."""
    return tx.one("find_blob", blob=blob) is not None


def doomed_blobs(tx: Transaction, most: int) -> list[str]:
    """Return blobs whose bytes can go."""
    return [row[0] for row in tx.all("list_doomed_blobs", most=most)]


def forget_doomed(tx: Transaction, blobs: Sequence[str]) -> None:
    """Take note that these bytes are gone."""
    tx.many("delete_doomed_blobs", [(blob,) for blob in blobs])


def _object(row: Row) -> StoredObject:
    return StoredObject(*row)
