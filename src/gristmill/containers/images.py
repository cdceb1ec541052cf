"""The image store: root file systems in a folder, shared by processes through file locks."""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from gristmill.containers.assemble import Assembled, assemble
from gristmill.containers.layouts import ImageConfig
from gristmill.containers.names import check_name, folder_name
from gristmill.containers.trees import MEGABYTE, Limits
from gristmill.domain.clock import Chance
from gristmill.domain.errors import InvalidInputError, NotFoundError, UnavailableError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
_LEASE_TRIES = 100


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A stored image.

    rootfs: absolute path of its root file system, not to be changed. digest: sha256 of its
    manifest, archive or content. size: megabytes, rounded up. created_at: epoch seconds.
    source: what it was made from, ``folder``, ``archive``, ``oci`` or ``docker``.
    notes: what was left out of it.
    """

    name: str
    rootfs: str
    digest: str
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: dict[str, str] = {}
    workdir: str = "/"
    size: int = 0
    created_at: float = 0.0
    source: str = "folder"
    notes: tuple[str, ...] = ()


class ImageLease:
    """An image that stays on disk until it is released, even when it is removed or replaced.

    image: a stored image, or a reference that the engine itself knows how to fetch.
    The lease ends with the process at the latest.
    """

    def __init__(self, image: Image | str, descriptor: int | None = None) -> None:
        self.image = image
        self._descriptor = descriptor

    def release(self) -> None:
        """Let the image go; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class ImageStore:
    """Images below one folder: ``names/`` points to ``trees/``, and a pointer is one file.

    Many processes may use a store at once. Replacing an image makes a new tree and turns the
    pointer; the old tree goes when nobody leases it any more. A tree is locked by its maker
    exclusively and by its users shared; changes of pointers are serialised by one lock.
    Unused trees are cleared away at the next change.
    """

    def __init__(
        self, root: Path, limits: Limits | None = None, chance: Chance | None = None
    ) -> None:
        self.root = str(root.absolute())
        self._limits = limits or Limits()
        self._chance = chance or Chance()

    def add(self, name: str, source: Path, entrypoint: Sequence[str] | None = None) -> Image:
        """Store the image at source under name, in place of one that had the name.

        source: a root file system as a folder or archive (.tar, or packed with gzip, bzip2
        or xz), or an OCI layout or ``docker save`` image as folder or archive; told apart by
        content. entrypoint: words to use in place of the image's own entrypoint and command.
        Raises InvalidInputError, or UnavailableError when the disk is full; nothing changes.
        """
        check_name(name)
        words = _check_entrypoint(entrypoint)
        self._check_source(source)
        with self._new_tree() as tree:
            try:
                done = assemble(str(source), tree, self._limits)
            except OSError as error:
                if error.errno in _FULL:
                    raise UnavailableError(
                        f"image {name!r} was not stored: {error.strerror}"
                    ) from error
                raise
            image = _describe(name, os.path.join(tree, "rootfs"), done, words, self._chance.now())
            self._point(image)
        self._clear_away()
        return image

    def get(self, name: str) -> Image | None:
        """Return the image of exactly this name, or None."""
        try:
            check_name(name)
        except InvalidInputError:
            return None
        return self._read(os.path.join(self.root, "names", folder_name(name) + ".json"))

    def list(self) -> "list[Image]":
        """Return all images, by name."""
        folder = os.path.join(self.root, "names")
        try:
            files = [entry for entry in os.listdir(folder) if entry.endswith(".json")]
        except FileNotFoundError:
            return []
        images = [self._read(os.path.join(folder, file)) for file in files]
        return sorted((image for image in images if image), key=lambda image: image.name)

    def remove(self, name: str) -> None:
        """Forget the image of this name; running jobs keep it to their end.

        Raises NotFoundError.
        """
        if self.get(name) is None:
            raise NotFoundError(f"there is no image {name[:200]!r}")
        with self._locked():
            try:
                os.unlink(os.path.join(self.root, "names", folder_name(name) + ".json"))
            except FileNotFoundError:
                raise NotFoundError(f"there is no image {name[:200]!r}") from None
        self._clear_away()

    def lease(self, name: str) -> ImageLease | None:
        """Return the image of exactly this name, kept on disk until released, or None."""
        for _ in range(_LEASE_TRIES):
            image = self.get(name)
            if image is None:
                return None
            lock = os.path.join(os.path.dirname(image.rootfs), "lock")
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
                fcntl.flock(descriptor, fcntl.LOCK_SH)
                if _same_file(descriptor, lock):
                    return ImageLease(image, descriptor)
                os.close(descriptor)
        raise UnavailableError(f"image {name!r} is being replaced all the time; try again")

    def _read(self, path: str) -> Image | None:
        try:
            with open(path, "rb") as file:
                image = msgspec.json.decode(file.read(), type=Image)
        except FileNotFoundError:
            return None
        return msgspec.structs.replace(image, rootfs=os.path.join(self.root, image.rootfs))

    def _point(self, image: Image) -> None:
        """Make the image's name mean it; its tree is known by then."""
        path = os.path.join(self.root, "names", folder_name(image.name) + ".json")
        fresh = f"{path}.{self._chance.token(8)}"
        record = msgspec.structs.replace(image, rootfs=os.path.relpath(image.rootfs, self.root))
        with self._locked():
            with open(fresh, "wb") as file:
                file.write(msgspec.json.encode(record))
                file.flush()
                os.fsync(file.fileno())
            os.replace(fresh, path)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        os.makedirs(self.root, 0o700, exist_ok=True)
        for folder in ("names", "trees", "trash"):
            os.makedirs(os.path.join(self.root, folder), 0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(os.path.join(self.root, "lock"), flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _new_tree(self) -> Iterator[str]:
        """Make a tree that is ours until the end, by when a pointer must lead to it."""
        tree = os.path.join(self.root, "trees", "t" + self._chance.token(12))
        with self._locked():
            os.mkdir(tree, 0o700)
            descriptor = _open_lock(tree)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            yield tree
        except BaseException:
            shutil.rmtree(tree, ignore_errors=True)
            raise
        finally:
            os.close(descriptor)

    def _clear_away(self) -> None:
        """Remove trees that no pointer leads to and nobody holds."""
        trash = os.path.join(self.root, "trash")
        with self._locked():
            pointed = {os.path.basename(os.path.dirname(image.rootfs)) for image in self.list()}
            for name in os.listdir(os.path.join(self.root, "trees")):
                tree = os.path.join(self.root, "trees", name)
                if name not in pointed:
                    _retire(tree, trash)
        for name in os.listdir(trash):
            shutil.rmtree(os.path.join(trash, name), ignore_errors=True)

    def _check_source(self, source: Path) -> None:
        if "\0" in str(source):
            raise InvalidInputError("the path holds a zero character", field="path")
        real = os.path.realpath(source)
        if os.path.commonpath([real, os.path.realpath(self.root)]) == real:
            raise InvalidInputError(f"{str(source)!r} holds the image store itself", field="path")


def _describe(
    name: str, rootfs: str, done: Assembled, entrypoint: tuple[str, ...] | None, now: float
) -> Image:
    config: ImageConfig = done.config
    overridden = entrypoint is not None
    return Image(
        name=name,
        rootfs=rootfs,
        digest=done.digest,
        entrypoint=entrypoint if entrypoint is not None else config.entrypoint or (),
        cmd=() if overridden else config.cmd or (),
        env=dict(_pair(each) for each in config.env or () if not each.startswith("=")),
        workdir=config.working_dir or "/",
        size=-(-done.size // MEGABYTE),
        created_at=now,
        source=done.kind,
        notes=done.notes,
    )


def _pair(variable: str) -> tuple[str, str]:
    key, _, value = variable.partition("=")
    return key, value


def _check_entrypoint(entrypoint: Sequence[str] | None) -> tuple[str, ...] | None:
    if entrypoint is None:
        return None
    words = tuple(entrypoint)
    if not words or not words[0] or any("\0" in word for word in words):
        raise InvalidInputError(
            f"entrypoint {list(words)!r} must be a command's words, the first not empty",
            field="entrypoint",
        )
    return words


def _open_lock(tree: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    return os.open(os.path.join(tree, "lock"), flags, 0o600)


def _retire(tree: str, trash: str) -> None:
    """Move a tree away unless somebody holds it; nobody can take hold of it meanwhile."""
    descriptor = _open_lock(tree)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(tree, os.path.join(trash, os.path.basename(tree)))
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def _same_file(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
