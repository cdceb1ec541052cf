"""The charliecloud engine: ch-run, for nodes of compute clusters."""

import os

from gristmill.containers.namespaces import own_processes
from gristmill.containers.run import (
    ContainerRun,
    Entry,
    check_run,
    environment_of,
    for_loader,
    joined,
    joined_entry,
    make_mount_points,
    stored,
    words_of,
    workdir_of,
    writable_only,
)
from gristmill.domain.errors import InvalidInputError


class Charliecloud:
    """Runs a container with ch-run in a process namespace; no read-only binds, no GPUs."""

    name = "charliecloud"
    pulls = False
    monitor = True
    outlives = False
    shares = True

    def __init__(self, program: str) -> None:
        self._program = program

    def command(self, run: ContainerRun) -> list[str]:
        """Return the ch-run call for a stored image. Raises InvalidInputError."""
        check_run(run)
        rootfs = stored(run, self.name).rootfs
        binds = make_mount_points(run, rootfs)
        writable_only(self.name, binds)
        if run.gpus:
            raise InvalidInputError("charliecloud gets no GPUs; choose bubblewrap", field="gpus")
        words = [] if run.shared else own_processes(as_root=False, network=run.network)
        words += [self._program, "--private-tmp", "--cd", workdir_of(run)]
        for bind in binds:
            words += ["--bind", joined(self.name, bind)]
        # ch-run drops TMPDIR, and what the loader reads would bend ch-run itself.
        told = [
            f"--set-env={name}={value}"
            for name, value in environment_of(run).items()
            if for_loader(name) or name == "TMPDIR"
        ]
        return [*words, *told, rootfs, "--", *words_of(run)]

    def environment(self, run: ContainerRun) -> dict[str, str]:
        """Return the variables that ch-run hands on; it insists on USER."""
        kept = {name: value for name, value in environment_of(run).items() if not for_loader(name)}
        return {"USER": str(os.geteuid()), **kept}

    def enter(self, run: ContainerRun) -> Entry:
        """Return how a command joins a container of this engine. Raises InvalidInputError."""
        return joined_entry(run, self._program)

    def cleanup(self, token: str) -> None:
        """Nothing outlives the process namespace."""
