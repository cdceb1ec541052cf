"""How a step becomes a child process: on the host, or inside a container."""

import os
import shutil
import tempfile
from pathlib import Path

import msgspec

from gristmill.agent.member import Member
from gristmill.agent.mpi import launcher, mpi_words
from gristmill.agent.network.plans import INTERFACES, NO_PROXIES, PROXIES
from gristmill.agent.sandbox import HOME as INSIDE
from gristmill.agent.sandbox import TMP
from gristmill.agent.scripts import script_words
from gristmill.agent.steps import Step, describe, resolve_home
from gristmill.containers.engines import pull_call, resolve
from gristmill.containers.images import Image, ImageLease, ImageStore
from gristmill.containers.logins import Login, PullCall
from gristmill.containers.run import Bind, ContainerEngine, ContainerRun, Entry
from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.domain.job import MPI_KINDS, JobSpec, Task
from gristmill.domain.outcome import (
    BAD_WORKDIR,
    COULD_NOT_START,
    IMAGE_UNAVAILABLE,
    NO_CONTAINER_ENGINE,
)
from gristmill.domain.resources import CPU_SHARES
from gristmill.protocol.messages import GangPlace


class CannotRunError(Exception):
    """A step cannot become a process. reason: as the job will show it."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Runtimes:
    """Prepares steps. engine: None when the node has none; on_host: images are only recorded."""

    def __init__(
        self, images: ImageStore, engine: ContainerEngine | None, *, on_host: bool
    ) -> None:
        self._images, self._engine, self._on_host = images, engine, on_host

    @property
    def names(self) -> list[str]:
        """What this node can run, as the server matches it."""
        return ["host", "container"] if self._engine or self._on_host else ["host"]

    @property
    def isolates(self) -> bool:
        """Whether steps with an image run in containers here."""
        return not self._on_host

    @property
    def engine_name(self) -> str:
        """What runs containers here."""
        return "host" if self._on_host or self._engine is None else self._engine.name

    def bequeaths(self) -> bool:
        """Whether what a container used is only known once its engine's orphan is reaped."""
        return not self._on_host and getattr(self._engine, "bequeaths", False)

    def fitted(self, spec: JobSpec, gang: GangPlace | None) -> JobSpec:
        """Return the job as it is run here.

        An mpirun starts the ranks of a distributed job where they share a node that has one;
        elsewhere each member starts its own rank, and all members see that alike.
        """
        if not spec.distributed or not any(task.kind in MPI_KINDS for task in spec.tasks):
            return spec
        together = gang is None or len(set(gang.hosts)) == 1
        if together and all(self._has_launcher(spec, task) for task in spec.tasks):
            return spec
        alone = (msgspec.structs.replace(t, kind="basic", processes=None) for t in spec.tasks)
        return msgspec.structs.replace(spec, tasks=tuple(alone))

    def _has_launcher(self, spec: JobSpec, task: Task) -> bool:
        contained = not self._on_host and (task.image or spec.image) is not None
        if contained and not getattr(self._engine, "shares", False):
            return False
        return task.kind not in MPI_KINDS or launcher(task.kind) is not None

    def find_image(self, reference: str) -> ImageLease:
        """Return an image from the store, or for the engine to fetch.

        Raises CannotRunError, InvalidInputError.
        """
        try:
            return resolve(self._images, self._needed(), reference)
        except NotFoundError as error:
            raise InvalidInputError(str(error)) from error

    def pull_call(self, reference: str, login: Login | None, folder: str) -> PullCall | None:
        """Return words and environment that fetch an image; None when a run does that itself.

        folder: of the member, for the login's file.
        """
        return pull_call(self._needed(), reference, login, folder)

    def _needed(self) -> ContainerEngine:
        if self._engine is None:
            raise CannotRunError(
                NO_CONTAINER_ENGINE,
                "no container engine works here: install one (bubblewrap is enough), or start "
                "the server with --container-engine host",
            )
        return self._engine

    def prepare(self, member: Member, step: Step) -> tuple[list[str], dict[str, str], str]:
        """Return words, environment and working folder of the child process.

        Raises CannotRunError.
        """
        words, env, cwd = self._prepared(member, step)
        return member.entry + words, env, cwd

    def _prepared(self, member: Member, step: Step) -> tuple[list[str], dict[str, str], str]:
        if step.image is not None and not self._on_host:
            return self._in_container(member, step, step.image)
        if step.words and step.kind in MPI_KINDS:
            return self._mpi_on_host(member, step)
        if step.script is not None:
            return script_words(step.script), _environment(member, step), _workdir(member, step)
        if not step.words:
            raise CannotRunError(
                IMAGE_UNAVAILABLE, f"{describe(step)} cannot run without a container engine"
            )
        return list(step.words), _environment(member, step), _workdir(member, step)

    def _in_container(
        self, member: Member, step: Step, reference: str
    ) -> tuple[list[str], dict[str, str], str]:
        engine, parallel = self._needed(), step.kind in MPI_KINDS
        member.tokens.add(_token(member, step))
        try:
            run = self._container_run(member, step, reference)
            words, env = engine.command(run), engine.environment(run)
        except (InvalidInputError, NotFoundError) as error:
            raise CannotRunError(IMAGE_UNAVAILABLE, str(error)) from error
        if parallel:
            if not getattr(engine, "shares", False):
                raise CannotRunError(
                    COULD_NOT_START, f"{engine.name} cannot run MPI tasks; choose bubblewrap"
                )
            words = _launched(member, step, words)
        return words, env, member.cwd

    def _container_run(self, member: Member, step: Step, reference: str) -> ContainerRun:
        parallel = step.kind in MPI_KINDS
        return ContainerRun(
            image=self._image(member, self._needed(), reference),
            token=_token(member, step),
            scratch=self._engine_folder(member),
            argv=_argv(step),
            env=_inside(member, step),
            binds=_binds(member, parallel=parallel),
            workdir=_inside_workdir(step),
            gpus=tuple(member.gpus),
            shared=parallel,
        )

    def enter(self, member: Member, step: Step) -> Entry | None:
        """Return how a command gets into the container of a member's current step.

        step: that step, with the command's words. None when it runs in no container.
        Raises CannotRunError, InvalidInputError.
        """
        if step.image is None or self._on_host:
            return None
        return self._needed().enter(self._container_run(member, step, step.image))

    def _mpi_on_host(self, member: Member, step: Step) -> tuple[list[str], dict[str, str], str]:
        env = {**member.env, **step.env}
        return _launched(member, step, list(step.words)), env, _workdir(member, step)

    def _image(self, member: Member, engine: ContainerEngine, reference: str) -> Image | str:
        if member.sandbox is not None and reference in member.sandbox.images:
            return member.sandbox.images[reference].image
        if member.image is None or member.image_name != reference:
            member.release_image()
            member.image = resolve(self._images, engine, reference)
            member.image_name = reference
        return member.image.image

    def _engine_folder(self, member: Member) -> str:
        if member.engine_folder is None:
            member.engine_folder = tempfile.mkdtemp(prefix="gristmill-run-")
        return member.engine_folder

    def cleanup(self, member: Member) -> None:
        """Remove what an engine keeps of a member after its processes."""
        if member.engine_folder is not None:
            if self._engine is not None and self._engine.outlives:
                for token in member.tokens:
                    self._engine.cleanup(token)
            shutil.rmtree(member.engine_folder, ignore_errors=True)
            member.engine_folder = None


