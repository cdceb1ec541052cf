"""What is noted on disk about mounts, and how they and their folders are cleared away.

Whatever is mounted is noted first, so that the next agent can clear away what a dead one left.
"""

import contextlib
import os
from pathlib import Path

import msgspec
import structlog

from gristmill.agent.mount_table import is_below, mounted, unmount

log = structlog.get_logger()


class Note(msgspec.Struct):
    """What is on disk about a member: where something is mounted, folders that are to go."""

    points: list[str] = []
    folders: list[str] = []


def write_note(place: str, note: Note) -> None:
    """Put a note into its place."""
    path = os.path.join(place, "note.json")
    with open(f"{path}.new", "wb") as file:
        file.write(msgspec.json.encode(note))
    os.rename(f"{path}.new", path)


def clear_leftovers(folder: Path) -> None:
    """Unmount and remove what every note in a folder of places tells of. Blocks."""
    if not folder.is_dir():
        return
    for place in folder.iterdir():
        note = _read_note(place)
        unmount_all(note.points)
        for path in (*note.folders, str(place)):
            remove_tree(path)


def _read_note(place: Path) -> Note:
    try:
        return msgspec.json.decode((place / "note.json").read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError):
        return Note()


def unmount_all(points: list[str]) -> None:
    """Unmount, the last first."""
    for point in reversed(points):
        if point in mounted():
            try:
                unmount(point)
            except OSError as error:
                log.warning("mount.stays", point=point, error=str(error))


def remove_tree(folder: str) -> None:
    """Remove a folder of ours, but never anything that is mounted below it."""
    if is_below(folder, mounted()):
        log.warning("mount.folder_stays", folder=folder)
        return
    with contextlib.suppress(FileNotFoundError):
        _remove_on_device(folder, os.lstat(folder).st_dev)


def _remove_on_device(folder: str, device: int) -> None:
    for entry in list(os.scandir(folder)):
        if entry.is_dir(follow_symlinks=False):
            if entry.stat(follow_symlinks=False).st_dev == device:
                _remove_on_device(entry.path, device)
        else:
            os.unlink(entry.path)
    with contextlib.suppress(OSError):
        os.rmdir(folder)
