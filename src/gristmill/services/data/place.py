"""Where objects are: whose, in which bucket, under which name."""

import re
from typing import Any, NamedTuple

from gristmill.domain.errors import InvalidInputError

LONGEST_NAME = 512
_BUCKET = re.compile(r"[A-Za-z0-9._-]{0,128}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

DATASET, MODEL, NOTEBOOK, SCRIPT = "dataset", "model", "notebook", "script"
_RESERVED = {DATASET: "[]", MODEL: "@^[]", NOTEBOOK: "", SCRIPT: ""}


class Place(NamedTuple):
    """The objects of an owner in a bucket; '' is the default one."""

    owner: str
    bucket: str = ""


class Stored(NamedTuple):
    """An object. created, modified: epoch seconds. job: that wrote it last, if one did."""

    kind: str
    name: str
    format: str
    bucket: str
    created: float
    modified: float
    version: int
    manifest: dict[str, Any]
    job: int | None


class Listing(NamedTuple):
    """A page of objects, and how many there are in all."""

    objects: list[Stored]
    total: int


def check_bucket(bucket: str) -> None:
    """Raise InvalidInputError when it cannot be the name of a bucket."""
    if not _BUCKET.match(bucket) or bucket in {".", ".."}:
        raise InvalidInputError(
            f"a bucket has up to 128 letters, digits, '.', '_' and '-', not {bucket[:80]!r}",
            "bucket",
        )


def check_name(kind: str, name: str, field: str = "name") -> None:
    """Raise InvalidInputError when it cannot be the name of such an object."""
    if not name or len(name) > LONGEST_NAME:
        raise InvalidInputError(f"must have from 1 to {LONGEST_NAME} characters", field)
    if _CONTROL.search(name):
        raise InvalidInputError("must not hold control characters", field)
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise InvalidInputError(f"has an empty, '.' or '..' part: {name[:80]!r}", field)
    reserved = [sign for sign in _RESERVED[kind] if sign in name]
    if reserved:
        raise InvalidInputError(f"must not hold {reserved[0]!r}", field)


def split_projection(reference: str) -> tuple[str, str | None]:
    """Return the name and what stands in the brackets behind it."""
    if reference.endswith("]") and "[" in reference:
        name, _, selection = reference[:-1].partition("[")
        return name, selection
    return reference, None
