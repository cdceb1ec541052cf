"""A folder of its own below the job's cwd: made for one attempt, gone or kept after it."""

import contextlib
import os
from random import Random
from typing import NamedTuple


class Workspace(NamedTuple):
    """root holds cwd, where the job runs, and tmp, which never outlives it.

    device: the volume they lie on.
    """

    root: str
    cwd: str
    tmp: str
    device: int


def make_workspace(top: str, path: str, random: Random) -> Workspace:
    """Make ``top/path<digits>`` with its two folders. Raises OSError."""
    while True:
        root = f"{os.path.join(top, path)}{random.randrange(10**9)}"
        os.makedirs(os.path.dirname(root), exist_ok=True)
        try:
            os.mkdir(root)
        except FileExistsError:
            continue
        cwd, tmp = os.path.join(root, "cwd"), os.path.join(root, "tmp")
        workspace = Workspace(root, cwd, tmp, os.stat(root).st_dev)
        os.mkdir(workspace.cwd)
        os.mkdir(workspace.tmp)
        return workspace


def is_unused(workspace: Workspace) -> bool:
    """Whether nothing is in its folders, or they are gone."""
    try:
        return not os.listdir(workspace.cwd) and not os.listdir(workspace.tmp)
    except OSError:
        return False


def measure(workspace: Workspace) -> int:
    """Return the megabytes that files below it take on its own volume, rounded up. Blocks."""
    used, seen = 0, set[int]()
    waiting = [workspace.cwd, workspace.tmp]
    while waiting:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    stat = entry.stat(follow_symlinks=False)
                    if stat.st_dev != workspace.device or stat.st_ino in seen:
                        continue
                    if stat.st_nlink > 1:
                        seen.add(stat.st_ino)
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    used += stat.st_blocks * 512
    return -(-used // (1 << 20))


def remove_if_empty(*folders: str) -> bool:
    """Remove folders that hold nothing, in order; return whether all are gone."""
    for folder in folders:
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True


def prune(root: str, top: str) -> None:
    """Remove the folders between root and top that are empty now."""
    folder = os.path.dirname(root)
    with contextlib.suppress(OSError):
        while folder != top and folder.startswith(top):
            os.rmdir(folder)
            folder = os.path.dirname(folder)
