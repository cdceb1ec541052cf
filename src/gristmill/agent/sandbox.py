"""The folders of one job in a sandbox, and how its tasks see them and know about themselves."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gristmill.agent.steps import Step
from gristmill.containers.images import ImageLease
from gristmill.containers.paths import resolve_inside
from gristmill.containers.run import Bind
from gristmill.domain.job import JobSpec
from gristmill.domain.outcome import StagedOutput
from gristmill.domain.resources import CPU_SHARES, Capacity
from gristmill.domain.staging import fill
from gristmill.protocol.messages import Lease, Preparation

HOME = "/home/user"
TMP = "/tmp"  # noqa: S108 - the job's own, inside its container
USER = "user"

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class FailedError(Exception):
    """A job in a sandbox cannot go on. reason: of domain/outcome."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Pulled(NamedTuple):
    """How an image was had. status: as in TaskResult; seconds: -1 when nothing was fetched."""

    status: str
    seconds: float = -1.0
    digest: str = ""


NOT_PULLED = Pulled("")


@dataclass(slots=True)
class Sandbox:
    """What belongs to one member in a sandbox, from its first moment to its last.

    folder: holds home, tmp, shm, work; gone at the end. binds: what else tasks see.
    mounted: folders to be unmounted. images: by reference. excused: seconds that do not count
    as running. closed: its outputs are being taken or were. late_cause: why the job fails
    although its tasks go on. inside: whether tasks run in containers.
    """

    folder: str
    inside: bool
    preparation: Preparation | None = None
    facts: dict[str, str] = field(default_factory=dict)
    binds: list[Bind] = field(default_factory=list)
    images: dict[str, ImageLease] = field(default_factory=dict)
    pulled: Pulled = NOT_PULLED
    mounted: list[str] = field(default_factory=list)
    stage_in: float = -1.0
    stage_out: float = -1.0
    outputs: list[StagedOutput] = field(default_factory=list)
    excused: float = 0.0
    closed: bool = False
    late_cause: str = ""
    late_message: str = ""

    @property
    def home(self) -> str:
        """The job's folder."""
        return os.path.join(self.folder, "home")

    @property
    def tmp(self) -> str:
        """What its containers see as /tmp."""
        return os.path.join(self.folder, "tmp")

    @property
    def shm(self) -> str:
        """What the containers of an MPI task see as /dev/shm."""
        return os.path.join(self.folder, "shm")

    @property
    def session(self) -> str:
        """What the processes of an MPI task tell each other through."""
        return os.path.join(self.folder, "mpi")

    @property
    def work(self) -> str:
        """What is needed to move files; never seen by the job."""
        return os.path.join(self.folder, "work")

    def make(self) -> None:
        """Make the folders. Raises OSError."""
        for folder in (self.folder, self.home, self.tmp, self.shm, self.session, self.work):
            os.mkdir(folder, 0o700)
        os.chmod(self.tmp, 0o1777)  # noqa: S103 - as any /tmp, for every user inside

    def take_pulled(self, reference: str) -> Pulled:
        """Return how the image at hand was had: fetched for the step to come, or before that."""
        pulled, self.pulled = self.pulled, NOT_PULLED
        if pulled.status:
            return pulled
        image = self.images[reference].image
        return Pulled("cached", digest="" if isinstance(image, str) else plain_digest(image.digest))

    def release_images(self) -> None:
        """Let go of every image."""
        for lease in self.images.values():
            lease.release()
        self.images.clear()

    def on_node(self, path: str) -> str:
        """Return where the node has a path that tasks name: below home, or below a bind.

        Links are followed as the job would, and never out of what the job sees.
        Raises InvalidInputError for a loop of links.
        """
        if not path.startswith("/"):
            return resolve_inside(self.home, path)
        for bind in [*self.binds, Bind(self.home, HOME), Bind(self.tmp, TMP)]:
            if path == bind.inside or path.startswith(bind.inside.rstrip("/") + "/"):
                return resolve_inside(bind.host, path[len(bind.inside) :])
        return resolve_inside(self.home, path)


def plain_digest(digest: str) -> str:
    """Return a digest without the name of its kind."""
    return digest.rpartition(":")[2]


def facts_of(
    spec: JobSpec, lease: Lease, need: Capacity, preparation: Preparation, runtime: str
) -> dict[str, str]:
    """Return what a member's tasks can be told, besides their own number."""
    facts = {
        "job": str(lease.job),
        "node": str(lease.rank),
        "nodes": str(spec.resources.nodes),
        "cpus": f"{need.cpu_shares / CPU_SHARES:g}",
        "memory_gb": f"{need.memory / 1024:g}",
        "runtime": runtime,
        "url": preparation.url,
        "token": preparation.token,
    }
    if preparation.workflow:
        facts["workflow"] = str(preparation.workflow)
    return facts


def dress(sandbox: Sandbox, spec: JobSpec, step: Step) -> Step:
    """Return the step with its facts, its home and its /tmp, as this sandbox has them."""
    told = _told(sandbox, spec, step)
    known = {name: told[name] for name in spec.substitute if name in told}
    env = {**_own_variables(sandbox), **spec.env, **step.env, **told}
    words = tuple(_substituted(word, known) for word in step.words)
    workdir = None if step.workdir is None else _substituted(step.workdir, known)
    return step._replace(words=words, env=env, workdir=_workdir(sandbox, workdir))


def _told(sandbox: Sandbox, spec: JobSpec, step: Step) -> dict[str, str]:
    facts = {**sandbox.facts, "task": str(step.task or 0)}
    filled = {name: fill(template, facts) for name, template in spec.facts.items()}
    return {name: value for name, value in filled.items() if value is not None}


def _own_variables(sandbox: Sandbox) -> dict[str, str]:
    home, tmp = (HOME, TMP) if sandbox.inside else (sandbox.home, sandbox.tmp)
    return {"HOME": home, "USER": USER, "TMP": tmp, "TEMP": tmp, "TMPDIR": tmp}


def _substituted(text: str, known: Mapping[str, str]) -> str:
    if "$" not in text or not known:
        return text
    return _VARIABLE.sub(lambda match: known.get(match[1] or match[2], match[0]), text)


def _workdir(sandbox: Sandbox, workdir: str | None) -> str | None:
    """Return the folder to start in, made when it is one of the job's own that lacks."""
    if workdir is None:
        return None
    in_home = not workdir.startswith("/") or (workdir + "/").startswith(HOME + "/")
    if not in_home:
        return workdir
    path = sandbox.on_node(workdir)
    os.makedirs(path, exist_ok=True)
    return workdir if sandbox.inside else path
