"""What the agent asks of a container engine, and what the engines share."""

import contextlib
import os
import re
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

import msgspec

from gristmill.containers.images import Image
from gristmill.containers.paths import inner_path, resolve_inside
from gristmill.domain.errors import InvalidInputError

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CAPABILITIES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
    "CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
    "CAP_SYS_CHROOT",
)  # fmt: skip
"""What root keeps inside: enough for package managers, nothing that reaches the node."""

Which = Callable[[str], str | None]

_TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_LOADER = ("LD_", "GLIBC_", "GCONV_", "MALLOC_", "LOCPATH", "NLSPATH")


class Bind(NamedTuple):
    """A file or folder of the node that the container sees at an absolute path of its own."""

    host: str
    inside: str
    writable: bool = True


class ContainerRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a container.

    image: a stored image, or a reference the engine fetches. token: names this run on the
    node, for cleanup; letters, digits, ``_.-``. scratch: an existing folder for what the
    engine needs during the run; the caller removes it after. argv: the words to run, None for
    the image's entrypoint and command. env: beyond the image's own. workdir: absolute, made
    when it is missing. network: the node's network, or none. gpus: indices of the devices.
    shared: one of several that see each other's processes and memory, started as such by an
    engine with ``shares``.
    """

    image: Image | str
    token: str
    scratch: str
    argv: tuple[str, ...] | None = None
    env: dict[str, str] = {}
    binds: tuple[Bind, ...] = ()
    workdir: str | None = None
    network: bool = True
    gpus: tuple[int, ...] = ()
    shared: bool = False


class Entry(NamedTuple):
    """How a command gets into a container that runs.

    words, env: of the process to start. joins: what whoever starts it has to give it first:
    ``container`` means the namespaces, root and rights of the first process in the container
    that is not the engine's own, ``processes`` only the namespaces of the engine's first one,
    and ``nothing`` that the words see to it themselves. program: the engine's.
    """

    words: list[str]
    env: dict[str, str]
    joins: Literal["container", "processes", "nothing"]
    program: str = ""


class ContainerEngine(Protocol):
    """Turns a run into a plain child process.

    name: as users write it. pulls: whether it fetches references by itself.
    monitor: the child is the engine's monitor, which ends the container at once when it is
    asked to end. To let the command end in its own time, signal only the processes below the
    monitor; it ends after them. Killing the child leaves nothing of the container behind,
    unless outlives is set: then cleanup has to follow every run that did not end by itself.
    shares, where it is there and true: it runs several containers that see each other.
    bequeaths, likewise: the child ends before the container's first process, which whoever
    inherits it reaps, and only then is it known what the command used.
    """

    name: str
    pulls: bool
    monitor: bool
    outlives: bool

    def command(self, run: ContainerRun) -> list[str]:
        """Return the words to execute; the first is an absolute path.

        May write to the run's scratch; docker takes time for an image that it sees first.
        Raises InvalidInputError for what this engine or the image cannot do.
        """

    def environment(self, run: ContainerRun) -> dict[str, str]:
        """Return the whole environment for the child process."""

    def enter(self, run: ContainerRun) -> Entry:
        """Return how the run's words get into the container that runs under its token.

        All but argv is as the container was started with. Raises InvalidInputError.
        """

    def cleanup(self, token: str) -> None:
        """End and remove whatever is left of the run with this token.

        Waits for it. Raises UnavailableError when the engine does not answer.
        """


def check_run(run: ContainerRun) -> None:
    """Check what every engine relies on. Raises InvalidInputError."""
    if not _TOKEN.fullmatch(run.token):
        raise InvalidInputError(f"{run.token!r} cannot name a container", field="token")
    if run.argv is not None and (not run.argv or run.argv[0][:1] in {"", "-"}):
        raise InvalidInputError(
            f"{list(run.argv[:1])!r} cannot be a command: the first word is a program",
            field="argv",
        )
    for bind in run.binds:
        if not (bind.inside.startswith("/") and bind.host.startswith("/")):
            raise InvalidInputError(
                f"{bind.host!r} at {bind.inside!r}: both paths must be absolute", field="binds"
            )
    if not workdir_of(run).startswith("/"):
        raise InvalidInputError(
            f"{workdir_of(run)!r} must be an absolute path inside the container", field="workdir"
        )


def joined_entry(run: ContainerRun, program: str) -> Entry:
    """Return how a command gets into a container made of plain namespaces."""
    check_run(run)
    return Entry(words_of(run), environment_of(run), "container", program)


def named(token: str) -> str:
    """Return the name of this run's container, for engines that give names."""
    return f"gristmill-{token}"


