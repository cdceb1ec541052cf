"""Agents come, ask for work, report, fall silent and die."""

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from gristmill.domain.errors import ConflictError, NotFoundError
from gristmill.domain.state import HELD, JobState, Trigger
from gristmill.protocol.messages import (
    PROTOCOL_VERSION,
    Held,
    LeaseReply,
    LeaseRequest,
    Register,
    Registered,
    Report,
    ReportReply,
)
from gristmill.services.lost_agents import LostAgents, held_by
from gristmill.services.metrics.usage import Usages
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.failure import found_again
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.registry import LiveAgent, Registry, WorkRequest
from gristmill.services.queue.report import Reporter
from gristmill.services.reach import Reach
from gristmill.services.waiting import wait_for
from gristmill.store.agents import AgentRow, get_agents, put_agent, set_agent_state
from gristmill.store.database import Transaction
from gristmill.store.events import append_event

LONGEST_WAIT = 30.0
"""Seconds a lease request is held at most."""

SWEEPS_A_LIMIT = 4
"""How often within the limit of silence the agents are looked at."""

FORGOTTEN = "forgotten"
"""State of an agent that a person took off the list; it is back when it registers again."""

log = structlog.get_logger()


@dataclass(frozen=True)
class AgentRules:
    """How long agents may be silent.

    heartbeat: seconds between an agent's words. lost_after: silence after which its jobs are
    lost. fence_after: silence after which a far agent has ended its own jobs, so that they may
    run elsewhere.
    """

    heartbeat: float = 15.0
    lost_after: float = 60.0
    fence_after: float = 600.0


class AgentOverview(NamedTuple):
    """An agent; live: None while it is not connected; seen: epoch seconds of its last word."""

    row: AgentRow
    live: LiveAgent | None
    held: int
    seen: float


