"""A server for one purpose, in a home of its own, of which no process stays behind."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec

from gristmill.agent.leftovers import kill_leftovers
from gristmill.agent.processes import Process, is_alive
from gristmill.client import Client, UnavailableError
from gristmill.client.location import read_server_file
from gristmill.domain.clock import Chance
from gristmill.engine.local import AgentCard

START_LIMIT = 60.0
"""Seconds in which even a slow machine has the server up."""

AGENT_LOOK = 0.05
STOP_LIMIT = 40.0
AGENT_STOP_LIMIT = 10.0

_READY = b"administrator's token"


class PrivateServer:
    """Runs while the ``with`` block does. home: a folder that nobody else uses.

    flags: further flags of ``gristmill serve``. Raises UnavailableError with the end of the
    server's log when it does not come up.
    """

    def __init__(
        self,
        home: Path,
        flags: Sequence[str] = (),
        environment: Mapping[str, str] = os.environ,
        chance: Chance = Chance(),  # noqa: B008 - frozen
    ) -> None:
        self.home = home
        self.log = home / "server.log"
        self.http = self.https = ""
        self._flags = list(flags)
        # Settings meant for the user's own server would lead this one astray.
        self._environment = {
            name: value for name, value in environment.items() if not name.startswith("GRISTMILL_")
        }
        self._chance = chance
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        assert self._process is not None
        return self._process.pid

    @property
    def card(self) -> AgentCard | None:
        """Who the agent is; None before one has started."""
        try:
            data = (self.home / "agent" / "agent.json").read_bytes()
        except FileNotFoundError:
            return None
        return msgspec.json.decode(data, type=AgentCard)

    def client(self, *, secure: bool = False) -> Client:
        """Return a client with all rights. secure: over HTTPS."""
        token = (self.home / "client.token").read_text().strip()
        return Client(self.https if secure else self.http, token, home=self.home)

    def await_agent(self, client: Client) -> None:
        """Return once the agent beside the server takes work. Raises UnavailableError."""
        deadline = self._chance.monotonic() + START_LIMIT
        while not any(agent.state == "online" for agent in client.agents()):
            if self._chance.monotonic() > deadline:
                raise UnavailableError(f"no agent came up; see {self.home / 'agent' / 'agent.log'}")
            time.sleep(AGENT_LOOK)

    def wait(self) -> int:
        """Return the server's exit code once it has ended."""
        assert self._process is not None
        return self._process.wait()

    def stop(self) -> None:
        """End the server, its jobs and its agent, whatever state they are in."""
        if self._process is not None:
            _end(self._process)
        card = self.card
        if card is None:
            return
        _end_agent(card.process)
        kill_leftovers(card.node, lambda: False, self._chance)

    def _start(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = [sys.executable, "-m", "gristmill", "serve", "--home", str(self.home)]
        command += ["--http", "127.0.0.1:0", "--https", "127.0.0.1:0", "--stop-jobs", *self._flags]
        with self.log.open("ab") as log:
            # In a session of its own: a Ctrl-C is meant for us, and we stop it in order.
            self._process = subprocess.Popen(
                command, env=self._environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._process.stdout is not None
        with self._process.stdout as said:
            self._await_ready(said)
        note = read_server_file(self.home)
        assert note is not None
        self.http, self.https = note.http or "", note.https or ""

    def _await_ready(self, said: IO[bytes]) -> None:
        deadline = self._chance.monotonic() + START_LIMIT
        heard = b""
        while _READY not in heard or not heard.endswith(b"\n"):
            left = max(0.0, deadline - self._chance.monotonic())
            ready, _, _ = select.select([said], [], [], left)
            piece = os.read(said.fileno(), 4096) if ready else b""
            if not piece:
                tail = self.log.read_text(errors="replace")[-2000:].strip()
                raise UnavailableError(f"the server did not start; the end of its log:\n{tail}")
            heard += piece


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _end_agent(agent: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(agent.pid)
        try:
            # Asked after opening: from here on the descriptor can mean no other process.
            if not is_alive(agent):
                return
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            if not select.select([descriptor], [], [], AGENT_STOP_LIMIT)[0]:
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                select.select([descriptor], [], [], AGENT_STOP_LIMIT)
        finally:
            os.close(descriptor)
