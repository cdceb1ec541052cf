"""The podman and docker engines: clients of a container service; both pull references."""

import os
import resource
import subprocess

from gristmill.containers.images import Image
from gristmill.containers.logins import Login, PullCall, write_login
from gristmill.containers.namespaces import own_mounts, without_cgroups
from gristmill.containers.run import (
    Bind,
    ContainerRun,
    Entry,
    check_run,
    environment_of,
    joined,
    named,
    ordered_binds,
    stored,
    with_workdir,
    words_of,
    workdir_of,
)
from gristmill.domain.errors import UnavailableError

PATIENCE = 60.0
"""Seconds that a client may take for a small errand."""

MOST_LIMIT = 16384
"""Files and processes; podman lowers its own limits before the runtime sets these."""

_CLIENTS_OWN = ("PATH", "HOME", "USER", "TMPDIR", "XDG_", "DOCKER_", "CONTAINER", "BUILDAH_",
                "LD_", "GLIBC_", "GODEBUG", "GOTRACEBACK", "NOTIFY_SOCKET", "REGISTRY_",
                "DBUS_")  # fmt: skip


class Podman:
    """Runs a container with podman; stored images as a root file system with an overlay.

    runtime: the OCI runtime, None for podman's choice. own_cgroups: let podman make cgroups
    for the container; else it stays in its starter's, and under the limits set there.
    hide_cgroups: start it where no cgroups are seen, for machines with both versions.
    """

    name = "podman"
    pulls = True
    monitor = False
    outlives = True

    def __init__(
        self,
        program: str,
        *,
        runtime: str | None = None,
        own_cgroups: bool = False,
        hide_cgroups: bool = False,
    ) -> None:
        self._call = [program, "--runtime", runtime] if runtime else [program]
        self._prefix = [*own_mounts(), *without_cgroups()] if hide_cgroups else []
        self._cgroups = [] if own_cgroups else ["--cgroups=disabled"]

    def command(self, run: ContainerRun) -> list[str]:
        """Return the podman call. Raises InvalidInputError."""
        check_run(run)
        image = run.image
        binds = ordered_binds(run) if isinstance(image, str) else with_workdir(run, image.rootfs)
        words = [*self._prefix, *self._call, "run", *_common(run, self.name, binds)]
        words += [*self._cgroups, *_same_limits()]
        for gpu in run.gpus:
            words += ["--device", f"nvidia.com/gpu={gpu}"]
        if isinstance(image, str):
            return [*words, *_image_and_words(run, image)]
        # The overlay takes the mount points that the image lacks.
        return [*words, "--rootfs", f"{image.rootfs}:O", *words_of(run)]

    def pull(self, reference: str, login: Login | None, folder: str) -> PullCall:
        """Return the call that fetches an image. folder: for the login's file."""
        env = _own_environment()
        if login is not None:
            env["REGISTRY_AUTH_FILE"] = os.path.join(folder, "auth.json")
            write_login(env["REGISTRY_AUTH_FILE"], reference, login)
        plain = reference.removeprefix("docker://")
        return PullCall([*self._prefix, *self._call, "pull", "--quiet", plain], env, reference)

    def environment(self, run: ContainerRun) -> dict[str, str]:
        """Return podman's own variables, and those it is told to hand on by name."""
        return _client_environment(run)

    def enter(self, run: ContainerRun) -> Entry:
        """Return the podman call that runs a command in the container. Raises InvalidInputError."""
        return _entry([*self._prefix, *self._call], run)

    def cleanup(self, token: str) -> None:
        """End the container of this run and remove it."""
        _run_quietly([*self._call, "rm", "--force", "--time=0", named(token)])


