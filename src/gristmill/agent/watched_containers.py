"""Containers that members have docker or podman start: found, measured, and ended with them.

Such a container may be a child of its service and not of the job. Once it is found, its first
process is made known as one of the member's, and from then on the sampler counts its tree and
the ending ends it; the client is only needed to find it, and to stop it for good.
"""

import asyncio
import contextlib
import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from gristmill.agent.container_clients import (
    Client,
    ClientError,
    Found,
    clients_on,
    variables_for,
)
from gristmill.agent.ending import processes_of
from gristmill.agent.helpers import MemberHelpers
from gristmill.agent.member import Member
from gristmill.agent.processes import environ_marker, identify, is_namespace_init, read_stat
from gristmill.agent.sandbox import FailedError
from gristmill.domain.outcome import CONTAINERS_UNREACHABLE

FIRST = "?"
"""Stands for the first container that starts after the job."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 4.0
"""Seconds between two looks for a container that is not there yet; each look costs a process."""

_ID = re.compile(rb"\s*([0-9a-f]{12,64})\s*\Z")
_MOST_OF_ID = 200

log = structlog.get_logger()


class Note(msgspec.Struct):
    """What is on disk about a watch, so that the next agent can end what a dead one watched.

    before: containers that ran before the member. found: the container, and by which program.
    """

    wanted: str
    cwd: str
    programs: list[str]
    variables: dict[str, str]
    before: list[str]
    found: str = ""
    by: str = ""


@dataclass(eq=False)
class Watched:
    """One member's container. client: the one that found it."""

    path: Path
    note: Note
    clients: list[Client]
    marker: str
    client: Client | None = None
    stopped: bool = False
    task: "asyncio.Task[None] | None" = field(default=None)

    async def stop(self, grace: float) -> None:
        """End the container, if it is known."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])
        if self.client is None:
            return
        self.stopped = True
        try:
            await self.client.stop(self.note.found, grace)
        except ClientError as error:
            log.info("container.not_stopped", container=self.note.found, error=str(error))

    async def finish(self, *, started: bool, ended_early: bool) -> None:
        """Make sure that no container of a member that is gone runs on; forget it then.

        ended_early: whether the agent ended the member. One that was to be the first and was
        not seen while the member ran could be anybody's, so only then it is looked for.
        """
        if started and not self.stopped and (ended_early or self.note.wanted != FIRST):
            await self.look()
            await self.stop(0)
        with contextlib.suppress(OSError):
            self.path.unlink()

    async def look(self) -> Found | None:
        """Find the container and note it down; None while it does not run."""
        for client in self.clients:
            try:
                found = await self._ask(client)
            except ClientError as error:
                log.info("container.not_found", wanted=self.note.wanted, error=str(error))
                continue
            if found is not None:
                self.client = client
                self.note.found, self.note.by = found.id, client.program
                self.write()
                return found
        return None

    def write(self) -> None:
        """Put the note into its place; it is readable by nobody else."""
        fresh = self.path.with_suffix(".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(msgspec.json.encode(self.note))
        fresh.rename(self.path)

    async def _ask(self, client: Client) -> Found | None:
        if self.note.wanted == FIRST:
            fresh = [each for each in await client.running() if each not in self.note.before]
            found = await client.inspect(fresh) if fresh else []
            return min(
                filter(self._may_be_ours, found), key=lambda each: each.started, default=None
            )
        name = _id_in_file(os.path.join(self.note.cwd, self.note.wanted))
        if not name and "/" in self.note.wanted:
            return None
        found = await client.inspect([name or self.note.wanted])
        return next((each for each in found if each.id not in self.note.before), None)

    def _may_be_ours(self, found: Found) -> bool:
        """Whether nobody else's member has started it, as far as the processes tell."""
        first = read_stat(found.pid)
        marker = environ_marker(first.parent) if first is not None else None
        return marker in (None, self.marker)


class WatchedContainers:
    """Watches, one task a member that asks for it. folder: for what is noted."""

    def __init__(self, folder: Path, helpers: MemberHelpers) -> None:
        self._folder, self._helpers = folder, helpers

    async def begin(self, member: Member) -> None:
        """Take note of what runs already, and look for the member's container from now on.

        Raises FailedError when no client works on this node.
        """
        spec, env = member.spec, member.env
        serves = ".".join(map(str, member.key))
        variables = variables_for(env)
        programs = list(clients_on(env.get("PATH", "")))
        note = Note(spec.watch_container, member.cwd, programs, variables, [])
        self._folder.mkdir(mode=0o700, exist_ok=True)
        watched = Watched(self._folder / serves, note, [], env["GRISTMILL_MEMBER"])
        problems = [] if programs else ["neither docker nor podman is on the node's PATH"]
        for client in self._clients(note, serves):
            try:
                note.before += await client.running()
                watched.clients.append(client)
            except ClientError as error:
                problems.append(f"{client.program}: {error}")
        if not watched.clients:
            raise FailedError(CONTAINERS_UNREACHABLE, "; ".join(problems))
        note.programs = [client.program for client in watched.clients]
        watched.write()
        member.container = watched
        watched.task = asyncio.create_task(_follow(member, watched))

    async def clear_leftovers(self) -> None:
        """End the containers of members that a dead agent watched."""
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir()):
            note = _read_note(path)
            if note is None:
                with contextlib.suppress(OSError):
                    path.unlink()
                continue
            watched = Watched(path, note, self._clients(note, path.name), marker="")
            watched.client = next(
                (each for each in watched.clients if each.program == note.by), None
            )
            await watched.stop(0)
            await watched.finish(started=True, ended_early=False)

    def _clients(self, note: Note, serves: str) -> list[Client]:
        return [Client(program, note.variables, serves, self._helpers) for program in note.programs]


async def _follow(member: Member, watched: Watched) -> None:
    """Look for the container until it is there, and count it as the member's then."""
    pause = _FIRST_PAUSE
    while True:
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
        found = await watched.look() if member.first_pid else None
        if found is None:
            continue
        first = identify(found.pid)
        # The number may be that of a service behind another process namespace, and anybody's here.
        if first is not None and is_namespace_init(found.pid):
            processes_of(member).known.add(first)
        return


def _id_in_file(path: str) -> str:
    """Return the container id that a file holds, empty when it does not (yet)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return ""
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return ""
        match = _ID.match(os.read(descriptor, _MOST_OF_ID))
        return match[1].decode() if match else ""
    finally:
        os.close(descriptor)


def _read_note(path: Path) -> Note | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Note)
    except (OSError, msgspec.DecodeError):
        return None
