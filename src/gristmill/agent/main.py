"""The life of an agent: start, adopt the past, work, leave."""

import asyncio
import fcntl
import gc
import os
import platform
import signal
import ssl
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog

from gristmill import __version__
from gristmill.agent.afterlife import Afterlife
from gristmill.agent.cgroups import detect
from gristmill.agent.config import AgentConfig, parse_arguments
from gristmill.agent.connection import Address, Connection, RefusedError
from gristmill.agent.data_workers import DataWorkers
from gristmill.agent.ending import Ending
from gristmill.agent.errands import Errands
from gristmill.agent.helpers import MemberHelpers
from gristmill.agent.inside import Inside
from gristmill.agent.journal import Journal, read_journal
from gristmill.agent.leftovers import kill_leftovers
from gristmill.agent.log import configure_logging
from gristmill.agent.mounts import Mounts
from gristmill.agent.network.networks import Networks
from gristmill.agent.node import measure, node_id, own_address
from gristmill.agent.processes import MARKER_VARIABLE, boot_id, process_start, set_subreaper
from gristmill.agent.pulse import Pulses
from gristmill.agent.questions import Questions
from gristmill.agent.runner import Runner
from gristmill.agent.runtimes import Runtimes
from gristmill.agent.sandboxes import Sandboxes
from gristmill.agent.slots import Keep, Scratch, Slots
from gristmill.agent.spawning import Helpers
from gristmill.agent.steps import base_environment
from gristmill.agent.usage import Sampler
from gristmill.agent.watch import Watch
from gristmill.agent.watched_containers import WatchedContainers
from gristmill.containers.engines import detect as detect_engine
from gristmill.containers.images import ImageStore
from gristmill.domain.clock import Chance
from gristmill.domain.errors import GristmillError, InvalidInputError
from gristmill.domain.outcome import AGENT_DIED, LOST
from gristmill.protocol.messages import PROTOCOL_VERSION, Finished, Held, Register

PRESENCE_CHECK = 1.0
"""Seconds between looks at whether the agent still has a reason to be."""

GARBAGE_THRESHOLDS = (10_000, 20, 20)
"""Ten thousand jobs make few cycles: look for some rarely."""

LAST_WORDS = 2.0
"""Seconds a leaving agent tries to have its last results acknowledged."""

log = structlog.get_logger()


