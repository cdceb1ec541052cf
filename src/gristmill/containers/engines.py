"""Choosing a container engine that really works here, and an image for it."""

import functools
import os
import re
import shutil
from collections.abc import Callable

from gristmill.containers.apptainer import Apptainer
from gristmill.containers.bubblewrap import Bubblewrap
from gristmill.containers.charliecloud import Charliecloud
from gristmill.containers.images import ImageLease, ImageStore
from gristmill.containers.logins import Login, PullCall
from gristmill.containers.names import check_name, spellings
from gristmill.containers.oci_runtimes import OciRuntime
from gristmill.containers.podman import Docker, Podman
from gristmill.containers.probe import works
from gristmill.containers.proot import Proot
from gristmill.containers.run import ContainerEngine, Which
from gristmill.domain.errors import InvalidInputError, NotFoundError

AUTO = "auto"

PROGRAMS = {
    "bubblewrap": ("bwrap",),
    "charliecloud": ("ch-run",),
    "apptainer": ("apptainer", "singularity"),
    "podman": ("podman",),
    "crun": ("crun",),
    "runc": ("runc",),
    "docker": ("docker",),
    "proot": ("proot",),
}
"""Engines and their programs, the cheapest and most reliable first."""

ALIASES = {"bwrap": "bubblewrap", "ch-run": "charliecloud", "singularity": "apptainer"}

_SYSTEM_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_REFERENCE = re.compile(r"[A-Za-z0-9/][!-~]*")


def find_program(name: str) -> str | None:
    """Return where a program is, also in the folders that only root has on its PATH."""
    return shutil.which(name) or shutil.which(name, path=_SYSTEM_PATH)


def detect(name: str = AUTO, which: Which = find_program) -> ContainerEngine | None:
    """Return the engine of this name that works here as this user, or None.

    name: an engine, or ``auto`` for the best one. Each is tried with a real container, once
    in the life of the process. Raises InvalidInputError for an unknown name.
    """
    name = ALIASES.get(name, name)
    if name != AUTO and name not in PROGRAMS:
        raise InvalidInputError(
            f"{name!r} is not a container engine; choose {AUTO}, {', '.join(PROGRAMS)}",
            field="container_engine",
        )
    wanted = PROGRAMS if name == AUTO else (name,)
    found = (_working(engine, which, os.geteuid()) for engine in wanted)
    return next((engine for engine in found if engine), None)


def resolve(store: ImageStore, engine: ContainerEngine, reference: str) -> ImageLease:
    """Return the image a job asks for: from the store, or for the engine to fetch.

    Release the lease when the run is over. Raises NotFoundError, InvalidInputError.
    """
    check_name(reference)
    for name in spellings(reference):
        lease = store.lease(name)
        if lease is not None:
            return lease
    is_path = reference.startswith("/")
    if not engine.pulls or (is_path and engine.name != "apptainer"):
        raise NotFoundError(
            f"there is no image {reference!r}, and {engine.name} fetches none: add it with "
            f"'gristmill image add {reference} PATH'"
        )
    if not _REFERENCE.fullmatch(reference):
        raise InvalidInputError(f"{reference!r} is not an image reference", field="image")
    return ImageLease(reference)


def pull_call(
    engine: ContainerEngine, reference: str, login: Login | None, folder: str
) -> PullCall | None:
    """Return words and environment that fetch an image ahead of its first run.

    None when the engine does that in the run. login: user name and token at the registry.
    folder: private to the run, for a file with the login.
    """
    puller = getattr(engine, "pull", None)
    call: PullCall | None = None
    if puller is not None:
        call = puller(reference, login, folder)
    return call


def cleanup(engine: ContainerEngine, token: str) -> None:
    """End what is left of a run, for engines whose containers outlive their client."""
    if engine.outlives:
        engine.cleanup(token)


@functools.cache
def _working(name: str, which: Which, _user: int) -> ContainerEngine | None:
    program = next((path for each in PROGRAMS[name] if (path := which(each))), None)
    if program is None:
        return None
    candidates = _candidates(name, os.path.abspath(program))
    return next((each for each in candidates if _tried(each)), None)


def _tried(engine: ContainerEngine) -> bool:
    return engine.answers() if isinstance(engine, Docker) else works(engine)


def _candidates(name: str, program: str) -> list[ContainerEngine]:
    """Return the ways to use an engine, the best first."""
    if name == "podman":
        return _podmen(program)
    if name == "proot":
        return [Proot(program, contained=True), Proot(program, contained=False)]
    if name in {"crun", "runc"}:
        return [OciRuntime(name, program)]
    simple: dict[str, Callable[[str], ContainerEngine]] = {
        "bubblewrap": Bubblewrap,
        "charliecloud": Charliecloud,
        "apptainer": Apptainer,
        "docker": Docker,
    }
    return [simple[name](program)]


def _podmen(program: str) -> list[ContainerEngine]:
    hidden = [Podman(program, hide_cgroups=True)] if os.geteuid() == 0 else []
    return [
        Podman(program),
        *hidden,
        Podman(program, own_cgroups=True),
        Podman(program, runtime="runc", own_cgroups=True),
    ]
