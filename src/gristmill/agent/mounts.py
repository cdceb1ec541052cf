"""Remote file systems of members: mounted before the first command, gone before the report.

Each target is mounted by s3fs as a helper process. A target that may be written to, and targets
that share one folder, lie hidden below an overlay: what the job writes stays on this machine, and
is brought to the store only when the job has succeeded.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from gristmill.agent.helpers import Helper, MemberHelpers
from gristmill.agent.member import Member
from gristmill.agent.mount_notes import (
    Note,
    clear_leftovers,
    remove_tree,
    unmount_all,
    write_note,
)
from gristmill.agent.mount_table import mount_overlay, mounted
from gristmill.agent.remote import Access, RemoteError, find_access, parse_place
from gristmill.agent.s3_client import client_variables, client_words
from gristmill.agent.steps import resolve_home
from gristmill.domain.clock import Chance
from gristmill.domain.job import Mount, MountTarget
from gristmill.domain.outcome import UPLOAD_FAILED

PATIENCE = 120.0
"""Seconds a store may take to answer for the first time."""

LAST_WORDS = 5.0
"""Seconds the client of a folder that is no longer mounted has to leave."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.2
_TOLD = 2_000
"""Characters of what a helper said that go into a message."""


log = structlog.get_logger()


class MountError(Exception):
    """A remote file system cannot be shown, or changes cannot be brought there; tells why."""


@dataclass
class MemberMounts:
    """What is mounted for one member.

    place: a folder for all that is needed meanwhile. uploads: changes and where they belong.
    made: folders that are to go again when nothing is in them. task: mounts, and later unmounts.
    """

    place: str
    note: Note = field(default_factory=Note)
    clients: list[Helper] = field(default_factory=list)
    uploads: list[tuple[str, str]] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    task: "asyncio.Task[None] | None" = None
    upload: Helper | None = None
    ending: bool = False

    def note_point(self, point: str) -> None:
        """Note on disk what is about to be mounted."""
        self.note.points.append(point)
        write_note(self.place, self.note)


