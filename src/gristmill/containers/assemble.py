"""From whatever a person has (folder, archive, saved image) to one root file system."""

import os
import shutil
import stat

import msgspec

from gristmill.containers.copying import copy_folder
from gristmill.containers.layouts import ImageConfig, Layout, read_layout
from gristmill.containers.paths import resolve_inside
from gristmill.containers.trees import Limits, TreeWriter
from gristmill.containers.unpack import unpack
from gristmill.domain.errors import InvalidInputError

_FOLDERS = ("proc", "sys", "dev", "tmp", "run", "var/tmp", "etc", "home", "root", "mnt")
_FILES = ("etc/passwd", "etc/group", "etc/hosts", "etc/resolv.conf")
"""What engines mount over; they cannot make it in a root they mount read-only."""


class Assembled(msgspec.Struct, frozen=True):
    """A finished root file system. kind: folder, archive, oci or docker. size: bytes."""

    digest: str
    config: ImageConfig
    kind: str
    size: int
    notes: tuple[str, ...]


def assemble(source: str, tree: str, limits: Limits) -> Assembled:
    """Build the root file system that source describes in the new folder tree/rootfs.

    tree: an existing folder that is ours alone. Raises InvalidInputError when the source is
    not an image, is damaged, hostile or too large; then the tree is to be thrown away.
    """
    rootfs = os.path.join(tree, "rootfs")
    os.mkdir(rootfs, 0o755)
    mode = _mode_of(source)
    if stat.S_ISDIR(mode):
        done = _from_folder(os.path.realpath(source), rootfs, limits)
    elif stat.S_ISREG(mode):
        done = _from_archive(source, tree, rootfs, limits)
    else:
        raise InvalidInputError(f"{source!r} is neither a folder nor a file", field="path")
    if not os.listdir(rootfs):
        raise InvalidInputError(f"{source!r} holds no files", field="path")
    make_standard_places(rootfs)
    return done


def _mode_of(source: str) -> int:
    try:
        return os.stat(source).st_mode
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidInputError(f"cannot read {source!r}: {reason}", field="path") from error


def _from_folder(source: str, rootfs: str, limits: Limits) -> Assembled:
    layout = read_layout(source)
    if layout:
        return _from_layout(layout, rootfs, limits)
    writer = TreeWriter(rootfs, limits)
    digest = copy_folder(source, writer)
    return _plain(digest, "folder", writer)


def _from_archive(source: str, tree: str, rootfs: str, limits: Limits) -> Assembled:
    writer = TreeWriter(rootfs, limits)
    try:
        digest = unpack(source, writer, layered=False)
    except PermissionError as error:
        raise InvalidInputError(f"cannot read {source!r}: {error.strerror}", "path") from error
    if read_layout(rootfs) is None:
        return _plain(digest, "archive", writer)
    parts = os.path.join(tree, "parts")
    os.rename(rootfs, parts)
    os.mkdir(rootfs, 0o755)
    layout = read_layout(parts)
    assert layout is not None
    done = _from_layout(layout, rootfs, limits)
    shutil.rmtree(parts)
    return done


def _from_layout(layout: Layout, rootfs: str, limits: Limits) -> Assembled:
    writer = TreeWriter(rootfs, limits)
    for layer in layout.layers:
        digest = unpack(layer.path, writer, layered=True)
        if layer.sha256 not in {None, digest}:
            raise InvalidInputError(
                f"layer {layer.sha256} of the image is damaged: its digest is {digest}",
                field="path",
            )
    return Assembled(layout.digest, layout.config, layout.kind, writer.size, tuple(writer.notes))


def _plain(digest: str, kind: str, writer: TreeWriter) -> Assembled:
    return Assembled(f"sha256:{digest}", ImageConfig(), kind, writer.size, tuple(writer.notes))


def make_standard_places(rootfs: str) -> None:
    """Make the folders and files that engines expect in every root file system."""
    for name in _FOLDERS:
        path = resolve_inside(rootfs, name)
        if not os.path.lexists(path):
            os.makedirs(path, 0o755)
            if name.endswith("tmp"):
                os.chmod(path, 0o1777)  # noqa: S103 - as /tmp is everywhere
    for name in _FILES:
        path = resolve_inside(rootfs, name, follow_last=False)
        if os.path.islink(path):
            os.unlink(path)
        if not os.path.lexists(path):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
