"""The local engine: keeps one agent running beside the server.

The agent is nobody's child for long: it survives the server, and the next server adopts it. It
holds a lock for its life, which tells whether there is one, and leaves a card that tells which
process it is.
"""

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec
import structlog

from gristmill.agent.processes import Process, is_alive
from gristmill.domain.clock import Chance

log = structlog.get_logger()

STEADY = 10.0
"""Seconds an agent must have lived for its death not to count as failing at once."""

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 30.0
"""Seconds before an agent is started again after it failed at once; doubled each time."""

CARD_PATIENCE = 5.0
CARD_LOOK = 0.05
"""Seconds to wait, and between looks, for the card of an agent that holds the lock."""

LONGEST_LOG = 16 * 1024 * 1024

# fmt: off
_PASSED_ON = frozenset({
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "TMPDIR", "PYTHONPATH",
    "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DOCKER_HOST", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "ALL_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR",
})
# fmt: on
_PASSED_ON_PREFIXES = (
    "LC_",
    "XDG_",
    "CUDA_",
    "NVIDIA_",
    "CONTAINERS_",
    "APPTAINER_",
    "AWS_",
    "FSSPEC_",
)

OnAgentDead = Callable[[str], Awaitable[None]]


class AgentCard(msgspec.Struct, frozen=True):
    """HOME/agent/agent.json. process_start: tick after boot, as in the process table."""

    pid: int
    process_start: int
    node: str
    instance: str
    version: str

    @property
    def process(self) -> Process:
        """The agent's process, beyond doubt."""
        return Process(self.pid, self.process_start)


class LocalEngine:
    """Keeps an agent alive until told to stop; learns of its death at once, without polling."""

    def __init__(
        self,
        home: Path,
        command: Sequence[str],
        on_agent_dead: OnAgentDead,
        chance: Chance,
        environment: Mapping[str, str],
    ) -> None:
        """Take what start needs.

        command: starts an agent for home, which takes HOME/agent/agent.lock and writes the card.
        on_agent_dead: called with the node's id after each death, before a new agent starts.
        environment: of the server; the agent gets the part that programs need.
        """
        self._folder = home / "agent"
        self._command = list(command)
        self._on_agent_dead = on_agent_dead
        self._chance = chance
        self._environment = lean_environment(environment)
        self._watched: _Watched | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False

    @property
    def agent_pid(self) -> int | None:
        """The process id of the agent, None while there is none."""
        return self._watched.pid if self._watched else None

    async def start(self) -> None:
        """Adopt the agent that runs, or start one; return once it is watched."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._watched = await self._adopt()
        if self._watched is None:
            await self._tell_dead()
            self._watched = self._spawn()
        self._task = asyncio.create_task(self._keep(self._watched))

    async def stop(self, *, stop_agent: bool, grace: float) -> bool:
        """Stop watching; return whether no agent is left.

        stop_agent: send it SIGTERM and give it grace seconds; otherwise it goes on.
        """
        self._stopping = True
        if stop_agent and self._watched is not None and self._task is not None:
            self._watched.terminate()
            await asyncio.wait([self._task], timeout=grace)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        return self._watched is None

    async def _keep(self, watched: "_Watched") -> None:
        pause = FIRST_PAUSE
        while True:
            began = self._chance.monotonic()
            try:
                status = await watched.ended()
            finally:
                watched.close()
            self._watched = None
            log.warning("agent.ended", pid=watched.pid, status=status)
            if self._stopping:
                return
            await self._tell_dead()
            if self._chance.monotonic() - began >= STEADY:
                pause = FIRST_PAUSE
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            self._watched = watched = await self._adopt() or await self._spawn_stubbornly()

    async def _tell_dead(self) -> None:
        """Have what a dead agent left behind cleared away; without a card there was none."""
        card = self._read_card()
        if card is None:
            return
        try:
            await self._on_agent_dead(card.node)
        except Exception:
            # The next agent kills leftovers too, and its registration settles the jobs.
            log.exception("agent.cleanup_failed", node=card.node)

    async def _adopt(self) -> "_Watched | None":
        """Watch the agent that holds the lock, if one does."""
        deadline = self._chance.monotonic() + CARD_PATIENCE
        while self._lock_is_held() and self._chance.monotonic() < deadline:
            card = self._read_card()
            watched = _watch(card.process) if card else None
            if card and watched:
                log.info("agent.adopted", pid=card.pid, version=card.version)
                return watched
            await asyncio.sleep(CARD_LOOK)
        return None

    def _lock_is_held(self) -> bool:
        descriptor = os.open(
            self._folder / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def _read_card(self) -> AgentCard | None:
        try:
            data = (self._folder / "agent.json").read_bytes()
            return msgspec.json.decode(data, type=AgentCard)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("agent.card_unreadable", error=str(error))
            return None

    async def _spawn_stubbornly(self) -> "_Watched":
        """Start an agent, again and again while the machine has no room for a process."""
        while True:
            try:
                return self._spawn()
            except OSError as error:
                log.warning("agent.start_failed", error=str(error))
                await asyncio.sleep(LONGEST_PAUSE)

    def _spawn(self) -> "_Watched":
        """Start an agent in a session of its own, so that no signal meant for us reaches it."""
        path = self._folder / "agent.log"
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > LONGEST_LOG:
                path.rename(path.with_suffix(".log.1"))
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawnp(
            self._command[0],
            self._command,
            self._environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(path), append, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
        )
        log.info("agent.started", pid=pid)
        return _Watched(pid, os.pidfd_open(pid), ours=True)


class _Watched:
    """A living agent, held by a descriptor that becomes readable when it ends."""

    def __init__(self, pid: int, descriptor: int, *, ours: bool) -> None:
        self.pid = pid
        self._descriptor = descriptor
        self._ours = ours

    async def ended(self) -> int | None:
        """Wait for the end; return the exit code, None when it was no child of ours."""
        loop = asyncio.get_running_loop()
        readable = loop.create_future()
        loop.add_reader(self._descriptor, _settle, readable)
        try:
            await readable
        finally:
            loop.remove_reader(self._descriptor)
        return self._reap() if self._ours else None

    def _reap(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def terminate(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGTERM)

    def close(self) -> None:
        os.close(self._descriptor)


def _watch(process: Process) -> _Watched | None:
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    # Asked after opening: from here on the descriptor can mean no other process.
    if is_alive(process):
        return _Watched(process.pid, descriptor, ours=False)
    os.close(descriptor)
    return None


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


def lean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what programs need of an environment, and no settings or secrets of the server."""
    return {
        name: value
        for name, value in environment.items()
        if name.upper() in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }
