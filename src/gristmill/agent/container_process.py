"""Which of a member's processes is the first in its container."""

import os
from collections.abc import Iterator

from gristmill.agent.processes import (
    Process,
    Stat,
    descendants,
    is_namespace_init,
    read_stat,
)
from gristmill.containers.run import Entry

NOT_OURS = "the agent's user may not join the container: its engine runs it with more rights"

_CLONES = "/memfd:"
"""Some runtimes run from a copy of themselves in memory while they make a container."""


def find_first(entry: Entry, top: int) -> Process | None:
    """Return the process that a command joins, None while there is none.

    top: the engine's process, as it was started. Raises PermissionError when it cannot be joined.
    """
    if entry.joins == "processes":
        inits = (stat.process for stat in _tree(top) if is_namespace_init(stat.process.pid))
        return next(inits, None)
    return _first_inside(top, entry.program)


def _first_inside(top: int, program: str) -> Process | None:
    """Return the first process with another root that is none of the engine's own.

    Those are programs that run outside too, and the one that makes the container.
    """
    here, own, refused = _key(os.stat("/")), {_key(os.stat(program))}, False
    for stat in _tree(top):
        proc = f"/proc/{stat.process.pid}"
        try:
            root, file = _key(os.stat(f"{proc}/root")), _key(os.stat(f"{proc}/exe"))
            is_clone = os.readlink(f"{proc}/exe").startswith(_CLONES)
        except PermissionError:
            refused = True
            continue
        except (FileNotFoundError, ProcessLookupError):
            continue
        if root == here:
            own.add(file)
        elif file not in own and not is_clone:
            return stat.process
    if refused:
        raise PermissionError(NOT_OURS)
    return None


def _tree(top: int) -> Iterator[Stat]:
    head = read_stat(top)
    if head is not None:
        yield head
    yield from descendants(top)


def _key(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
