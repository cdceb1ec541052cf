"""Stored objects: whose they are, and what their names may be."""

from typing import Literal, NamedTuple

import msgspec

from gristmill.domain.errors import InvalidInputError

LONGEST_NAME = 1024
"""Bytes of a name, or of a key, in UTF-8."""

BEYOND = "\U0010ffff" * (LONGEST_NAME // 4 + 1)
"""Appended to a prefix it sorts after every name with that prefix, for no name is that long."""

LONGEST_SHOWN = 80


class Space(NamedTuple):
    """Where names are unique: a user's objects, a group's, or those of one job."""

    kind: Literal["user", "group", "job"]
    owner: str

    @classmethod
    def user(cls, name: str) -> "Space":
        """Return the space of one user."""
        return cls("user", name)

    @classmethod
    def group(cls, name: str) -> "Space":
        """Return the space that the members of a group share."""
        return cls("group", name)

    @classmethod
    def job(cls, number: int) -> "Space":
        """Return the space of what one job left; it goes when the job's record goes."""
        return cls("job", str(number))

    @property
    def text(self) -> str:
        """The space as the store and signatures know it; different spaces have different ones."""
        return f"{self.kind}:{self.owner}"

    @property
    def job_id(self) -> int | None:
        """The job's number, for a space of a job."""
        return int(self.owner) if self.kind == "job" else None


class StoredObject(msgspec.Struct, frozen=True):
    """One object. blob: its bytes' own id. size: bytes. modified_at: epoch seconds."""

    name: str
    blob: str
    size: int
    sha256: str
    modified_at: float


def check_name(name: str, field: str = "name") -> str:
    """Return a name that can be one: a relative path without detours. Raises InvalidInputError."""
    check_key(name, field)
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise InvalidInputError(
            f"{name[:LONGEST_SHOWN]!r} has an empty, '.' or '..' part: write it as in a/b.txt",
            field,
        )
    return name


def check_key(key: str, field: str = "key") -> str:
    """Return a key that is neither empty, nor too long, nor unprintable.

    Raises InvalidInputError.
    """
    if not key:
        raise InvalidInputError("is empty", field)
    if len(key.encode("utf-8", "surrogatepass")) > LONGEST_NAME:
        raise InvalidInputError(f"has more than {LONGEST_NAME} bytes", field)
    if any(letter < " " or letter == "\x7f" or "\ud800" <= letter <= "\udfff" for letter in key):
        raise InvalidInputError(f"{key[:LONGEST_SHOWN]!r} holds a control character", field)
    return key
