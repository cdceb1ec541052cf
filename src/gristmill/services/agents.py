"""Agents come, ask for work, report, fall silent and die."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import structlog

from gristmill.domain.errors import ConflictError, NotFoundError, UnavailableError
from gristmill.domain.outcome import AGENT_DIED, LOST
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
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.failure import fail, found_again
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.registry import LiveAgent, Registry, WorkRequest
from gristmill.services.queue.report import Reporter
from gristmill.services.waiting import pause, wait_for
from gristmill.store.agents import AgentRow, get_agents, put_agent, set_agent_state
from gristmill.store.database import Transaction
from gristmill.store.events import append_event
from gristmill.store.jobs import JobHead, get_specs, ids_of

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

    def __init__(self, core: QueueCore, registry: Registry, rules: AgentRules) -> None:
        self._core, self._registry, self._rules = core, registry, rules
        self._reporter = Reporter(core, registry)
        self._silent: dict[int, _Silence] = {}
        self._certainly_dead: set[int] = set()

    async def load(self) -> None:
        """Remember at start which agents hold jobs: each gets the full limit to come back."""
        now = self._core.chance.monotonic()
        for row in await self._core.database.read(get_agents):
            if row.state in {"online", "draining", "lost"}:
                self._silent[row.id] = _Silence(now, row.registered_at)

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
        self._silent.pop(row.id, None)
        self._certainly_dead.discard(row.id)
        agent = self._registry.put(row, self._core.chance.monotonic())
        agent.kill.extend(settled.cancelled)
        log.info("agent.registered", agent=row.id, node=message.node, held=len(message.held))
        return Registered(row.id, self._rules.heartbeat, settled.unknown)

    def _take_in(self, tx: Transaction, message: Register) -> "tuple[AgentRow, _Settled]":
        now = self._core.chance.now()
        number, state = put_agent(tx, message, now)
        ledger = Ledger(self._core, tx, now)
        settled = self._settle(tx, ledger, number, message)
        ledger.close()
        append_event(tx, now, "agent.online", [], {"agent": number, "hostname": message.hostname})
        return _row(number, message, state, now), settled

    def _settle(self, tx: Transaction, ledger: Ledger, agent: int, message: Register) -> "_Settled":
        settled = _Settled([], [])
        held = message.held
        with_agent = {(item.job, item.attempt) for item in (*held, *message.ended)}
        gangs = {(job, attempt) for job, attempt, _ in tx.all("get_gangs_of_agent", agent=agent)}
        for head in self._held_by(tx, ledger, agent):
            if (head.id, head.attempt) not in with_agent:
                self._not_there(tx, ledger, head)
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
        return settled

    def _not_there(self, tx: Transaction, ledger: Ledger, head: JobHead) -> None:
        """Settle a job its agent does not know: never begun, or gone with an earlier instance."""
        if head.state is JobState.RESERVED and not head.cancel_requested:
            ledger.give_back(head)
        else:
            self._bury_or_retry(tx, ledger, head)

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
            or agent.stop
            or self._core.signals.closing
        ):
            request = WorkRequest(message.number, message.free, message.hot, asyncio.Event())
            self._registry.answer(agent, [])
            agent.request = request
            self._core.signals.work.set()
            await self._await_work(agent, request, min(message.wait, LONGEST_WAIT))
        leases, agent.undelivered = agent.undelivered, []
        reply = LeaseReply(leases, agent.kill, agent.read, agent.stop)
        agent.kill, agent.read = [], []
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
        drop: list[Held] = []
        if message.started or message.finished or message.returned:
            drop = await self._reporter.report(message)
        request = agent.request
        if request is not None and request.number == message.request:
            request.free, request.hot = message.free, message.hot
            self._core.signals.work.set()
        return ReportReply(drop)

    def _seen(self, number: int, instance: str) -> LiveAgent:
        agent = self._registry.get(number, instance)
        agent.seen = self._core.chance.monotonic()
        return agent

    async def watch(self) -> None:
        """Look for silent agents until cancelled."""
        while True:
            await pause(self._rules.lost_after / SWEEPS_A_LIMIT)
            try:
                await self.sweep()
            except UnavailableError as error:
                log.warning("agents.sweep_failed", error=str(error))

    async def sweep(self) -> None:
        """Lose the jobs of silent agents, and settle those that are certainly gone."""
        rules = self._rules
        for agent in self._registry.all():
            seen = agent.seen
            gone = self._core.chance.monotonic() - seen > rules.lost_after
            if gone and self._registry.find(agent.row.id) is agent:
                self._registry.remove(agent.row.id)
                self._silent[agent.row.id] = _Silence(seen, agent.row.registered_at)
        for number, silence in list(self._silent.items()):
            patience = 0.0 if number in self._certainly_dead else rules.fence_after
            silent_for = self._core.chance.monotonic() - silence.since
            if silent_for > rules.lost_after:
                await self._lose_silent(number, silence)
            if silent_for > rules.lost_after + patience:
                await self._settle_dead(number, silence)

    async def _lose_silent(self, number: int, silence: "_Silence") -> None:
        """Mark everything a silent agent holds as lost."""
        await self._core.database.write(
            lambda tx: self._lose(tx, number, silence, reserved_too=True)
        )

    def _lose(
        self, tx: Transaction, number: int, silence: "_Silence", *, reserved_too: bool
    ) -> None:
        row = _still_silent(tx, number, silence)
        if row is None:
            return
        ledger = Ledger(self._core, tx, self._core.chance.now())
        lost = 0
        for head in self._held_by(tx, ledger, number):
            if head.state is JobState.RESERVED and head.agent_id == number:
                if reserved_too:
                    self._not_there(tx, ledger, head)
            elif head.state is not JobState.LOST:
                head.reason, head.ended_at = head.reason or LOST, ledger.now
                ledger.move(head, Trigger.LOSE, JobState.LOST)
                lost += 1
        ledger.close()
        if row.state != "lost":
            set_agent_state(tx, number, "lost", row.last_seen_at)
            append_event(tx, ledger.now, "agent.lost", [], {"agent": number, "jobs": lost})

    async def node_died(self, node: str) -> None:
        """Take note that a node's agent is certainly dead and nothing of its jobs runs any more.

        What it ran is lost. The next agent of the node knows from its journal what had ended
        and what was cut off; if none comes within the limit, the jobs are settled without it.
        """
        for row in await self._core.database.read(get_agents):
            if row.node == node:
                number = row.id
                self._registry.remove(number)
                silence = _Silence(self._core.chance.monotonic(), row.registered_at)
                self._silent[number] = silence
                self._certainly_dead.add(number)
                await self._core.database.write(
                    partial(self._lose, number=number, silence=silence, reserved_too=False)
                )

    async def _settle_dead(self, number: int, silence: "_Silence") -> None:
        """Judge the lost jobs of an agent whose processes are certainly gone."""

        def work(tx: Transaction) -> None:
            if _still_silent(tx, number, silence) is None:
                return
            ledger = Ledger(self._core, tx, self._core.chance.now())
            for head in self._held_by(tx, ledger, number):
                if head.state is JobState.LOST:
                    self._bury_or_retry(tx, ledger, head)
            ledger.close()

        await self._core.database.write(work)
        if self._silent.get(number) == silence:
            del self._silent[number]
            self._certainly_dead.discard(number)

    def _held_by(self, tx: Transaction, ledger: Ledger, number: int) -> list[JobHead]:
        ids = ids_of(tx.all("get_held_by_agent", agent=number))
        gangs = {job: attempt for job, attempt, _ in tx.all("get_gangs_of_agent", agent=number)}
        return [
            head
            for head in ledger.load([*ids, *gangs])
            if head.state in HELD and gangs.get(head.id, head.attempt) == head.attempt
        ]

    def _bury_or_retry(self, tx: Transaction, ledger: Ledger, head: JobHead) -> None:
        spec = get_specs(tx, [head.id])[head.id]
        others = [
            (agent, Held(head.id, head.attempt, rank))
            for rank, agent, finished in tx.all(
                "get_gang_members", job=head.id, attempt=head.attempt
            )
            if not finished
        ]
        tx.after_commit(lambda: self._end_elsewhere(others))
        fail(self._core, ledger, head, spec.retry, None, AGENT_DIED)

    def _end_elsewhere(self, members: Sequence[tuple[int, Held]]) -> None:
        by_agent: defaultdict[int, list[Held]] = defaultdict(list)
        for agent, held in members:
            by_agent[agent].append(held)
        for agent, held_list in by_agent.items():
            self._registry.order_kill(agent, held_list)

    async def overview(self) -> list[AgentOverview]:
        """Return every agent that ever registered and was not forgotten, with what is live of it."""

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

    async def end_everything(self) -> None:
        """Have every agent end what it runs; returns at once, the ends are reported later."""
        for agent in self._registry.all():
            agent.draining = True

        def work(tx: Transaction) -> dict[int, list[Held]]:
            ledger = Ledger(self._core, tx, self._core.chance.now())
            return {
                agent.row.id: self._members_of(tx, ledger, agent.row.id)
                for agent in self._registry.all()
            }

        for number, held in (await self._core.database.read(work)).items():
            self._registry.order_kill(number, held)

    def _members_of(self, tx: Transaction, ledger: Ledger, number: int) -> list[Held]:
        gangs = [Held(*row) for row in tx.all("get_gangs_of_agent", agent=number)]
        in_gangs = {held.job for held in gangs}
        return gangs + [
            Held(head.id, head.attempt)
            for head in self._held_by(tx, ledger, number)
            if head.id not in in_gangs
        ]

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
                    f"agent {number} has {held} jobs still: cancel them, or wait until they are lost"
                )
            # The row stays: it gives the attempts that ran there their host, and keeps its id.
            set_agent_state(tx, number, FORGOTTEN, self._core.chance.now())

        await self._core.database.write(work)
        self._silent.pop(number, None)
        self._certainly_dead.discard(number)


class _Silence(NamedTuple):
    """Since when an agent is silent (monotonic seconds), and which registration of it."""

    since: float
    registered_at: float


def _still_silent(tx: Transaction, number: int, silence: _Silence) -> AgentRow | None:
    """Return the agent's row, or None when it has registered anew since it fell silent."""
    for row in get_agents(tx):
        if row.id == number and row.registered_at == silence.registered_at:
            return row
    return None


@dataclass
class _Settled:
    unknown: list[Held]
    cancelled: list[Held]


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
