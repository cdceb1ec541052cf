"""What docker's command line, and podman's, which speaks the same, tell about containers."""

import asyncio
import os
import signal
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from shutil import which
from typing import NamedTuple

import msgspec

from gristmill.agent.helpers import MemberHelpers

PATIENCE = 30.0
"""Seconds that a client may take for one question."""

_PROGRAMS = ("docker", "podman")
_THEIR_OWN = ("DOCKER_", "CONTAINER", "XDG_", "PATH", "HOME", "TMPDIR")
_MOST_SAID = 16 << 20


class ClientError(Exception):
    """A client did not do what it was told; says what it said."""


class Found(NamedTuple):
    """A container that runs. pid: of its first process, as its service sees it."""

    id: str
    pid: int
    started: datetime


class _State(msgspec.Struct):
    running: bool = msgspec.field(name="Running", default=False)
    pid: int = msgspec.field(name="Pid", default=0)
    started: str = msgspec.field(name="StartedAt", default="")


class _Inspected(msgspec.Struct):
    id: str = msgspec.field(name="Id")
    state: _State = msgspec.field(name="State", default_factory=_State)


_decode_inspected = msgspec.json.Decoder(list[_Inspected]).decode


def read_inspected(said: bytes) -> list[Found]:
    """Return the running containers that ``inspect`` told of; one that is gone is no error."""
    try:
        told = _decode_inspected(said)
        return [
            Found(each.id, each.state.pid, datetime.fromisoformat(each.state.started))
            for each in told
            if each.state.running
        ]
    except (msgspec.DecodeError, ValueError):
        return []


def variables_for(env: Mapping[str, str]) -> dict[str, str]:
    """Return those variables of a job that decide which service its clients speak to."""
    return {name: value for name, value in env.items() if name.startswith(_THEIR_OWN)}


class Client(NamedTuple):
    """A program on the node, with the variables it is run with. serves: the member."""

    program: str
    variables: Mapping[str, str]
    serves: str
    helpers: MemberHelpers

    async def running(self) -> list[str]:
        """Return the ids of all containers that run. Raises ClientError."""
        said = await self._ask("ps", "--quiet", "--no-trunc")
        return said.decode(errors="replace").split()

    async def inspect(self, names: Iterable[str]) -> list[Found]:
        """Return those of the named containers that run; names may be ids."""
        return read_inspected(await self._ask("inspect", "--type=container", "--", *names))

    async def stop(self, container: str, grace: float) -> None:
        """End a container for good, whatever its restart policy says. Raises ClientError."""
        await self._ask("stop", "-t", str(round(grace)), "--", container, patience=grace)

    async def _ask(self, *words: str, patience: float = 0.0) -> bytes:
        """Run the client; return what it said. Raises ClientError when it said nothing good."""
        output, errors = os.memfd_create("said"), os.memfd_create("errors")
        try:
            call = [self.program, *words]
            helper = self.helpers.start(self.serves, call, self.variables, output, errors)
            try:
                async with asyncio.timeout(PATIENCE + patience):
                    code = await asyncio.shield(helper.ended)
            finally:
                helper.signal(signal.SIGKILL)
        except TimeoutError as error:
            raise ClientError(f"{self.program} does not answer") from error
        except (OSError, ValueError) as error:
            raise ClientError(f"{self.program}: {error}") from error
        else:
            said = os.pread(output, _MOST_SAID, 0)
            if code != 0 and not said.strip():
                raise ClientError(os.pread(errors, 2_000, 0).decode(errors="replace").strip())
            return said
        finally:
            os.close(output)
            os.close(errors)


def clients_on(path: str) -> Iterator[str]:
    """Find the programs along a PATH."""
    for program in _PROGRAMS:
        found = which(program, path=path)
        if found is not None:
            yield os.path.abspath(found)
