"""Remote file systems a job is shown."""

from typing import Any, NamedTuple

from gristmill.dialects.prominence.errors import bad
from gristmill.dialects.prominence.validation.common import check_flag, check_object


class Kind(NamedTuple):
    """A type of storage. title: as messages say it. needed: details, with what they are called."""

    title: str
    needed: tuple[tuple[str, str], ...]
    options: tuple[str, ...] = ()


KINDS = {
    "onedata": Kind("OneData", (("provider", "provider"), ("token", "token")), ("options",)),
    "b2drop": Kind(
        "B2DROP", (("app-username", "app username"), ("app-password", "app password")), ("url",)
    ),
    "webdav": Kind("WebDAV", (("url", "URL"), ("username", "username"), ("password", "password"))),
}
SECRETS = frozenset({"token", "app-password", "password"})


def check_storage(value: object) -> None:
    """Refuse storage."""
    storage = check_object(value, "storage")
    if "type" not in storage:
        raise bad("storage type must be defined")
    name = storage["type"]
    if not isinstance(name, str) or name not in KINDS:
        raise bad(f"storage type must be one of {', '.join(KINDS)}")
    for key in storage:
        if key not in ("type", "mountpoint", "default", name):
            raise bad(f'invalid item "{key[:512]}" in storage')
    _check_place(storage)
    _check_details(storage.get(name), KINDS[name])


def _check_place(storage: dict[str, Any]) -> None:
    if "mountpoint" not in storage:
        raise bad("a mount point must be defined")
    place = storage["mountpoint"]
    if place is not None and not (isinstance(place, str) and place.startswith("/")):
        raise bad("the mountpoint must be an absolute path")
    if "default" in storage:
        check_flag(storage["default"], "default")


def _check_details(details: object, kind: Kind) -> None:
    if not isinstance(details, dict):
        raise bad(f"{kind.title} storage details must be defined")
    for key, called in kind.needed:
        if not isinstance(details.get(key), str) or not details[key]:
            raise bad(f"{kind.title} {called} must be defined")
    for key in details:
        if key not in kind.options and key not in dict(kind.needed):
            raise bad(f'invalid item "{key[:512]}" in {kind.title} storage details')
    for key in kind.options:
        if key in details and not isinstance(details[key], str):
            raise bad(f"{kind.title} {key} must be a string")