class Mounts:
    """Mounts and unmounts, one task a member. folder: for what is noted and hidden."""

    def __init__(self, folder: Path, helpers: MemberHelpers, chance: Chance) -> None:
        self._folder, self._helpers, self._chance = folder, helpers, chance

    def clear_leftovers(self) -> None:
        """Clear away what a dead agent left. Blocks; nothing may be mounted yet."""
        clear_leftovers(self._folder)

    def begin(self, member: Member, then: Callable[[Member, str], None]) -> None:
        """Mount what a member asks for; call then with what went wrong, empty when nothing did."""
        job, attempt, rank = member.key
        mounts = MemberMounts(str(self._folder / f"{job}.{attempt}.{rank}"))
        member.mounts = mounts
        mounts.task = asyncio.create_task(self._begin(member, mounts, then))

    def end(self, member: Member, then: Callable[[Member], None]) -> None:
        """Unmount; of a member that succeeded bring its changes to the store. Then call then.

        Told a second time, it gives up what it is uploading when the member is to end.
        """
        mounts = member.mounts
        assert mounts is not None
        if not mounts.ending:
            mounts.ending = True
            mounts.task = asyncio.create_task(self._end(member, mounts, mounts.task, then))
        elif member.cause and mounts.upload is not None:
            mounts.upload.signal(signal.SIGKILL)

    async def _begin(
        self, member: Member, mounts: MemberMounts, then: Callable[[Member, str], None]
    ) -> None:
        problem = ""
        try:
            for number, mount in enumerate(member.spec.mounts):
                await self._show(member, mounts, mount, number)
        except (MountError, RemoteError, OSError) as error:
            problem = str(error)
        except Exception as error:
            # Whatever it is, the member must not wait for ever.
            log.exception("mount.failed", job=member.lease.job)
            problem = f"unexpected: {error!r}"
        then(member, problem)

    async def _end(
        self,
        member: Member,
        mounts: MemberMounts,
        beginning: "asyncio.Task[None] | None",
        then: Callable[[Member], None],
    ) -> None:
        if beginning is not None and not beginning.done():
            beginning.cancel()
            await asyncio.wait([beginning])
            for client in mounts.clients:
                client.signal(signal.SIGKILL)
        try:
            if member.succeeded:
                await self._upload(member, mounts)
        except (MountError, OSError) as error:
            if not member.cause:
                member.cause, member.message = UPLOAD_FAILED, str(error)
        try:
            await self._take_down(mounts)
        finally:
            member.mounts = None
            then(member)

    async def _show(self, member: Member, mounts: MemberMounts, mount: Mount, number: int) -> None:
        """Make one mount: a folder with what its targets hold."""
        point = _below(member.cwd, mount.path or ".")
        _make_point(point, mounts)
        os.makedirs(mounts.place, mode=0o700, exist_ok=True)
        if len(mount.targets) == 1 and not mount.targets[0].write:
            await self._mount(member, mounts, mount, mount.targets[0], point)
            return
        hidden = _hidden_folder(member, mounts, mount, number)
        layers = []
        for index, target in enumerate(mount.targets):
            layers.append(_made(hidden, f"target{index}"))
            await self._mount(member, mounts, mount, target, layers[-1])
        written = next((index for index, one in enumerate(mount.targets) if one.write), None)
        changes = None if written is None else _made(hidden, "changes")
        work = None if written is None else _made(hidden, "work")
        mounts.note_point(point)
        try:
            await asyncio.to_thread(mount_overlay, point, layers, changes, work)
        except OSError as error:
            mounts.note.points.remove(point)
            raise MountError(
                f"several targets, or one to write to, need an overlay at {point}, and the kernel "
                f"refuses it ({error.strerror}); is the agent root, on a plain file system?"
            ) from error
        if written is not None and changes is not None:
            mounts.uploads.append((changes, layers[written]))

    async def _mount(
        self, member: Member, mounts: MemberMounts, mount: Mount, target: MountTarget, point: str
    ) -> None:
        """Have a client show one target at a folder, and wait until it does."""
        place = parse_place(target.path)
        access = find_access(target.profile, member.spec.env, resolve_home("~"))
        cache = _cache(member, mounts, mount, target)
        words = client_words(place, point, access, mount, target, cache)
        mounts.note_point(point)
        told = os.path.join(mounts.place, f"client{len(mounts.clients)}.log")
        client = self._start(member, words, client_variables(access), told, verbose=mount.verbose)
        mounts.clients.append(client)
        deadline = self._chance.monotonic() + PATIENCE
        pause = _FIRST_PAUSE
        while point not in mounted():
            if client.ended.done() or self._chance.monotonic() > deadline:
                raise MountError(f"{target.path} cannot be mounted: {_last_words(told)}")
            await asyncio.wait([client.ended], timeout=pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        await self._until_it_answers(client, target, point, told)

    async def _until_it_answers(
        self, client: Helper, target: MountTarget, point: str, told: str
    ) -> None:
        """Wait for the first answer: only then has the client found the bucket."""
        look = asyncio.ensure_future(asyncio.to_thread(os.listdir, point))
        both: list[asyncio.Future[Any]] = [look, client.ended]
        await asyncio.wait(both, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not look.done():
            # The end of the client also ends the thread that waits for it.
            client.signal(signal.SIGKILL)
        try:
            await asyncio.wait_for(look, LAST_WORDS)
        except (OSError, TimeoutError) as error:
            await asyncio.wait([client.ended], timeout=LAST_WORDS)
            raise MountError(f"{target.path} cannot be mounted: {_last_words(told)}") from error

    def _start(
        self,
        member: Member,
        words: list[str],
        variables: Mapping[str, str],
        told: str,
        *,
        verbose: bool = False,
    ) -> Helper:
        """Start a helper that speaks into a file; verbose: into the job's own output."""
        job, attempt, rank = member.key
        if verbose and member.slot is not None:
            output = os.dup(member.slot.stderr.descriptor)
        else:
            output = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            return self._helpers.start(f"{job}.{attempt}.{rank}", words, variables, output)
        except FileNotFoundError as error:
            raise MountError(f"no FUSE client for S3 ({words[0]}) is on the node") from error
        finally:
            os.close(output)

    async def _upload(self, member: Member, mounts: MemberMounts) -> None:
        """Bring what was written to where it belongs. Raises MountError."""
        for changes, folder in mounts.uploads:
            told = os.path.join(mounts.place, "upload.log")
            words = [sys.executable, "-m", "gristmill.agent.mirror", changes, folder]
            mounts.upload = self._start(member, words, client_variables(Access()), told)
            if await mounts.upload.ended:
                raise MountError(f"{_last_words(told)}")

    async def _take_down(self, mounts: MemberMounts) -> None:
        """Unmount everything and remove what is not needed any more."""
        await asyncio.to_thread(unmount_all, mounts.note.points)
        for client in mounts.clients:
            await asyncio.wait([client.ended], timeout=LAST_WORDS)
            client.signal(signal.SIGKILL)
            await client.ended
        # One that was only just mounting may have done so after the first look.
        await asyncio.to_thread(unmount_all, mounts.note.points)
        for folder in (*mounts.note.folders, mounts.place):
            await asyncio.to_thread(remove_tree, folder)
        for folder in reversed(mounts.made):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def _below(folder: str, path: str) -> str:
    """Return a path that may be relative to a folder."""
    return os.path.normpath(os.path.join(folder, resolve_home(path)))


def _make_point(point: str, mounts: MemberMounts) -> None:
    """Make sure that there is an empty folder to mount at. Raises MountError."""
    if point in mounted():
        raise MountError(f"something is mounted at {point} already")
    missing = point
    made = []
    while not os.path.lexists(missing):
        made.append(missing)
        missing = os.path.dirname(missing)
    os.makedirs(point, exist_ok=True)
    mounts.made += reversed(made)
    if os.listdir(point):
        raise MountError(f"the folder {point} is not empty")


def _hidden_folder(member: Member, mounts: MemberMounts, mount: Mount, number: int) -> str:
    """Make a folder for the layers of a mount: below its base for caches if it names one."""
    if not mount.cache_base:
        return _made(mounts.place, f"mount{number}")
    base = _below(member.cwd, mount.cache_base)
    folder = os.path.join(base, f".gristmill-{os.path.basename(mounts.place)}-{number}")
    mounts.note.folders.append(folder)
    write_note(mounts.place, mounts.note)
    os.makedirs(folder, mode=0o700)
    return folder


def _cache(member: Member, mounts: MemberMounts, mount: Mount, target: MountTarget) -> str:
    """Return the folder where a target's files are kept, empty when they are not."""
    if not target.cache:
        return ""
    if not target.cache_dir:
        return _made(mounts.place, f"cache{len(mounts.clients)}")
    folder = _below(_below(member.cwd, mount.cache_base or "."), target.cache_dir)
    os.makedirs(folder, exist_ok=True)
    return folder


def _made(folder: str, name: str) -> str:
    path = os.path.join(folder, name)
    os.makedirs(path, mode=0o700)
    return path


def _last_words(path: str) -> str:
    """Return what a helper said last, its chatter left out."""
    try:
        text = Path(path).read_text(errors="replace")
    except OSError:
        text = ""
    lines = [line for line in text.splitlines() if line.strip() and " [INF] " not in line]
    return "; ".join(lines)[-_TOLD:] or "its client says nothing"