def _environment(member: Member, step: Step) -> dict[str, str]:
    return {**member.env, **step.env} if step.env else member.env


def _token(member: Member, step: Step) -> str:
    """Return a name for the step's container: tasks have one after another, sidecars their own."""
    job, attempt, rank = member.key
    node = member.env["GRISTMILL_MEMBER"].split("/")[0]
    token = f"gristmill-{node}-{job}.{attempt}.{rank}"
    return f"{token}-s{step.task}" if step.kind == "sidecar" else token


def _argv(step: Step) -> tuple[str, ...] | None:
    if not step.app:
        return step.words or None
    return ("/bin/sh", f"/scif/apps/{step.app}/scif/runscript", *step.words)


def _binds(member: Member, *, parallel: bool) -> tuple[Bind, ...]:
    """Return what a container sees of the node: with MPI, also what its processes share."""
    sandbox = member.sandbox
    if sandbox is None:
        return (Bind(member.cwd, INSIDE),)
    binds = [Bind(member.cwd, INSIDE), Bind(sandbox.tmp, TMP)]
    inner = [bind.inside for bind in sandbox.binds]
    binds = [bind for bind in binds if bind.inside not in inner] + sandbox.binds
    if parallel:
        binds += [Bind(sandbox.shm, "/dev/shm"), Bind(sandbox.session, sandbox.session)]  # noqa: S108
    return tuple(binds)


def _launched(member: Member, step: Step, words: list[str]) -> list[str]:
    """Return the words of the mpirun that starts a task's words on all its nodes."""
    program = launcher(step.kind)
    if program is None:
        raise CannotRunError(COULD_NOT_START, f"there is no mpirun of {step.kind} on the node")
    gang, sandbox = member.lease.gang, member.sandbox
    if sandbox is not None:
        session = sandbox.session
        os.makedirs(session, 0o700, exist_ok=True)
    else:
        session = tempfile.gettempdir()
    return mpi_words(
        step.kind,
        program,
        words,
        per_node=step.processes or max(1, member.need.cpu_shares // CPU_SHARES),
        hosts=gang.hosts if gang is not None else ["localhost"],
        variables=step.env,
        session=session,
    )


def _workdir(member: Member, step: Step) -> str:
    if step.workdir is None:
        return member.cwd
    if member.sandbox is not None and step.workdir.startswith("/"):
        return step.workdir
    path = os.path.join(member.cwd, resolve_home(step.workdir))
    if not Path(path).is_dir():
        raise CannotRunError(BAD_WORKDIR, f"no such folder: {path}")
    return path


def _inside(member: Member, step: Step) -> dict[str, str]:
    """Return what a container sees: the node's own PATH and home mean nothing in there."""
    own = {
        name: value
        for name, value in member.env.items()
        if name.startswith(("GRISTMILL_", "CUDA_"))
        or name in member.spec.env
        or name in member.lease.env
        or name in _TOLD
        or name in member.spec.facts
    }
    return {**own, "HOME": INSIDE, **step.env}


_TOLD = frozenset(
    {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}
).union(PROXIES, NO_PROXIES, INTERFACES)


def _inside_workdir(step: Step) -> str:
    if step.workdir is None:
        return INSIDE
    return os.path.join(INSIDE, step.workdir)
