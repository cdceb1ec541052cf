"""Real servers in processes of their own, and sure ways to be rid of them afterwards.

``start_server`` returns when the server answers. A server that was killed or stopped can be
restarted on the same ports; ``close`` leaves no process and no open connection behind, whatever
the test did to either. Its agent lives in a session of its own and is cleared away too.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx2
import msgspec

from gristmill.agent.processes import (
    Process,
    all_pids,
    environ_marker,
    is_alive,
    read_file,
    read_stat,
)
from gristmill.client import Client
from gristmill.client.models import JobView
from gristmill.engine.local import AgentCard
from tests.e2e.agents import FarAgent, end_agent, read_card

GRISTMILL = [sys.executable, "-c", "from gristmill.cli.main import main; main()"]

LIMIT = 60.0
"""Seconds that anything may take on a slow and loaded machine."""

LOOK = 0.02
"""Seconds between looks at what cannot be awaited."""

_STARTED = b"administrator's token"


class ServerDiedError(AssertionError):
    """The server ended instead of starting; holds its log."""


def environment(**more: str) -> dict[str, str]:
    """Return this process's environment without settings of Gristmill, and with more."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRISTMILL_")}
    return {**kept, "NO_PROXY": "127.0.0.1,localhost", **more}


def eventually(check: Callable[[], object], limit: float = LIMIT, what: str = "") -> None:
    """Look until check returns something true; for what no event tells."""
    deadline = time.monotonic() + limit
    while not check():
        assert time.monotonic() < deadline, f"not within {limit:g} s: {what or check}"
        time.sleep(LOOK)


def wait_for_state(client: Client, job: int, *states: str, limit: float = LIMIT) -> JobView:
    """Return the job once it is in one of the states; fails when it ends in another."""
    deadline = time.monotonic() + limit
    while (view := client.get(job)).state not in states:
        assert not view.ended, f"job {job} is {view.state} ({view.reason}), not {states}"
        assert time.monotonic() < deadline, f"job {job} is {view.state} after {limit:g} s"
        time.sleep(LOOK)
    return view


def processes_of_node(node: str) -> list[int]:
    """Ids of living processes that carry the marker of a member of this node."""
    return [
        pid
        for pid in all_pids()
        if (environ_marker(pid) or "").startswith(f"{node}/") and read_stat(pid) is not None
    ]


def processes_with(text: str) -> list[int]:
    """Ids of living processes, other than this one, that have the text in their command line."""
    found = []
    for pid in all_pids():
        with contextlib.suppress(OSError):
            words = read_file(f"/proc/{pid}/cmdline")
            if text.encode() in words and pid != os.getpid() and read_stat(pid) is not None:
                found.append(pid)
    return found


