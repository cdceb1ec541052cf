"""How a step becomes a child process: on the host, or inside a container."""

import os
import shutil
import tempfile
from pathlib import Path

from gristmill.agent.member import Member
from gristmill.agent.scripts import script_words
from gristmill.agent.steps import Step, describe, resolve_home
from gristmill.containers.engines import resolve
from gristmill.containers.images import ImageStore
from gristmill.containers.run import Bind, ContainerEngine, ContainerRun
from gristmill.domain.errors import InvalidInputError, NotFoundError
from gristmill.domain.outcome import (
    BAD_WORKDIR,
    IMAGE_UNAVAILABLE,
    MOUNT_FAILED,
    NO_CONTAINER_ENGINE,
)

INSIDE = "/home/user"
"""Where a container sees the job's work folder."""


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

    def prepare(self, member: Member, step: Step) -> tuple[list[str], dict[str, str], str]:
        """Return words, environment and working folder of the child process.

        Raises CannotRunError.
        """
        if member.spec.mounts:
            raise CannotRunError(MOUNT_FAILED, "no FUSE client for S3 is installed on the node")
        if step.image is not None and not self._on_host:
            return self._in_container(member, step, step.image)
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
        engine = self._engine
        if engine is None:
            raise CannotRunError(
                NO_CONTAINER_ENGINE,
                "no container engine works here: install one (bubblewrap is enough), or start "
                "the server with --container-engine host",
            )
        try:
            if member.image is None or member.image_name != reference:
                member.release_image()
                member.image = resolve(self._images, engine, reference)
                member.image_name = reference
            run = ContainerRun(
                image=member.image.image,
                token=_token(member),
                scratch=self._engine_folder(member),
                argv=step.words or None,
                env=_inside(member, step),
                binds=(Bind(member.cwd, INSIDE),),
                workdir=_inside_workdir(step),
                gpus=tuple(member.gpus),
            )
            return engine.command(run), engine.environment(run), member.cwd
        except (InvalidInputError, NotFoundError) as error:
            raise CannotRunError(IMAGE_UNAVAILABLE, str(error)) from error

    def _engine_folder(self, member: Member) -> str:
        if member.engine_folder is None:
            member.engine_folder = tempfile.mkdtemp(prefix="gristmill-run-")
        return member.engine_folder

    def cleanup(self, member: Member) -> None:
        """Remove what an engine keeps of a member after its processes."""
        if member.engine_folder is not None:
            if self._engine is not None and self._engine.outlives:
                self._engine.cleanup(_token(member))
            shutil.rmtree(member.engine_folder, ignore_errors=True)
            member.engine_folder = None


def _environment(member: Member, step: Step) -> dict[str, str]:
    return {**member.env, **step.env} if step.env else member.env


def _token(member: Member) -> str:
    job, attempt, rank = member.key
    node = member.env["GRISTMILL_MEMBER"].split("/")[0]
    return f"gristmill-{node}-{job}.{attempt}.{rank}"


def _workdir(member: Member, step: Step) -> str:
    if step.workdir is None:
        return member.cwd
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
        or name in _GANG
    }
    return {**own, "HOME": INSIDE, **step.env}


_GANG = frozenset(
    {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}
)


def _inside_workdir(step: Step) -> str:
    if step.workdir is None:
        return INSIDE
    return os.path.join(INSIDE, step.workdir)