class Agent:
    """One agent process."""

    def __init__(self, config: AgentConfig, chance: Chance) -> None:
        self._config, self._chance = config, chance
        self._folder = config.home / "agent"
        for folder in (self._folder, config.home / "outputs"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._take_lock()
        self._node = node_id(self._folder, chance)
        self._instance = chance.token(9)
        self._write_card()
        os.environ.pop(MARKER_VARIABLE, None)
        kill_leftovers(self._node, lambda: False, chance)
        self._cgroups = detect(self._node)
        self._runtimes = self._find_runtimes()
        self._journal = Journal(self._folder / "journal")
        sampler = Sampler(chance)
        address, token = _address(config), _token(config)
        helpers = Helpers()
        member_helpers = MemberHelpers(self._node, helpers)
        mounts = Mounts(self._folder / "mounts", member_helpers, chance)
        mounts.clear_leftovers()
        self._containers = WatchedContainers(self._folder / "containers", member_helpers)
        self._networks = Networks(member_helpers, wanted=config.bandwidth)
        questions = Questions(Connection(address, token), lambda: self._errands.who())
        sandboxes = Sandboxes(
            config.home / "sandboxes",
            runtimes=self._runtimes,
            helpers=helpers,
            questions=questions,
            chance=chance,
            authority=config.ca_file if config.url else _own_authority(config.home),
        )
        self._runner = Runner(
            node=self._node,
            instance=self._instance,
            capacity=measure(config),
            base_environment=base_environment(os.environ),
            slots=Slots(self._folder / "slots"),
            scratch=Scratch(config.home / "scratch"),
            journal=self._journal,
            runtimes=self._runtimes,
            mounts=mounts,
            ending=Ending(sampler, self._runtimes, chance, config.grace),
            chance=chance,
            outputs=str(config.home / "outputs"),
            keep=Keep(config.output_head, config.output_tail),
            helpers=helpers,
            sandboxes=sandboxes,
            containers=self._containers,
            networks=self._networks,
            on_change=lambda: self._errands.changed.set(),
        )
        pulses = Pulses(sampler, chance)
        self._watch = Watch(
            self._runner, self._cgroups, sampler, chance, config.output_limit, pulses
        )
        self._data = (
            DataWorkers(config, self._runner.bystanders, chance) if not config.url else None
        )
        self._errands = Errands(
            runner=self._runner,
            inside=Inside(
                runner=self._runner,
                runtimes=self._runtimes,
                helpers=helpers,
                sandboxes=sandboxes,
                questions=questions,
            ),
            journal=self._journal,
            introduce=self._introduce,
            address=address,
            token=token,
            chance=chance,
            samples=pulses.take,
        )
        self._adopt_past()
        self._afterlife = Afterlife(
            self._journal.unattended,
            member_helpers,
            base_environment(os.environ),
            self._fail_cut_off,
        )

    def _take_lock(self) -> int:
        descriptor = os.open(
            self._folder / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InvalidInputError(
                f"another agent already works for {self._config.home}", "home"
            ) from error
        return descriptor

    def _write_card(self) -> None:
        card = {
            "pid": os.getpid(),
            "process_start": process_start(os.getpid()),
            "node": self._node,
            "instance": self._instance,
            "version": __version__,
        }
        fresh = self._folder / "agent.json.new"
        fresh.write_bytes(msgspec.json.encode(card))
        fresh.rename(self._folder / "agent.json")

    def _find_runtimes(self) -> Runtimes:
        wanted = self._config.container_engine
        on_host = wanted == "host"
        engine = None if on_host else detect_engine(wanted)
        return Runtimes(ImageStore(self._config.home / "images"), engine, on_host=on_host)

    def _adopt_past(self) -> None:
        """Report what an earlier agent had ended, and fail what its death cut off."""
        path = self._folder / "journal"
        past = read_journal(path)
        self._journal.cut(past.size)
        for begun in past.cut_off:
            if begun.commands:
                self._journal.unattended.append(begun)
            else:
                self._fail_cut_off(begun)
        self._runner.finished.extend(past.results)
        if past.results:
            self._errands.changed.set()

    def _fail_cut_off(self, held: Held) -> None:
        result = _cut_off(held, self._chance.now())
        self._journal.ended(result)
        self._runner.finished.append(result)
        self._errands.changed.set()

    def _introduce(self) -> Register:
        config, runner = self._config, self._runner
        return Register(
            PROTOCOL_VERSION,
            self._node,
            self._instance,
            platform.node(),
            "127.0.0.1" if not config.url else own_address(),
            boot_id(),
            os.getpid(),
            float(process_start(os.getpid()) or 0),
            not config.url,
            runner.capacity,
            self._networks.labels | config.labels | (self._data.labels if self._data else {}),
            list(config.pools),
            self._runtimes.names,
            [self._cgroups.note] if self._cgroups.note else [],
            runner.held(),
            [*runner.ended(), *(Held(*_key(begun)) for begun in self._journal.unattended)],
        )

    async def run(self) -> int:
        """Work until there is no reason to; return the exit code."""
        set_subreaper()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGCHLD, self._runner.reap)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._errands.stopping.set)
        await self._containers.clear_leftovers()
        loops: list[Coroutine[Any, Any, None]] = [
            self._errands.keep_registered(),
            self._errands.ask(),
            self._errands.tell(),
            self._errands.upload(),
            self._watch.run(),
        ]
        if self._data is not None:
            self._data.open()
        tasks = [asyncio.create_task(each) for each in loops]
        afterlife = asyncio.create_task(self._afterlife.run())
        present = asyncio.create_task(self._stay())
        done, _ = await asyncio.wait([present, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in (present, afterlife, *tasks):
            task.cancel()
        for task in done:
            task.result()
        if self._data is not None:
            self._data.close()
        self._journal.close()
        self._cgroups.close()
        return 0

    async def _stay(self) -> None:
        """Return when the agent should leave."""
        while not self._errands.stopping.is_set():
            try:
                async with asyncio.timeout(PRESENCE_CHECK):
                    await self._errands.stopping.wait()
            except TimeoutError:
                if self._is_pointless():
                    return
        await self._finish_up()

    def _is_pointless(self) -> bool:
        runner, config = self._runner, self._config
        silence = self._chance.monotonic() - self._errands.last_contact
        if not self._folder.is_dir():
            runner.kill_all(LOST)
            return not runner.running
        if config.url and silence > config.fence_after:
            runner.kill_all(LOST)
        idle = not (runner.running or len(runner.waitlist) or self._journal.unattended)
        return idle and silence > config.linger

    async def _finish_up(self) -> None:
        """Told to leave: what has not begun goes back, what runs is finished first.

        Results that the server does not take now stay in the journal for the next agent.
        """
        self._runner.give_back()
        await self._runner.idle.wait()
        await self._errands.until_told(LAST_WORDS)


def _key(held: Held) -> tuple[int, int, int]:
    return held.job, held.attempt, held.rank


def _cut_off(held: Held, now: float) -> Finished:
    return Finished(
        held.job, held.attempt, held.rank, 0, False, None, AGENT_DIED, now, now, 0, "", 0, 0.0, []
    )


def _address(config: AgentConfig) -> Address:
    if not config.url:
        return Address(socket=str(config.home / "agent.sock"))
    parts = urlsplit(config.url)
    if parts.scheme != "https" or not parts.hostname:
        raise InvalidInputError(f"--url {config.url!r} is not https://HOST:PORT", "url")
    context = ssl.create_default_context(cafile=config.ca_file or None)
    return Address(host=parts.hostname, port=parts.port or 443, tls=context)


def _own_authority(home: Path) -> str:
    """Return the CA file of the server of this home, once there is one."""
    path = home / "ca.pem"
    return str(path) if path.exists() else ""


def _token(config: AgentConfig) -> str:
    if config.token:
        return config.token
    path: Path = config.home / "client.token"
    try:
        return path.read_text().strip()
    except FileNotFoundError as error:
        raise InvalidInputError(
            f"no token: give --token, or start a server in {config.home}", "token"
        ) from error


def main(arguments: list[str] | None = None) -> int:
    """Run an agent; return its exit code."""
    configure_logging()
    try:
        config = parse_arguments(sys.argv[1:] if arguments is None else arguments)
        try:
            agent = Agent(config, Chance())
        except OSError as error:
            # A full disk, say. Whoever started this agent tries again.
            print(f"gristmill agent: cannot start in {config.home}: {error}", file=sys.stderr)
            return 1
        # What is loaded by now stays: it need not be looked through for garbage again.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GARBAGE_THRESHOLDS)
        return asyncio.run(agent.run())
    except RefusedError as error:
        print(f"gristmill agent: the server refuses this agent: {error}", file=sys.stderr)
        return 4
    except GristmillError as error:
        print(f"gristmill agent: {error}", file=sys.stderr)
        return 2