@dataclass
class RunningServer:
    """A server process and what belongs to it.

    url_http, url_https: empty while that listener is off. log: file of what it wrote.
    variables: for its environment. command: how ``gristmill`` is started.
    """

    home: Path
    flags: tuple[str, ...]
    log: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    command: Sequence[str] = tuple(GRISTMILL)
    url_http: str = ""
    url_https: str = ""
    process: "subprocess.Popen[bytes]" = field(init=False)
    _clients: list[Client] = field(default_factory=list)
    _nodes: set[str] = field(default_factory=set)

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        return self.process.pid

    @property
    def token(self) -> str:
        """The administrator's token."""
        return (self.home / "client.token").read_text().strip()

    @property
    def agent(self) -> Process:
        """The process of the agent beside the server; waits for one that is just starting."""
        found: list[AgentCard] = []

        def look() -> bool:
            card = read_card(self.home)
            found[:] = [card] if card is not None and is_alive(card.process) else []
            return bool(found)

        eventually(look, what="an agent beside the server")
        self._nodes.add(found[0].node)
        return found[0].process

    @property
    def node(self) -> str:
        """The id that the agent's markers begin with."""
        card = read_card(self.home)
        assert card is not None, "no agent has ever started here"
        return card.node

    def client(self, token: str | None = None, *, patience: float = 30.0) -> Client:
        """Return a new client of this server, closed together with it.

        patience: seconds for which it waits for a server that went away.
        """
        url = self.url_http or self.url_https
        made = Client(url, token or self.token, home=self.home, patience=patience)
        self._clients.append(made)
        return made

    def request(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Send one plain request as the administrator. options: as httpx2.request takes them."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        url = f"{self.url_http}{path}"
        return httpx2.request(method, url, headers=headers, timeout=LIMIT, **options)

    def start(self) -> None:
        """Start a process and return once it answers."""
        self.launch()
        self._await_start()
        note = msgspec.json.decode((self.home / "server.json").read_bytes())
        self.url_http, self.url_https = note["http"] or "", note["https"] or ""

    def launch(self) -> None:
        """Start a process and return at once."""
        words = ["serve", "--home", str(self.home), *self._addresses(), *self.flags]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, *words], env=environment(**self.variables),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip

    def _addresses(self) -> list[str]:
        """Ports of its own choice at first, the same ones after."""
        words = []
        for name, url in (("--http", self.url_http), ("--https", self.url_https)):
            if name not in self.flags:
                words += [name, f"127.0.0.1:{url.rpartition(':')[2]}" if url else "127.0.0.1:0"]
        return words

    def _await_start(self) -> None:
        assert self.process.stdout is not None
        deadline = time.monotonic() + LIMIT
        said = b""
        while _STARTED not in said:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, left))
            piece = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            if not piece:
                self.kill9()
                raise ServerDiedError(f"no start: {said!r}\n{self.log.read_text()[-4000:]}")
            said += piece

    def kill9(self) -> None:
        """Kill the server, and it alone, at once."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Stop the server as an administrator would; return its exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: int) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(LIMIT)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def restart(self) -> None:
        """Start again what was stopped or killed, on the same ports."""
        self.start()

    @contextlib.contextmanager
    def far_agent(self, home: Path, *flags: str) -> Iterator[FarAgent]:
        """An agent as on another machine: a home of its own, HTTPS, a token for agents only."""
        token = self.client().create_token("far", scopes=["agent"]).token
        words = ["agent", "--home", str(home), "--url", self.url_https, "--token", token]
        words += ["--ca-file", str(self.home / "ca.pem"), *flags]
        with home.with_name(f"{home.name}.log").open("ab") as log:
            process = subprocess.Popen(
                [*GRISTMILL, *words], env=environment(), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield FarAgent(home, process)
        finally:
            process.kill()
            process.wait()
            end_agent(home)

    def kill9_agent(self) -> None:
        """Kill the agent, and it alone, at once."""
        agent = self.agent
        os.kill(agent.pid, signal.SIGKILL)
        eventually(lambda: not is_alive(agent), what="the agent's end")

    def check_logs(self) -> None:
        """Fail when the server or its agent met something that nobody had thought of."""
        for log in (self.log, self.home / "agent" / "agent.log"):
            said = log.read_text(errors="replace") if log.exists() else ""
            before, found, after = said.partition("Traceback")
            assert not found, f"{log}: {before[-300:]}{found}{after[:6000]}"

    def close(self) -> None:
        """End everything: clients, server, agent, and what jobs left."""
        for client in self._clients:
            client.close()
        self.kill9()
        end_agent(self.home, self._nodes)


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A new folder whose path leaves room for a unix socket's name; removed with its content."""
    with tempfile.TemporaryDirectory(prefix="gm-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def start_server(
    home: Path,
    *flags: str,
    variables: Mapping[str, str] = MappingProxyType({}),
    command: Sequence[str] = tuple(GRISTMILL),
) -> RunningServer:
    """Start a server that logs to a file beside its home; the caller closes it.

    flags: as for ``gristmill serve``; free ports are chosen where they name none.
    variables: for its environment. command: how ``gristmill`` is started.
    """
    log = home.with_name(f"{home.name}.log")
    server = RunningServer(home, ("--agent-linger", "20s", *flags), log, variables, command)
    try:
        server.start()
    except BaseException:
        end_agent(home)
        raise
    return server
