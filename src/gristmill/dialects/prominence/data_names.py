"""How this interface names stored objects: ``x`` is the user's own, ``group/x`` a group's."""

from gristmill.domain.errors import NotPermittedError
from gristmill.domain.identity import Identity
from gristmill.domain.objects import Space, check_name


def space_of(who: Identity, path: str) -> tuple[Space, str]:
    """Return where an object is and its name there.

    Raises InvalidInputError, and NotPermittedError for a group that the user is not in.
    """
    check_name(path, "name")
    group, slash, name = path.partition("/")
    if not slash:
        return Space.user(who.user), path
    check_member(who, group)
    return Space.group(group), name


def check_member(who: Identity, group: str) -> None:
    """Raise NotPermittedError unless the user is in exactly this group."""
    if group not in who.groups:
        raise NotPermittedError(f"{who.user} is not in the group {group[:80]!r}")
