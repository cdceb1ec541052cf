"""What happens around the tasks of a job in a sandbox: files in, images, files out."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import structlog

from gristmill.agent.connection import RefusedError
from gristmill.agent.helper.plans import (
    ANSWER,
    PLAN,
    Answer,
    Find,
    Plan,
    Pull,
    Snapshot,
    StageIn,
    StageOut,
    WantedOutput,
)
from gristmill.agent.member import Member
from gristmill.agent.questions import Questions
from gristmill.agent.runtimes import CannotRunError, Runtimes
from gristmill.agent.sandbox import FailedError, Pulled, Sandbox, facts_of, plain_digest
from gristmill.agent.spawning import Helpers
from gristmill.agent.steps import Step
from gristmill.agent.storages import Storages
from gristmill.containers.images import ImageLease, ImageStore
from gristmill.containers.run import Bind
from gristmill.domain.clock import Chance
from gristmill.domain.errors import InvalidInputError
from gristmill.domain.job import JobSpec
from gristmill.domain.outcome import (
    ARTIFACT_UNPACK_FAILED,
    COULD_NOT_START,
    IMAGE_UNAVAILABLE,
    LOST,
    STAGE_OUT_UPLOAD_FAILED,
    StagedOutput,
)
from gristmill.domain.staging import OBJECT_SCHEME, Artifact

MOST_WITHOUT_WISH = 100 * 1024
"""Megabytes a job that asked for no disk may bring."""

_PATTERN = frozenset("*?[")
_HELPER = [sys.executable, "-m", "gristmill.agent.helper"]

log = structlog.get_logger()


class Sandboxes:
    """Opens and closes sandboxes. authority: CA file of a server elsewhere."""

    def __init__(
        self,
        folder: Path,
        *,
        runtimes: Runtimes,
        helpers: Helpers,
        questions: Questions,
        chance: Chance,
        authority: str = "",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        clear_away(folder)
        self._folder, self._runtimes, self._helpers = folder, runtimes, helpers
        self._questions, self._chance, self._authority = questions, chance, authority
        self._storages = Storages(helpers, chance)

    def make(self, member: Member) -> Sandbox:
        """Make a member's folders. Raises OSError."""
        job, attempt, rank = member.key
        path = self._folder / f"{job}.{attempt}.{rank}"
        sandbox = Sandbox(str(path), self._runtimes.isolates)
        sandbox.make()
        return sandbox

    async def open(self, member: Member, sandbox: Sandbox) -> None:
        """Ask the server, mount storage, fetch artifacts, write inputs. Raises FailedError."""
        begun = self._chance.monotonic()
        try:
            preparation = await self._questions.prepare(member.held)
        except RefusedError as error:
            raise FailedError(COULD_NOT_START, str(error)) from error
        sandbox.preparation = preparation
        runtime = self._runtimes.engine_name
        sandbox.facts = facts_of(member.spec, member.lease, member.need, preparation, runtime)
        await self._storages.mount(member, sandbox, preparation.secrets)
        staging = member.spec.staging
        if staging is not None and (staging.artifacts or staging.inputs):
            await self._stage_in(member, sandbox)
            sandbox.stage_in = self._chance.monotonic() - begun
        sandbox.excused += self._chance.monotonic() - begun

    async def _stage_in(self, member: Member, sandbox: Sandbox) -> None:
        staging, preparation = member.spec.staging, sandbox.preparation
        assert staging is not None
        assert preparation is not None
        places = preparation.objects
        artifacts = [
            msgspec.structs.replace(artifact, url=places.get(artifact.url, artifact.url))
            for artifact in staging.artifacts
        ]
        plan = StageIn(
            folder=sandbox.home,
            most=self._most(member.spec),
            authority=self._authority,
            artifacts=artifacts,
            inputs=list(staging.inputs),
        )
        answer = await self._run(member, sandbox, plan)
        if answer.reason:
            raise FailedError(answer.reason, answer.message)
        sandbox.binds += [_shown(sandbox, each) for each in staging.artifacts if each.directory]

    async def fetch_image(self, member: Member, sandbox: Sandbox, step: Step) -> Pulled:
        """Have the image of a step at hand. Raises FailedError."""
        reference = step.image
        assert reference is not None
        begun = self._chance.monotonic()
        try:
            await self._fetch(member, sandbox, reference, step.task)
        except (CannotRunError, InvalidInputError) as error:
            reason = error.reason if isinstance(error, CannotRunError) else IMAGE_UNAVAILABLE
            raise FailedError(reason, str(error)) from error
        finally:
            seconds = self._chance.monotonic() - begun
            sandbox.excused += seconds
        image = sandbox.images[reference].image
        digest = "" if isinstance(image, str) else plain_digest(image.digest)
        return Pulled("completed", seconds, digest)

    async def _fetch(
        self, member: Member, sandbox: Sandbox, reference: str, task: int | None
    ) -> None:
        preparation = sandbox.preparation
        assert preparation is not None
        url = preparation.objects.get(reference, reference)
        if url.startswith(OBJECT_SCHEME):
            raise InvalidInputError(f"there is no object {reference!r}")
        is_url = url.lower().startswith(("http://", "https://"))
        if not is_url and not self._is_file(sandbox, reference):
            login = preparation.logins.get(task) if task is not None else None
            lease = self._runtimes.find_image(reference)
            if isinstance(lease.image, str):
                lease = await self._pull_by_engine(member, sandbox, lease.image, login)
            sandbox.images[reference] = lease
            return
        store = os.path.join(sandbox.work, "store")
        name = f"image-{len(sandbox.images)}"
        plan = Pull(
            folder=sandbox.home,
            most=MOST_WITHOUT_WISH,
            authority=self._authority,
            url=url if is_url else "",
            path="" if is_url else sandbox.on_node(reference),
            store=store,
            name=name,
        )
        answer = await self._run(member, sandbox, plan)
        if answer.reason:
            raise FailedError(answer.reason, answer.message)
        found = ImageStore(Path(store) / "images").lease(name)
        assert found is not None
        sandbox.images[reference] = found

    def _is_file(self, sandbox: Sandbox, reference: str) -> bool:
        return reference.startswith("/") and os.path.isfile(sandbox.on_node(reference))

    async def _pull_by_engine(
        self,
        member: Member,
        sandbox: Sandbox,
        reference: str,
        login: tuple[str, str] | None,
    ) -> ImageLease:
        """Let an engine that fetches references fetch this one now, not inside the task's time."""
        call = self._runtimes.pull_call(reference, login, sandbox.work)
        if call is None:
            return ImageLease(reference)
        words, env, fetched = call
        errors = os.path.join(sandbox.work, "pull.log")
        descriptor = os.open(errors, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            marked = {**env, "GRISTMILL_MEMBER": member.env["GRISTMILL_MEMBER"]}
            _, ended = self._helpers.start(words, marked, stderr=descriptor)
            if await ended != 0:
                size = os.fstat(descriptor).st_size
                tail = os.pread(descriptor, 500, max(0, size - 500))
                raise InvalidInputError(tail.decode(errors="replace").strip())
            return ImageLease(fetched)
        finally:
            os.close(descriptor)

    async def close(self, member: Member, sandbox: Sandbox) -> None:
        """Store the outputs of a job whose tasks have begun, and remove what it leaves."""
        try:
            if member.ran and member.lease.rank == 0 and member.cause != LOST:
                await self._stage_out(member, sandbox)
        finally:
            sandbox.release_images()
            await self._storages.unmount(sandbox)
            await self._remove(sandbox)

    async def _stage_out(self, member: Member, sandbox: Sandbox) -> None:
        staging = member.spec.staging
        if staging is None or not (staging.output_files or staging.output_dirs):
            return
        begun = self._chance.monotonic()
        wanted = [WantedOutput(path, folder=False) for path in staging.output_files]
        wanted += [WantedOutput(path, folder=True) for path in staging.output_dirs]
        try:
            answer = await self._send(member, sandbox, wanted)
        except RefusedError as error:
            answer = Answer(reason=STAGE_OUT_UPLOAD_FAILED, message=str(error))
        sizes = {sent.path: sent.size for sent in answer.sent}
        declared = [*staging.output_files, *staging.output_dirs]
        sandbox.outputs = [
            StagedOutput(name, object_name(output), sizes.get(output.path, -1), output.folder)
            for name, output in zip(declared, wanted, strict=True)
        ]
        sandbox.stage_out = self._chance.monotonic() - begun
        if answer.reason:
            raise FailedError(answer.reason, answer.message)

    async def _send(self, member: Member, sandbox: Sandbox, wanted: list[WantedOutput]) -> Answer:
        most = self._most(member.spec)
        if any(_PATTERN.intersection(output.path) for output in wanted if not output.folder):
            found = await self._run(
                member, sandbox, Find(folder=sandbox.home, most=most, outputs=wanted)
            )
            for output, path in zip(wanted, found.found, strict=False):
                output.path = path
        names = [object_name(output) for output in wanted]
        urls = await self._questions.places(member.held, names)
        for output, url in zip(wanted, urls, strict=True):
            output.url = url
        plan = StageOut(
            folder=sandbox.home,
            most=most,
            authority=self._authority,
            outputs=wanted,
            work=sandbox.work,
        )
        return await self._run(member, sandbox, plan)

    async def snapshot(self, member: Member, sandbox: Sandbox, path: str, url: str) -> str:
        """Pack a path of the running job and send it; return what went wrong, if anything."""
        shown = {bind.inside: bind.host for bind in sandbox.binds}
        folder, below = sandbox.home, path
        if path.startswith("/"):
            if path.rstrip("/") not in shown:
                return f"{path!r} is neither below the job's folder nor where an artifact is shown"
            folder, below = shown[path.rstrip("/")], "."
        work = tempfile.mkdtemp(prefix="snapshot-", dir=sandbox.work)
        plan = Snapshot(
            folder=folder, most=0, authority=self._authority, path=below, work=work, url=url
        )
        try:
            answer = await self._run(member, sandbox, plan, work)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return answer.message or answer.reason

    async def _run(
        self, member: Member, sandbox: Sandbox, plan: Plan, folder: str | None = None
    ) -> Answer:
        """Have a helper carry out a plan. Raises FailedError when it dies of it."""
        folder = folder or sandbox.work
        plan_path, answer_path = os.path.join(folder, PLAN), os.path.join(folder, ANSWER)
        _write_private(plan_path, msgspec.msgpack.encode(plan))
        env = {name: value for name, value in os.environ.items() if not name.startswith("GRIST")}
        env["GRISTMILL_MEMBER"] = member.env["GRISTMILL_MEMBER"]
        log_path = os.path.join(folder, "log")
        descriptor = os.open(log_path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            pid, ended = self._helpers.start([*_HELPER, folder], env, stderr=descriptor)
            member.note_process(pid)
            code = await ended
            os.unlink(plan_path)
            if code != 0:
                said = os.pread(descriptor, 2000, 0).decode(errors="replace").strip()
                log.warning("helper.failed", job=member.lease.job, code=code, said=said)
                last = said.rpartition("\n")[2] or f"exit code {code}"
                raise FailedError(_reason_of(plan), last)
            return _read_answer(answer_path)
        finally:
            os.close(descriptor)

    async def _remove(self, sandbox: Sandbox) -> None:
        # Not as a process of the member: what ends the member must not end this.
        words = ["/bin/rm", "-rf", "--one-file-system", "--", sandbox.folder]
        _, ended = self._helpers.start(words, {})
        await ended

    def _most(self, spec: JobSpec) -> int:
        return spec.resources.disk or MOST_WITHOUT_WISH


def _shown(sandbox: Sandbox, artifact: Artifact) -> Bind:
    path = sandbox.on_node(artifact.directory)
    if not os.path.exists(path):
        what = f"there is no {artifact.directory!r} in what was fetched"
        raise FailedError(ARTIFACT_UNPACK_FAILED, what)
    return Bind(path, artifact.inside.rstrip("/"))


def clear_away(folder: Path) -> None:
    """Remove what an earlier agent left, but nothing of storage that is still mounted there."""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as file:
        mounted = [line.split(" ")[1] for line in file]
    for place in mounted:
        if place.startswith(f"{folder}/"):
            subprocess.run(["/bin/umount", "--lazy", place], capture_output=True, check=False)
    left = [str(entry) for entry in folder.iterdir()]
    if left:
        words = ["/bin/rm", "-rf", "--one-file-system", "--", *left]
        subprocess.run(words, capture_output=True, check=False)


def object_name(output: WantedOutput) -> str:
    """Return the name under which an output is stored: its own path, a folder's as an archive."""
    path = os.path.normpath(output.path)
    return f"{path}.tgz" if output.folder else path


def _write_private(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)


def _read_answer(path: str) -> Answer:
    with open(path, "rb") as file:
        return msgspec.msgpack.decode(file.read(), type=Answer)


def _reason_of(plan: Plan) -> str:
    if isinstance(plan, StageIn):
        return COULD_NOT_START
    return IMAGE_UNAVAILABLE if isinstance(plan, Pull) else STAGE_OUT_UPLOAD_FAILED
