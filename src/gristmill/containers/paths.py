"""Paths inside a tree that may hold hostile links: resolved as a chroot would."""

import os

from gristmill.domain.errors import InvalidInputError

MOST_LINKS = 64


def resolve_inside(root: str, path: str, *, follow_last: bool = True) -> str:
    """Return the host path of a path in the tree, with links resolved below root only.

    An absolute link starts again at root, and ``..`` stops there, so that the result never
    leaves root. What does not exist is kept as it stands. The tree must not be changed by
    others meanwhile. Raises InvalidInputError for a loop of links.
    """
    root = root.rstrip("/")
    pending = [part for part in reversed(path.split("/")) if part not in {"", "."}]
    current: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            del current[-1:]
            continue
        candidate = "/".join((root, *current, part))
        if (pending or follow_last) and os.path.islink(candidate):
            links += 1
            if links > MOST_LINKS:
                raise InvalidInputError(f"{path!r} runs through a loop of symbolic links")
            target = os.readlink(candidate)
            if target.startswith("/"):
                current.clear()
            pending.extend(word for word in reversed(target.split("/")) if word not in {"", "."})
            continue
        current.append(part)
    return "/".join((root, *current))


def inner_path(root: str, host_path: str) -> str:
    """Return the absolute path inside the tree of a host path that resolve_inside gave."""
    return host_path[len(root.rstrip("/")) :] or "/"


def clamp_link(location: str, target: str) -> str:
    """Return a link's target without the ``..`` that would climb above the tree's root.

    location: where the link stands, relative to the root. In a chroot both mean the same;
    seen from the host, only the result stays inside.
    """
    if target.startswith("/"):
        return target
    depth = len([part for part in os.path.dirname(location).split("/") if part not in {"", "."}])
    kept: list[str] = []
    for part in target.split("/"):
        if part == "..":
            if depth == 0:
                continue
            depth -= 1
        elif part not in {"", "."}:
            depth += 1
        kept.append(part)
    return "/".join(kept) or "."
