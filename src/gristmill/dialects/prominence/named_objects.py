"""Uploaded objects that a description names must be there when it is submitted."""

from collections.abc import Iterator
from typing import Any

from gristmill.dialects.prominence.data_names import space_of
from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.translate import is_url, names_object
from gristmill.domain.errors import InvalidInputError, NotPermittedError
from gristmill.domain.identity import Identity
from gristmill.services.objects.store import Objects


async def check_objects(objects: Objects, who: Identity, job: dict[str, Any]) -> None:
    """Refuse a checked description that names an object which is not there for this caller."""
    for kind, name in dict.fromkeys(_named(job)):
        if not await _exists(objects, who, name):
            raise bad(f"{kind} {name} does not exist")


def _named(job: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for artifact in job.get("artifacts", ()):
        if not is_url(artifact["url"]):
            yield "Artifact", artifact["url"]
    for task in job["tasks"]:
        if names_object(task["image"]):
            yield "Image", task["image"]


async def _exists(objects: Objects, who: Identity, name: str) -> bool:
    try:
        space, below = space_of(who, name)
    except (InvalidInputError, NotPermittedError):
        return False
    return await objects.find(space, below) is not None