class Docker:
    """Runs a container with docker; a stored image is imported under its digest first."""

    name = "docker"
    pulls = True
    monitor = False
    outlives = True

    def __init__(self, program: str) -> None:
        self._program = program

    def command(self, run: ContainerRun) -> list[str]:
        """Return the docker call. Raises InvalidInputError, UnavailableError."""
        check_run(run)
        words = [self._program, "run", *_common(run, self.name, ordered_binds(run))]
        if run.gpus:
            words += ["--gpus", '"device=' + ",".join(map(str, run.gpus)) + '"']
        if isinstance(run.image, str):
            return [*words, *_image_and_words(run, run.image)]
        return [*words, self._imported(stored(run, self.name)), *words_of(run)]

    def pull(self, reference: str, login: Login | None, folder: str) -> PullCall:
        """Return the call that fetches an image. folder: for the login's file."""
        env = _own_environment()
        if login is not None:
            env["DOCKER_CONFIG"] = folder
            write_login(os.path.join(folder, "config.json"), reference, login)
        plain = reference.removeprefix("docker://")
        return PullCall([self._program, "pull", "--quiet", plain], env, reference)

    def environment(self, run: ContainerRun) -> dict[str, str]:
        """Return docker's own variables, and those it is told to hand on by name."""
        return _client_environment(run)

    def enter(self, run: ContainerRun) -> Entry:
        """Return the docker call that runs a command in the container. Raises InvalidInputError."""
        return _entry([self._program], run)

    def cleanup(self, token: str) -> None:
        """End the container of this run and remove it."""
        _run_quietly([self._program, "rm", "--force", named(token)])

    def answers(self) -> bool:
        """Whether the client reaches a service."""
        done = subprocess.run(
            [self._program, "version", "--format", "{{.Server.Version}}"],
            capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        return done.returncode == 0

    def _imported(self, image: Image) -> str:
        reference = "gristmill:" + image.digest.rpartition(":")[2][:64]
        known = subprocess.run(
            [self._program, "image", "inspect", reference], capture_output=True, check=False
        )
        if known.returncode == 0:
            return reference
        with subprocess.Popen(
            ["tar", "-C", image.rootfs, "-c", "."], stdout=subprocess.PIPE
        ) as packer:
            done = subprocess.run(
                [self._program, "import", "-", reference],
                stdin=packer.stdout, capture_output=True, text=True, check=False,
            )  # fmt: skip
        if done.returncode != 0 or packer.returncode != 0:
            raise UnavailableError(f"docker does not take {image.name!r}: {done.stderr.strip()}")
        return reference


def _common(run: ContainerRun, engine: str, binds: list[Bind]) -> list[str]:
    words = ["--rm", "--name", named(run.token), "--read-only", "--security-opt"]
    words += ["no-new-privileges", "--network", "host" if run.network else "none"]
    if all(bind.inside != "/tmp" for bind in binds):  # noqa: S108 - the container's own
        words += ["--tmpfs", "/tmp:rw,exec,mode=1777"]  # noqa: S108 - as above
    words += _variables(run)
    for bind in binds:
        words += ["--volume", joined(engine, bind) + ("" if bind.writable else ":ro")]
    if run.workdir or not isinstance(run.image, str):
        words += ["--workdir", workdir_of(run)]
    return words


def _variables(run: ContainerRun) -> list[str]:
    words = []
    for name, value in environment_of(run).items():
        words += ["--env", f"{name}={value}" if _is_clients_own(name) else name]
    return words


def _entry(call: list[str], run: ContainerRun) -> Entry:
    check_run(run)
    words = [*call, "exec", *_variables(run), "--workdir", workdir_of(run), named(run.token)]
    return Entry([*words, *words_of(run)], _client_environment(run), "nothing")


def _image_and_words(run: ContainerRun, reference: str) -> list[str]:
    reference = reference.removeprefix("docker://")
    words = words_of(run)
    if run.argv is None or not words:
        return [reference]
    return ["--entrypoint", words[0], reference, *words[1:]]


def _same_limits() -> list[str]:
    """Ask for no more than we have ourselves: podman's defaults may be beyond our rights."""
    words = []
    for name, kind in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        hard = resource.getrlimit(kind)[1]
        most = MOST_LIMIT if hard == resource.RLIM_INFINITY else min(hard, MOST_LIMIT)
        words += ["--ulimit", f"{name}={most}:{most}"]
    return words


def _client_environment(run: ContainerRun) -> dict[str, str]:
    own = _own_environment()
    handed = {
        name: value for name, value in environment_of(run).items() if not _is_clients_own(name)
    }
    return {**own, **handed}


def _own_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if _is_clients_own(name)}


def _is_clients_own(name: str) -> bool:
    return name.startswith(_CLIENTS_OWN)


def _run_quietly(words: list[str]) -> None:
    try:
        subprocess.run(words, capture_output=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UnavailableError(f"{words[0]} cannot remove {words[-1]}: {error}") from error
