"""The proot engine: paths translated by tracing, where nothing else is allowed.

It isolates nothing: the command can change whatever its user can, the image included.
"""

from typing import Literal

from gristmill.containers import gpus
from gristmill.containers.namespaces import own_processes
from gristmill.containers.run import (
    ContainerRun,
    Entry,
    check_run,
    environment_of,
    joined,
    make_mount_points,
    stored,
    words_of,
    workdir_of,
    writable_only,
)
from gristmill.domain.errors import InvalidInputError


class Proot:
    """Runs a container under proot; contained: in a process namespace of its own."""

    name = "proot"
    pulls = False
    outlives = False

    def __init__(self, program: str, *, contained: bool) -> None:
        self._program = program
        self._contained = contained
        self.monitor = contained

    def command(self, run: ContainerRun) -> list[str]:
        """Return the proot call for a stored image. Raises InvalidInputError."""
        call = self._call(run)
        prefix = own_processes(as_root=False, network=run.network) if self._contained else []
        return [*prefix, *call]

    def _call(self, run: ContainerRun) -> list[str]:
        check_run(run)
        rootfs = stored(run, self.name).rootfs
        binds = make_mount_points(run, rootfs)
        writable_only(self.name, binds)
        if not (run.network or self._contained):
            raise InvalidInputError("proot cannot take the network away here", field="network")
        words = [self._program, "-r", rootfs, "-b", "/proc", "-b", "/sys"]
        words += ["-b", "/dev", "-w", workdir_of(run)]
        for bind in binds:
            words += ["-b", joined(self.name, bind)]
        if run.gpus:
            for library in gpus.driver_binds():
                words += ["-b", f"{library.host}:{library.inside}"]
        return [*words, *words_of(run)]

    def environment(self, run: ContainerRun) -> dict[str, str]:
        """Return the variables that proot hands on."""
        return environment_of(run)

    def enter(self, run: ContainerRun) -> Entry:
        """Return a proot beside the first one: nobody can join what another process traces."""
        words = self._call(run)
        joins: Literal["processes", "nothing"] = "processes" if self._contained else "nothing"
        return Entry(words, self.environment(run), joins, self._program)

    def cleanup(self, token: str) -> None:
        """Nothing outlives the process namespace; without one, the tree is the killer's."""