class Agents:
    """What agents may ask, and what happens when they no longer do."""

    def __init__(
        self,
        core: QueueCore,
        registry: Registry,
        rules: AgentRules,
        lost: LostAgents,
        usages: Usages,
        reach: Reach,
    ) -> None:
        self._core, self._registry, self._rules = core, registry, rules
        self._reporter = Reporter(core, registry)
        self._lost, self._usages, self._reach = lost, usages, reach

    async def register(self, message: Register) -> Registered:
        """Take an agent in, and settle what it holds against what the queue thinks it holds.

        Raises ConflictError when it speaks another version of the protocol.
        """
        if message.version != PROTOCOL_VERSION:
            raise ConflictError(
                f"the agent speaks protocol {message.version}, the server {PROTOCOL_VERSION}: "
                "install the same version of Gristmill on both"
            )
        row, settled = await self._core.database.write(lambda tx: self._take_in(tx, message))
        self._lost.returned(row.id)
        agent = self._registry.put(row, self._core.chance.monotonic())
        agent.kill.extend(settled.cancelled)
        agent.release.extend(settled.released)
        log.info("agent.registered", agent=row.id, node=message.node, held=len(message.held))
        return Registered(row.id, self._rules.heartbeat, settled.unknown, self._reach.for_jobs())

    def _take_in(self, tx: Transaction, message: Register) -> "tuple[AgentRow, _Settled]":
        now = self._core.chance.now()
        number, state = put_agent(tx, message, now)
        ledger = Ledger(self._core, tx, now)
        settled = self._settle(tx, ledger, number, message)
        ledger.close()
        append_event(tx, now, "agent.online", [], {"agent": number, "hostname": message.hostname})
        return _row(number, message, state, now), settled

    def _settle(self, tx: Transaction, ledger: Ledger, agent: int, message: Register) -> "_Settled":
        settled = _Settled([], [], [])
        held = message.held
        with_agent = {(item.job, item.attempt) for item in (*held, *message.ended)}
        gangs = {(job, attempt) for job, attempt, _ in tx.all("get_gangs_of_agent", agent=agent)}
        for head in held_by(tx, ledger, agent):
            if (head.id, head.attempt) not in with_agent:
                self._lost.settle(tx, ledger, head)
        by_id = {head.id: head for head in ledger.load(item.job for item in held)}
        for item in held:
            claimed = by_id.get(item.job)
            if (
                claimed is None
                or claimed.attempt != item.attempt
                or claimed.state not in HELD
                or (claimed.agent_id != agent and (item.job, item.attempt) not in gangs)
            ):
                settled.unknown.append(item)
            else:
                if claimed.state is JobState.LOST:
                    found_again(claimed)
                    target = JobState.RUNNING if claimed.started_at else JobState.RESERVED
                    ledger.move(claimed, Trigger.RECOVER, target)
                failed_gang = claimed.reason is not None
                if claimed.cancel_requested or failed_gang:
                    settled.cancelled.append(item)
                elif item.rank and _first_has_ended(tx, item):
                    settled.released.append(item)
        return settled

    async def lease(self, message: LeaseRequest) -> LeaseReply:
        """Return work or orders as soon as there are any, or nothing after the wait."""
        agent = self._seen(message.agent, message.instance)
        agent.free = message.free
        if agent.last_reply is not None and agent.last_reply[0] == message.number:
            return agent.last_reply[1]
        if not (
            agent.undelivered
            or agent.kill
            or agent.read
            or agent.wind_down
            or agent.release
            or agent.orders
            or agent.stop
            or agent.end_all
            or self._core.signals.closing
        ):
            request = WorkRequest(message.number, message.free, message.hot, asyncio.Event())
            self._registry.answer(agent, [])
            agent.request = request
            self._core.signals.work.set()
            await self._await_work(agent, request, min(message.wait, LONGEST_WAIT))
        leases, agent.undelivered = agent.undelivered, []
        reply = LeaseReply(
            leases,
            agent.kill,
            agent.read,
            agent.stop,
            agent.wind_down,
            agent.release,
            agent.orders,
            agent.end_all,
        )
        agent.end_all = False
        agent.kill, agent.read, agent.wind_down = [], [], []
        agent.release, agent.orders = [], []
        agent.last_reply = (message.number, reply)
        return reply

    def release(self) -> None:
        """Let every request for work return at once: the server stops."""
        for agent in self._registry.all():
            self._registry.answer(agent, [])

    async def _await_work(self, agent: LiveAgent, request: WorkRequest, wait: float) -> None:
        try:
            await wait_for(request.over, wait)
        finally:
            if agent.request is request:
                agent.request = None

    async def report(self, message: Report) -> ReportReply:
        """Record what happened; it is on disk when this returns."""
        agent = self._seen(message.agent, message.instance)
        agent.free = message.free
        if message.leaving:
            agent.draining = True
        drop: list[Held] = []
        if message.started or message.finished or message.returned or message.goals:
            drop = await self._reporter.report(message)
        if message.usages:
            await self._usages.take(message.usages)
        request = agent.request
        if request is not None and request.number == message.request:
            request.free, request.hot = message.free, message.hot
            self._core.signals.work.set()
        return ReportReply(drop)

    def _seen(self, number: int, instance: str) -> LiveAgent:
        agent = self._registry.get(number, instance)
        agent.seen = self._core.chance.monotonic()
        return agent

    async def overview(self) -> list[AgentOverview]:
        """Return every agent that registered and was not forgotten, with what is live of it."""

        def work(tx: Transaction) -> list[AgentOverview]:
            now, monotonic = self._core.chance.now(), self._core.chance.monotonic()
            views = []
            for row in get_agents(tx):
                if row.state == FORGOTTEN:
                    continue
                live = self._registry.find(row.id)
                seen = row.last_seen_at if live is None else now - (monotonic - live.seen)
                held = len(tx.all("get_held_by_agent", agent=row.id))
                views.append(AgentOverview(row, live, held, seen))
            return views

        return await self._core.database.read(work)

    async def hosts(self) -> dict[int, AgentRow]:
        """Return every agent that ever registered, by its number."""
        return {row.id: row for row in await self._core.database.read(get_agents)}

    async def hostnames(self) -> dict[int, str]:
        """Return the host of every agent, by its number."""
        rows = await self._core.database.read(get_agents)
        return {row.id: row.hostname for row in rows}

    async def holds_jobs(self) -> bool:
        """Whether any connected agent has jobs."""

        def work(tx: Transaction) -> bool:
            return any(
                tx.all("get_held_by_agent", agent=agent.row.id) for agent in self._registry.all()
            )

        return await self._core.database.read(work)

    def end_everything(self) -> None:
        """Have every agent end what it runs; returns at once, the ends are reported later."""
        for agent in self._registry.all():
            self._registry.order_end(agent)

    async def set_draining(self, number: int, draining: bool) -> None:
        """Stop giving an agent work, or begin again. Raises NotFoundError."""
        state = "draining" if draining else "online"

        def work(tx: Transaction) -> None:
            rows = {row.id: row for row in get_agents(tx)}
            if number not in rows:
                raise NotFoundError(f"there is no agent {number}")
            if rows[number].state not in {"online", "draining"}:
                raise ConflictError(f"agent {number} is {rows[number].state}")
            set_agent_state(tx, number, state, self._core.chance.now())

        await self._core.database.write(work)
        agent = self._registry.find(number)
        if agent is not None:
            agent.draining = draining
            agent.row.state = state
            self._core.signals.work.set()

    async def give_up(self, number: int) -> None:
        """Take a lost agent for dead and off the list; its jobs are retried or buried.

        Raises NotFoundError when it is not lost.
        """
        await self._lost.give_up(number)
        await self.forget(number)

    async def forget(self, number: int) -> None:
        """Take an agent that is gone off the list.

        Raises NotFoundError; ConflictError while it is connected or jobs are counted as its own.
        """

        def work(tx: Transaction) -> None:
            if all(row.id != number or row.state == FORGOTTEN for row in get_agents(tx)):
                raise NotFoundError(f"there is no agent {number}")
            if self._registry.find(number) is not None:
                raise ConflictError(f"agent {number} is connected: stop it first")
            held = len(tx.all("get_held_by_agent", agent=number))
            if held or tx.all("get_gangs_of_agent", agent=number):
                raise ConflictError(
                    f"agent {number} still has {held} jobs: cancel them, or wait for their loss"
                )
            # The row stays: it gives the attempts that ran there their host, and keeps its id.
            set_agent_state(tx, number, FORGOTTEN, self._core.chance.now())

        await self._core.database.write(work)
        self._lost.returned(number)


@dataclass
class _Settled:
    unknown: list[Held]
    cancelled: list[Held]
    released: list[Held]


def _first_has_ended(tx: Transaction, held: Held) -> bool:
    members = tx.all("get_gang_members", job=held.job, attempt=held.attempt)
    return any(rank == 0 and finished for rank, _, finished in members)


def _row(number: int, message: Register, state: str, now: float) -> AgentRow:
    return AgentRow(
        number,
        message.node,
        message.instance,
        message.hostname,
        message.address,
        message.boot_id,
        message.pid,
        message.process_start,
        message.shares_files,
        message.capacity,
        message.labels,
        message.pools,
        message.runtimes,
        message.notes,
        state,
        now,
        now,
    )
