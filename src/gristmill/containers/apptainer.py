"""The apptainer engine, known as singularity before: what compute centres have."""

import hashlib
import os

from gristmill.containers.logins import Login, PullCall
from gristmill.containers.run import (
    ContainerRun,
    Entry,
    check_run,
    environment_of,
    joined,
    joined_entry,
    ordered_binds,
    words_of,
    workdir_of,
)

_PREFIXES = ("APPTAINERENV_", "SINGULARITYENV_")
_LOCAL = (".sif", ".simg", ".img", ".sqsh")


class Apptainer:
    """Runs a container with apptainer or singularity; both pull references."""

    name = "apptainer"
    pulls = True
    monitor = True
    outlives = False

    def __init__(self, program: str) -> None:
        self._program = program
        self._prefix = _PREFIXES["singularity" in os.path.basename(program)]

    def command(self, run: ContainerRun) -> list[str]:
        """Return the apptainer call. Raises InvalidInputError."""
        check_run(run)
        words = words_of(run)
        call = [self._program, "exec" if words else "run", "--containall", "--cleanenv"]
        call += ["--no-home"]
        call += [] if run.network else ["--net", "--network", "none"]
        call += ["--nv"] if run.gpus else []
        for bind in ordered_binds(run):
            option = "" if bind.writable else ":ro"
            call += ["--bind", joined(self.name, bind) + option]
        if run.workdir or not isinstance(run.image, str):
            call += ["--pwd", workdir_of(run)]
        image = _locate(run.image) if isinstance(run.image, str) else run.image.rootfs
        return [*call, image, *words]

    def pull(self, reference: str, login: Login | None, folder: str) -> PullCall | None:
        """Return the call that fetches an image into a file of the run's folder."""
        source = _locate(reference)
        if source.startswith("/"):
            return None
        env = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIXES)}
        if login is not None:
            for prefix in ("APPTAINER", "SINGULARITY"):
                env[f"{prefix}_DOCKER_USERNAME"], env[f"{prefix}_DOCKER_PASSWORD"] = login
        digest = hashlib.sha256(reference.encode()).hexdigest()[:16]
        target = os.path.join(folder, f"{digest}.sif")
        return PullCall([self._program, "pull", target, source], env, target)

    def environment(self, run: ContainerRun) -> dict[str, str]:
        """Return our own variables, and the command's under the names apptainer hands on."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(_PREFIXES)}
        handed = {self._prefix + name: value for name, value in environment_of(run).items()}
        marker = {name: value for name, value in run.env.items() if name.startswith("GRISTMILL_")}
        return {**own, **marker, **handed}

    def enter(self, run: ContainerRun) -> Entry:
        """Return how a command joins a container of this engine. Raises InvalidInputError."""
        return joined_entry(run, self._program)

    def cleanup(self, token: str) -> None:
        """Apptainer's own process namespace ends with it."""


def _locate(reference: str) -> str:
    """Return a reference as apptainer wants it; a bare name is one of a registry."""
    if "://" in reference or (reference.startswith("/") and reference.endswith(_LOCAL)):
        return reference
    return f"docker://{reference}"