def words_of(run: ContainerRun) -> list[str]:
    """Return the words to run; empty means what a referenced image says itself.

    Raises InvalidInputError when a stored image has no entrypoint and none were given.
    """
    if run.argv is not None:
        return list(run.argv)
    if isinstance(run.image, str):
        return []
    words = [*run.image.entrypoint, *run.image.cmd]
    if not words:
        raise InvalidInputError(
            f"image {run.image.name!r} has no entrypoint: give a command, or add the image "
            "again with --entrypoint",
            field="command",
        )
    return words


def stored(run: ContainerRun, engine: str) -> Image:
    """Return the run's image. Raises InvalidInputError when it is only a reference."""
    if isinstance(run.image, str):
        raise InvalidInputError(
            f"{engine} fetches no images: add {run.image!r} with 'gristmill image add NAME PATH'",
            field="image",
        )
    return run.image


def environment_of(run: ContainerRun) -> dict[str, str]:
    """Return the variables the command sees: the image's, then the run's own on top."""
    if isinstance(run.image, str):
        return dict(run.env)
    return {"PATH": DEFAULT_PATH, **run.image.env, **run.env}


def workdir_of(run: ContainerRun) -> str:
    """Return the folder the command starts in, as seen inside."""
    return run.workdir or ("/" if isinstance(run.image, str) else run.image.workdir)


def for_loader(name: str) -> bool:
    """Whether the variable would bend the engine itself, were it in its environment."""
    return name.startswith(_LOADER)


def ordered_binds(run: ContainerRun) -> list[Bind]:
    """Return the binds, outer folders before inner ones."""
    return sorted(run.binds, key=lambda bind: len(bind.inside.rstrip("/").split("/")))


def make_mount_points(run: ContainerRun, rootfs: str) -> list[Bind]:
    """Make the places for binds that lack; return binds with links resolved.

    For engines that cannot make them: in a root they mount read-only, or below another bind.
    A missing working folder becomes an empty folder of the run.
    """
    binds = with_workdir(run, rootfs)
    for number, bind in enumerate(binds):
        outer = [each for each in binds[:number] if below(bind.inside, each.inside)]
        is_folder = os.path.isdir(bind.host)
        try:
            if outer and outer[-1].writable:
                inside = bind.inside[len(outer[-1].inside.rstrip("/")) :]
                _make_in_bind(outer[-1].host, inside.strip("/").split("/"), is_folder)
            else:
                _make_mount_point(resolve_inside(rootfs, bind.inside), is_folder)
        except OSError as error:
            raise InvalidInputError(
                f"the image has no place for {bind.inside!r} and none can be made "
                f"({error.strerror}); choose bubblewrap",
                field="binds",
            ) from error
    return binds


def _make_mount_point(path: str, is_folder: bool) -> None:
    if is_folder:
        os.makedirs(path, 0o755, exist_ok=True)
    elif not os.path.lexists(path):
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


def _make_in_bind(folder: str, parts: list[str], is_folder: bool) -> None:
    """Make a place in a folder that others may be changing just now: no link is followed."""
    folders, file = (parts, None) if is_folder else (parts[:-1], parts[-1])
    at = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in filter(None, folders):
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=at)
            flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(part, flags, dir_fd=at)
            os.close(at)
            at = inner
        if file:
            with contextlib.suppress(FileExistsError):
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                os.close(os.open(file, flags, 0o644, dir_fd=at))
    finally:
        os.close(at)


def with_workdir(run: ContainerRun, rootfs: str) -> list[Bind]:
    """Return the binds with links inside the image resolved, and one for a missing workdir."""
    binds = [
        bind._replace(inside=inner_path(rootfs, resolve_inside(rootfs, bind.inside)))
        for bind in ordered_binds(run)
    ]
    if any(bind.inside == "/" for bind in binds):
        raise InvalidInputError("a bind cannot take the place of the whole image", field="binds")
    workdir = resolve_inside(rootfs, workdir_of(run))
    inside = inner_path(rootfs, workdir)
    if not os.path.isdir(workdir) and not any(below(inside, bind.inside) for bind in binds):
        empty = os.path.join(run.scratch, "workdir")
        os.makedirs(empty, exist_ok=True)
        binds.append(Bind(empty, inside))
    return binds


def below(path: str, folder: str) -> bool:
    """Whether path is folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def joined(engine: str, bind: Bind) -> str:
    """Return ``HOST:INSIDE``. Raises InvalidInputError for paths that engine would misread."""
    for path in (bind.host, bind.inside):
        if ":" in path or "," in path:
            raise InvalidInputError(
                f"{engine} cannot bind {path!r}, for its colon or comma; choose bubblewrap",
                field="binds",
            )
    return f"{bind.host}:{bind.inside}"


def writable_only(engine: str, binds: list[Bind]) -> None:
    """Refuse read-only binds for an engine that has none. Raises InvalidInputError."""
    for bind in binds:
        if not bind.writable:
            raise InvalidInputError(
                f"{engine} cannot bind {bind.inside!r} read-only; choose bubblewrap",
                field="binds",
            )
