"""Writing a root file system entry by entry, so that nothing lands outside its folder."""

import errno
import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from gristmill.containers.paths import clamp_link, inner_path, resolve_inside
from gristmill.domain.errors import InvalidInputError

MEGABYTE = 1 << 20
CHUNK = MEGABYTE
LARGEST_ID = (1 << 32) - 2
LATEST_TIME = 1 << 40
MOST_NOTES = 20


@dataclass(frozen=True)
class Limits:
    """How large an image may become: number of entries, and megabytes of file content."""

    entries: int = 2_000_000
    size_mb: int = 100 * 1024


@dataclass(frozen=True)
class Meta:
    """What an entry carries beside its content: mode bits, owner ids, epoch seconds."""

    mode: int
    uid: int
    gid: int
    mtime: float


class TreeWriter:
    """Builds a tree below root out of entries that nobody has checked.

    Names are resolved below root as a chroot would. Names that climb out are refused with
    InvalidInputError, as is going over the limits; device nodes and the like are skipped and
    noted. Owners, set-user-id and set-group-id bits are kept only when we are root, and asked to.
    size: bytes of content written. notes: what was left out, at most MOST_NOTES lines.
    """

    def __init__(self, root: str, limits: Limits, *, keep_owners: bool = True) -> None:
        self.root = root
        self.size = 0
        self.notes: list[str] = []
        self._limits = limits
        self._entries = 0
        self._privileged = keep_owners and os.geteuid() == 0
        self._folders: dict[str, str] = {}

    def directory(self, name: str, meta: Meta) -> None:
        """Make a folder, or give an existing one this mode and owner."""
        path = self._place(name)
        if not _is_folder(path):
            self._clear(path)
            os.mkdir(path)
        if self._privileged:
            self._own(path, meta)
            os.chmod(path, stat.S_IMODE(meta.mode))
        else:
            os.chmod(path, stat.S_IMODE(meta.mode) & 0o1777 | 0o700)

    def file(self, name: str, meta: Meta, content: Iterable[bytes]) -> None:
        """Write a regular file in place of whatever had its name."""
        path = self._place(name)
        self._clear(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        with open(descriptor, "wb") as target:
            for chunk in content:
                self.take_bytes(len(chunk))
                target.write(chunk)
            target.flush()
            self._own(descriptor, meta)
            keep = 0o7777 if self._privileged else 0o777
            owner = 0 if self._privileged else 0o600
            os.fchmod(descriptor, stat.S_IMODE(meta.mode) & keep | owner)
            moment = min(max(meta.mtime, 0), LATEST_TIME)
            os.utime(descriptor, (moment, moment))

    def symlink(self, name: str, meta: Meta, target: str) -> None:
        """Make a symbolic link; one that climbs above root is cut to end there."""
        path = self._place(name)
        if not target or "\0" in target:
            raise InvalidInputError(f"link {name!r} has the impossible target {target!r}")
        self._clear(path)
        os.symlink(clamp_link(inner_path(self.root, path), target), path)
        self._folders.clear()
        if self._privileged:
            os.lchown(path, _id(meta.uid, name), _id(meta.gid, name))

    def hard_link(self, name: str, target: str) -> None:
        """Give a file that was written before a second name."""
        path = self._place(name)
        source = self._locate(target)
        if not os.path.lexists(source) or _is_folder(source):
            raise InvalidInputError(f"hard link {name!r} leads to {target!r}, which is no file")
        if source == path:
            return
        self._clear(path)
        os.link(source, path, follow_symlinks=False)

    def skip(self, name: str, reason: str) -> None:
        """Count an entry that is left out, and note why."""
        self._count(name)
        if len(self.notes) < MOST_NOTES:
            self.notes.append(f"skipped {name!r}: {reason}")

    def remove(self, name: str) -> str:
        """Remove what an earlier layer put there; return its path inside the tree."""
        path = self._place(name)
        self._clear(path, always=True)
        return inner_path(self.root, path)

    def children(self, name: str) -> list[str]:
        """Return the paths inside the tree of a folder's entries, none when it is no folder."""
        path = self._locate(name)
        if not _is_folder(path):
            return []
        inside = inner_path(self.root, path).rstrip("/")
        return [f"{inside}/{child}" for child in os.listdir(path)]

    def place_of(self, name: str) -> str:
        """Return the path inside the tree where an entry of this name lands."""
        return inner_path(self.root, self._locate(name))

    def take_bytes(self, count: int) -> None:
        """Count content. Raises InvalidInputError beyond the limit."""
        self.size += count
        if self.size > self._limits.size_mb * MEGABYTE:
            raise InvalidInputError(
                f"the image holds more than {self._limits.size_mb} MB; "
                "raise the image size limit if it is to be trusted",
                field="path",
            )

    def _count(self, name: str) -> None:
        self._entries += 1
        if self._entries > self._limits.entries:
            raise InvalidInputError(
                f"the image has more than {self._limits.entries} entries (at {name!r})",
                field="path",
            )

    def _place(self, name: str) -> str:
        self._count(name)
        return self._locate(name, make=True)

    def _locate(self, name: str, *, make: bool = False) -> str:
        parts = _check_parts(name)
        if not parts:
            return self.root
        folder = "/".join(parts[:-1])
        known = self._folders.get(folder)
        if known is None:
            known = resolve_inside(self.root, folder)
            if make:
                _make_folders(self.root, known)
            self._folders[folder] = known
        return f"{known}/{parts[-1]}"

    def _clear(self, path: str, *, always: bool = False) -> None:
        if path == self.root:
            if always:
                return
            raise InvalidInputError("the archive replaces its own root by something else")
        try:
            mode = os.lstat(path).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)
        if not stat.S_ISREG(mode):
            self._folders.clear()

    def _own(self, target: str | int, meta: Meta) -> None:
        if self._privileged:
            os.chown(target, _id(meta.uid, str(target)), _id(meta.gid, str(target)))


def _check_parts(name: str) -> list[str]:
    if name.startswith("/"):
        raise InvalidInputError(
            f"entry {name!r} is an absolute path; make the archive with relative names",
            field="path",
        )
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts or "\0" in name:
        raise InvalidInputError(f"entry {name!r} leaves the archive's root", field="path")
    return parts


def _make_folders(root: str, folder: str) -> None:
    """Make the folders an archive did not list, in place of files that have their names."""
    current = root
    for part in inner_path(root, folder).split("/"):
        if not part:
            continue
        current = f"{current}/{part}"
        try:
            os.mkdir(current, 0o755)
        except FileExistsError:
            if not _is_folder(current):
                os.unlink(current)
                os.mkdir(current, 0o755)


def _is_folder(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _id(number: int, name: str) -> int:
    if not 0 <= number <= LARGEST_ID:
        raise InvalidInputError(f"entry {name!r} has the impossible owner {number}", field="path")
    return number


def refusal(error: OSError, what: str) -> InvalidInputError | None:
    """Return the error in words when the input is at fault, None when the machine is."""
    if error.errno in {errno.ENAMETOOLONG, errno.EILSEQ, errno.ELOOP, errno.ENOTDIR}:
        return InvalidInputError(f"{what} cannot be written: {error.strerror}", field="path")
    return None
