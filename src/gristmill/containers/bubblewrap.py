"""The bubblewrap engine: namespaces made by one small program, root read-only."""

import os

from gristmill.containers import gpus
from gristmill.containers.paths import inner_path, resolve_inside
from gristmill.containers.run import (
    CAPABILITIES,
    Bind,
    ContainerRun,
    Entry,
    below,
    check_run,
    environment_of,
    for_loader,
    joined_entry,
    stored,
    with_workdir,
    words_of,
    workdir_of,
)
from gristmill.domain.errors import InvalidInputError

MOST_CHILDREN = 2000
"""Entries of an image folder that can be shown one by one; bwrap takes 9,000 words."""

_PRIVATE = ("/tmp", "/var/tmp")  # noqa: S108 - paths inside the container, not on the node
_OF_THE_NODE = ("/etc/resolv.conf", "/etc/hosts")


class Bubblewrap:
    """Runs a container as a child of bwrap, which takes it along when it dies."""

    name = "bubblewrap"
    pulls = False
    monitor = True
    outlives = False
    shares = True
    bequeaths = True

    def __init__(self, program: str) -> None:
        self._program = program

    def command(self, run: ContainerRun) -> list[str]:
        """Return the bwrap call for a stored image. Raises InvalidInputError."""
        check_run(run)
        rootfs = stored(run, self.name).rootfs
        binds = with_workdir(run, rootfs)
        if run.gpus:
            binds += gpus.driver_binds()
        shadows = _shadows(rootfs, binds)
        words = [self._program, "--die-with-parent", "--unshare-uts", "--unshare-cgroup-try"]
        words += [] if run.shared else ["--unshare-pid", "--unshare-ipc"]
        words += [] if run.network else ["--unshare-net"]
        words += _limited_root() if os.geteuid() == 0 else []
        words += _root(rootfs, shadows)
        words += ["--ro-bind", "/sys", "/sys", "--dev", "/dev"]
        words += ["--ro-bind", "/proc", "/proc"] if run.shared else ["--proc", "/proc"]
        words += _private_folders(rootfs)
        words += _names_of_the_node(rootfs) if run.network else []
        for node in gpus.device_nodes(run.gpus):
            words += ["--dev-bind", node, node]
        for bind in binds:
            words += ["--bind" if bind.writable else "--ro-bind", bind.host, bind.inside]
        for folder in shadows:
            words += ["--remount-ro", folder]
        words += _variables(run)
        return [*words, "--chdir", workdir_of(run), "--", *words_of(run)]

    def environment(self, run: ContainerRun) -> dict[str, str]:
        """Return the variables that bwrap hands on, so that their values stay off its words."""
        return {name: value for name, value in environment_of(run).items() if not for_loader(name)}

    def enter(self, run: ContainerRun) -> Entry:
        """Return how a command joins a container of this engine. Raises InvalidInputError."""
        return joined_entry(run, self._program)

    def cleanup(self, token: str) -> None:
        """Nothing outlives bwrap."""


def _limited_root() -> list[str]:
    words = ["--cap-drop", "ALL"]
    for capability in CAPABILITIES:
        words += ["--cap-add", capability]
    return words


def _root(rootfs: str, shadows: list[str]) -> list[str]:
    """Show the image; a folder that lacks mount points becomes a copy made of its parts."""
    words = [] if "/" in shadows else ["--ro-bind", rootfs, "/"]
    for folder in shadows:
        if folder != "/":
            words += ["--tmpfs", folder]
        words += _children(rootfs, folder)
    return words


def _children(rootfs: str, folder: str) -> list[str]:
    names = os.listdir(rootfs + folder)
    if len(names) > MOST_CHILDREN:
        raise InvalidInputError(
            f"folder {folder!r} of the image has too many entries for mount points to be added; "
            "make them in the image",
            field="binds",
        )
    words: list[str] = []
    for name in names:
        inside = f"{folder.rstrip('/')}/{name}"
        host = rootfs + inside
        if os.path.islink(host):
            words += ["--symlink", os.readlink(host), inside]
        else:
            words += ["--ro-bind", host, inside]
    return words


def _shadows(rootfs: str, binds: list[Bind]) -> list[str]:
    """Return the image's folders in which a bind has no place yet, outer ones first."""
    made_elsewhere = [*_PRIVATE, "/dev"]
    found: set[str] = set()
    for bind in binds:
        inside = bind.inside
        if not os.path.lexists(rootfs + inside) and not any(
            below(inside, folder) for folder in made_elsewhere
        ):
            while not os.path.isdir(rootfs + inside):
                inside = os.path.dirname(inside)
            found.add(inside)
        made_elsewhere.append(bind.inside)
    return sorted(found, key=lambda folder: folder.rstrip("/").count("/"))


def _private_folders(rootfs: str) -> list[str]:
    words = []
    for folder in _PRIVATE:
        inside = inner_path(rootfs, resolve_inside(rootfs, folder))
        if os.path.isdir(rootfs + inside) and inside != "/":
            words += ["--perms", "1777", "--tmpfs", inside]
    return words


def _names_of_the_node(rootfs: str) -> list[str]:
    words = []
    for path in _OF_THE_NODE:
        if os.path.isfile(resolve_inside(rootfs, path, follow_last=False)):
            words += ["--ro-bind-try", path, path]
    return words


def _variables(run: ContainerRun) -> list[str]:
    words: list[str] = []
    for name, value in environment_of(run).items():
        if for_loader(name):
            words += ["--setenv", name, value]
    if run.gpus and not any(name == "LD_LIBRARY_PATH" for name in environment_of(run)):
        words += ["--setenv", "LD_LIBRARY_PATH", gpus.LIBRARIES]
    return words
