"""What a client asks for when it starts a run."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gristmill.dialects.mlbench.bodies import boolean, mapping, positive, text, whole
from gristmill.dialects.mlbench.commands import split
from gristmill.dialects.mlbench.errors import RefusedError, bad
from gristmill.dialects.mlbench.images import CUSTOM, built_in, find_template
from gristmill.dialects.mlbench.settings import MlbenchSettings

SEED, LATER = "seed", "v3"
LONGEST_NAME = 100
MOST_WORKERS = 1000
_STRICT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_BACKENDS = ("mpi", "gloo", "nccl")
CUSTOM_BACKEND = "custom_backend"
SEED_IMAGE = "mlbench/mlbench_worker"


class RunFacts(msgspec.Struct, frozen=True, kw_only=True, array_like=False):
    """What is kept of a request for a run.

    cpus: cores of a worker. bandwidth: Mbit/s of a worker. image: empty for a command that runs
    on the node. shown_image: as the client named it. everywhere: whether every rank runs the
    command, and not the first alone.
    """

    name: str
    profile: str
    workers: int
    cpus: float
    bandwidth: float
    shown_image: str
    image: str
    command: str
    backend: str
    everywhere: bool
    gpu: bool = False
    light: bool = False
    horovod: bool = False
    uuid: str = ""
    pods: tuple[str, ...] = ()


def read_run(body: Any, settings: MlbenchSettings) -> RunFacts:
    """Return the facts of a request, without uuid and pods. Raises RefusedError."""
    fields = mapping(body)
    return _later(fields) if "image_name" in fields else _seed(fields, settings)


def _seed(fields: Mapping[str, Any], settings: MlbenchSettings) -> RunFacts:
    name = text(fields, "name").strip()
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise bad(f"name must be a printable text of 1 to {LONGEST_NAME} characters")
    command = settings.default_command or f"{built_in('0a').command} --check"
    return RunFacts(
        name=name,
        profile=SEED,
        workers=whole(fields, "num_workers", MOST_WORKERS),
        cpus=positive(fields, "num_cpus", 2.0),
        bandwidth=positive(fields, "max_bandwidth", 10_000.0),
        shown_image=SEED_IMAGE,
        image="",
        command=command,
        backend="mpi",
        everywhere=True,
    )


def _later(fields: Mapping[str, Any]) -> RunFacts:
    name = text(fields, "name")
    if not 1 <= len(name) <= LONGEST_NAME or not _STRICT_NAME.match(name.lower()):
        raise bad(f"Invalid run name {name[:200]}")
    shown, image, command, gpu_possible = _image(fields)
    backend, everywhere = _backend(fields)
    gpu = boolean(fields, "gpu_enabled") and gpu_possible
    light = boolean(fields, "light_target")
    horovod = boolean(fields, "use_horovod") and backend == "mpi" and _knows_horovod(shown, image)
    flags = [" --gpu"] * gpu + [" --light"] * light + [" --horovod"] * horovod
    return RunFacts(
        name=name,
        profile=LATER,
        workers=whole(fields, "num_workers", MOST_WORKERS),
        cpus=positive(fields, "num_cpus", 2.0),
        bandwidth=positive(fields, "max_bandwidth", 1000.0),
        shown_image=shown,
        image=image,
        command=command + "".join(flags),
        backend=backend,
        everywhere=everywhere,
        gpu=gpu,
        light=light,
        horovod=horovod,
    )


def _knows_horovod(shown: str, image: str) -> bool:
    """Whether the program has that switch: the benchmark of backends, perhaps custom ones."""
    template = find_template(shown)
    return bool(image) and (template is None or template.task == "0a")


def _image(fields: Mapping[str, Any]) -> tuple[str, str, str, bool]:
    """Return the image as named, the one to run, the command, and whether it can use a GPU."""
    name = text(fields, "image_name").strip()
    if name != CUSTOM:
        template = find_template(name)
        if template is None:
            raise bad(f"image_name: there is no image {name[:200]!r}; GET /api/images/ lists them")
        return template.name, template.image, template.command, template.gpu
    image = text(fields, "custom_image_name").strip()
    command = text(fields, "custom_image_command").strip()
    if not image or len(image) > 500 or not image.isprintable():
        raise bad("custom_image_name must name a container image")
    return image, image, _checked(command), True


def _checked(command: str) -> str:
    if not command or "\0" in command or len(command) > 100_000:
        raise bad("custom_image_command must be a command line")
    try:
        words = split(command)
    except ValueError as error:
        raise bad(f"custom_image_command: {error}") from error
    if not words:
        raise bad("custom_image_command must be a command line")
    return command


def _backend(fields: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the backend's name, and whether every rank runs the command."""
    name = text(fields, "backend", "mpi").strip().lower() or "mpi"
    if name in _BACKENDS:
        return name, True
    if name != CUSTOM_BACKEND:
        raise _unknown_backend(name)
    custom = text(fields, "custom_backend").strip().lower()
    if not custom or len(custom) > 100 or not custom.isprintable():
        raise bad("custom_backend must name the backend")
    if "run_all_nodes" not in fields:
        raise bad("run_all_nodes is missing")
    return custom, boolean(fields, "run_all_nodes")


def _unknown_backend(name: str) -> RefusedError:
    return bad(f"backend must be MPI, GLOO, NCCL or custom_backend, not {name[:60]!r}")
