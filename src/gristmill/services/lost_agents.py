"""Agents that fell silent: what they held is lost, found again, or settled without them."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import structlog

from gristmill.domain.errors import NotFoundError, UnavailableError
from gristmill.domain.outcome import AGENT_DIED, LOST
from gristmill.domain.state import HELD, JobState, Trigger
from gristmill.protocol.messages import Held
from gristmill.services.queue.core import QueueCore
from gristmill.services.queue.failure import fail, found_again
from gristmill.services.queue.ledger import Ledger
from gristmill.services.queue.registry import Registry
from gristmill.services.waiting import pause
from gristmill.store.agents import AgentRow, get_agents, set_agent_state
from gristmill.store.database import Transaction
from gristmill.store.events import append_event
from gristmill.store.jobs import JobHead, get_specs, ids_of

SWEEPS_A_LIMIT = 4
"""How often within the limit of silence the agents are looked at."""

TellAdmins = Callable[[Transaction, str, str], None]

log = structlog.get_logger()


class _Silence(NamedTuple):
    """Since when an agent is silent (monotonic seconds), and which registration of it."""

    since: float
    registered_at: float


class LostAgents:
    """Watches for silence.

    lost_after: seconds of silence after which jobs are lost. fence_after: further seconds after
    which a far agent has ended them itself, so that they may run elsewhere. tell_admins: has a
    subject and a text brought to the administrators, as part of a transaction.
    """

    def __init__(
        self,
        core: QueueCore,
        registry: Registry,
        *,
        lost_after: float,
        fence_after: float,
        tell_admins: TellAdmins | None = None,
    ) -> None:
        self._core, self._registry = core, registry
        self._tell_admins = tell_admins
        self._lost_after, self._fence_after = lost_after, fence_after
        self._silent: dict[int, _Silence] = {}
        self._certainly_dead: set[int] = set()

    async def load(self) -> None:
        """Remember at start which agents hold jobs: each gets the full limit to come back."""
        now = self._core.chance.monotonic()
        for row in await self._core.database.read(get_agents):
            if row.state in {"online", "draining", "lost"}:
                self._silent[row.id] = _Silence(now, row.registered_at)

    def returned(self, number: int) -> None:
        """Forget the silence of an agent that has registered."""
        self._silent.pop(number, None)
        self._certainly_dead.discard(number)

    async def watch(self) -> None:
        """Look for silent agents until cancelled."""
        while True:
            await pause(self._lost_after / SWEEPS_A_LIMIT)
            try:
                await self.sweep()
            except UnavailableError as error:
                log.warning("agents.sweep_failed", error=str(error))

    async def sweep(self) -> None:
        """Lose the jobs of silent agents, and settle those that are certainly gone."""
        for agent in self._registry.all():
            seen = agent.seen
            gone = self._core.chance.monotonic() - seen > self._lost_after
            if gone and self._registry.find(agent.row.id) is agent:
                self._registry.remove(agent.row.id)
                self._silent[agent.row.id] = _Silence(seen, agent.row.registered_at)
        for number, silence in list(self._silent.items()):
            silent_for = self._core.chance.monotonic() - silence.since
            if silent_for > self._lost_after:
                await self._lose(number, silence, also_reserved=True)
            patience = 0.0 if number in self._certainly_dead else self._fence_after
            if silent_for > self._lost_after + patience:
                await self._settle_all(number, silence)

    async def node_died(self, node: str) -> None:
        """Take note that a node's agent is certainly dead and nothing of its jobs runs any more.

        What it ran is lost. The next agent of the node knows from its journal what had ended
        and what was cut off; if none comes within the limit, the jobs are settled without it.
        """
        for row in await self._core.database.read(get_agents):
            if row.node == node:
                self._registry.remove(row.id)
                silence = _Silence(self._core.chance.monotonic(), row.registered_at)
                self._silent[row.id] = silence
                self._certainly_dead.add(row.id)
                await self._lose(row.id, silence, also_reserved=False)

    async def _lose(self, number: int, silence: _Silence, *, also_reserved: bool) -> None:
        """Mark what an agent holds as lost.

        also_reserved: what was not known to have begun too; an agent that is merely cut off may
        have begun it meanwhile.
        """

        def work(tx: Transaction) -> None:
            row = _still_silent(tx, number, silence)
            if row is None:
                return
            ledger = Ledger(self._core, tx, self._core.chance.now())
            lost = 0
            for head in held_by(tx, ledger, number):
                reserved = head.state is JobState.RESERVED and head.agent_id == number
                if head.state is not JobState.LOST and (also_reserved or not reserved):
                    head.reason, head.ended_at = head.reason or LOST, ledger.now
                    ledger.move(head, Trigger.LOSE, JobState.LOST)
                    lost += 1
            ledger.close()
            if row.state != "lost":
                set_agent_state(tx, number, "lost", row.last_seen_at)
                append_event(tx, ledger.now, "agent.lost", [], {"agent": number, "jobs": lost})
                text = f"lost contact with the agent on {row.hostname}"
                tx.after_commit(partial(self._core.notices.note, text, ledger.now))
                if self._tell_admins is not None:
                    body = f"The server {text}; it held {lost} jobs.\n"
                    self._tell_admins(tx, f"Lost agent {number} on {row.hostname}", body)

        await self._core.database.write(work)

    async def give_up(self, number: int) -> None:
        """Take a lost agent for dead at a person's word: its jobs are settled without it.

        Raises NotFoundError when it is not lost.
        """
        silence = self._silent.get(number)
        if silence is None:
            raise NotFoundError(f"agent {number} is not lost")
        await self._settle_all(number, silence)

    async def _settle_all(self, number: int, silence: _Silence) -> None:
        """Judge the lost jobs of an agent whose processes are certainly gone."""

        def work(tx: Transaction) -> None:
            if _still_silent(tx, number, silence) is None:
                return
            ledger = Ledger(self._core, tx, self._core.chance.now())
            for head in held_by(tx, ledger, number):
                if head.state is JobState.LOST:
                    self.settle(tx, ledger, head)
            ledger.close()

        await self._core.database.write(work)
        if self._silent.get(number) == silence:
            self.returned(number)

    def settle(self, tx: Transaction, ledger: Ledger, head: JobHead) -> None:
        """Decide about a held job that no agent has: never begun, or cut off."""
        others = [
            (agent, Held(head.id, head.attempt, rank))
            for rank, agent, finished in tx.all(
                "get_gang_members", job=head.id, attempt=head.attempt
            )
            if not finished
        ]
        tx.after_commit(partial(self._end_elsewhere, others))
        never_begun = head.started_at is None and head.reason == LOST
        if head.state is JobState.LOST and never_begun:
            found_again(head)
            ledger.move(head, Trigger.RECOVER, JobState.RESERVED)
        if head.state is JobState.RESERVED:
            ledger.give_back(head)
        else:
            spec = get_specs(tx, [head.id])[head.id]
            fail(self._core, ledger, head, spec, None, AGENT_DIED)

    def _end_elsewhere(self, members: Sequence[tuple[int, Held]]) -> None:
        by_agent: defaultdict[int, list[Held]] = defaultdict(list)
        for agent, held in members:
            by_agent[agent].append(held)
        for agent, held_list in by_agent.items():
            self._registry.order_kill(agent, held_list)


def held_by(tx: Transaction, ledger: Ledger, number: int) -> list[JobHead]:
    """Return the jobs of which an agent has a member, as far as the store knows."""
    ids = ids_of(tx.all("get_held_by_agent", agent=number))
    ids += ids_of(tx.all("get_gangs_of_agent", agent=number))
    return [head for head in ledger.load(ids) if head.state in HELD]


def _still_silent(tx: Transaction, number: int, silence: _Silence) -> AgentRow | None:
    """Return the agent's row, or None when it has registered anew since it fell silent."""
    for row in get_agents(tx):
        if row.id == number and row.registered_at == silence.registered_at:
            return row
    return None
