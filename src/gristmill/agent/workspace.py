"""A folder of its own below the job's cwd: made for one attempt, gone or kept after it."""

import contextlib
import os
from random import Random
from typing import NamedTuple


class Workspace(NamedTuple):
    """root holds cwd, where the job runs, and tmp, which never outlives it."""

    root: str
    cwd: str
    tmp: str


def make_workspace(top: str, path: str, random: Random) -> Workspace:
    """Make ``top/path<digits>`` with its two folders. Raises OSError."""
    while True:
        root = f"{os.path.join(top, path)}{random.randrange(10**9)}"
        os.makedirs(os.path.dirname(root), exist_ok=True)
        try:
            os.mkdir(root)
        except FileExistsError:
            continue
        workspace = Workspace(root, os.path.join(root, "cwd"), os.path.join(root, "tmp"))
        os.mkdir(workspace.cwd)
        os.mkdir(workspace.tmp)
        return workspace


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
