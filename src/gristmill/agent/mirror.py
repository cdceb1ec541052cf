"""Brings what a job changed in its remote folder there: ``python -m … CHANGES FOLDER``.

CHANGES is the upper layer of an overlay: files as they shall be, and marks where something was
deleted. It runs as a process of its own, because a store that hangs must not hang the agent.
"""

import os
import shutil
import stat
import sys

_OPAQUE = "trusted.overlay.opaque"


def mirror(changes: str, folder: str) -> list[str]:
    """Apply changes to a folder; return what could not be brought there, as lines of text."""
    problems: list[str] = []
    for entry in sorted(os.scandir(changes), key=lambda entry: entry.name):
        target = os.path.join(folder, entry.name)
        try:
            problems += _bring(entry, target)
        except OSError as error:
            problems.append(f"{target}: {error.strerror}")
    return problems


def _bring(entry: "os.DirEntry[str]", target: str) -> list[str]:
    about = entry.stat(follow_symlinks=False)
    if stat.S_ISCHR(about.st_mode) and about.st_rdev == 0:
        _remove(target)
    elif stat.S_ISDIR(about.st_mode):
        if _is_opaque(entry.path) or not _is_folder(target):
            _remove(target)
        os.makedirs(target, exist_ok=True)
        return mirror(entry.path, target)
    elif stat.S_ISLNK(about.st_mode):
        _remove(target)
        os.symlink(os.readlink(entry.path), target)
    elif stat.S_ISREG(about.st_mode):
        if _is_folder(target):
            _remove(target)
        _copy(entry.path, target, about.st_mode)
    else:
        return [f"{target}: neither a file, a folder nor a link"]
    return []


def _copy(source: str, target: str, mode: int) -> None:
    """Copy a file; it is uploaded when it is closed, so that is where errors show."""
    permissions = stat.S_IMODE(mode)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    with open(source, "rb") as reader:
        descriptor = os.open(target, flags, permissions)
        with open(descriptor, "wb") as writer:
            shutil.copyfileobj(reader, writer, 1 << 20)
            writer.flush()
            os.fsync(descriptor)


def _is_folder(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _is_opaque(path: str) -> bool:
    """Whether a folder replaces the one of its name instead of adding to it."""
    try:
        return os.getxattr(path, _OPAQUE) == b"y"
    except OSError:
        return False


def _remove(path: str) -> None:
    if _is_folder(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def main() -> int:
    """Bring the changes; return 1 when something could not be."""
    problems = mirror(sys.argv[1], sys.argv[2])
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
