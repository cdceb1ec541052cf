"""Resources are named by URIs: ``/api/v1/run/17/``, below the mount the request came through."""

import re

from gristmill.dialects.job_runner.errors import bad

MOUNT = "/job-runner"
API = "/api/v1/"
LARGEST_ID = (1 << 63) - 1
_URI = re.compile(r"(?:/job-runner)?/api/v1/([a-z_]+)/([0-9]{1,19})/?", re.ASCII)
_ORIGIN = re.compile(r"https?://[^/]*")


def uri(mount: str, resource: str, number: int) -> str:
    """Return the URI of an object."""
    return f"{mount}{API}{resource}/{number}/"


def optional_uri(mount: str, resource: str, number: int | None) -> str | None:
    """Return the URI of an object that may be missing."""
    return None if number is None else uri(mount, resource, number)


def uris(mount: str, resource: str, numbers: tuple[int, ...]) -> list[str]:
    """Return the URIs of objects."""
    return [uri(mount, resource, number) for number in numbers]


def read_uri(field: str, value: object, resource: str) -> int:
    """Return the id in a relation's URI. Raises RefusedError naming the field."""
    if not isinstance(value, str):
        raise bad(field, f"must be the URI of a {resource}, such as {API}{resource}/1/")
    found = _URI.fullmatch(_ORIGIN.sub("", value, count=1))
    if found is None or found.group(1) != resource:
        raise bad(field, f"{value[:200]!r} is not the URI of a {resource}")
    return read_id(found.group(2)) or 0


def read_id(text: str) -> int | None:
    """Return an id, None when text cannot be one."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    number = int(text)
    return number if 0 < number <= LARGEST_ID else None
