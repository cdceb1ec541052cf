"""The agents that are there now: what they have free, and what must be said to them."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from gristmill.domain.errors import ConflictError, NotFoundError
from gristmill.domain.resources import Capacity
from gristmill.protocol.messages import Held, Lease, LeaseReply, Order, ReadOutput
from gristmill.store.agents import AgentRow

DEFAULT_POOL = "default"
NODE_LABEL = "gristmill.node"
"""Every agent has this label: what is constrained to a node runs there or nowhere."""


@dataclass
class WorkRequest:
    """An agent waits for work. free and hot change while it waits."""

    number: int
    free: Capacity
    hot: dict[int, int]
    over: asyncio.Event


@dataclass
class LiveAgent:
    """One registered agent. seen: monotonic seconds of its last word; free: as it last said.

    open_pools: what an agent serves that names no pools, the same list for all of them.
    """

    row: AgentRow
    seen: float
    open_pools: list[str]
    free: Capacity | None = None
    request: WorkRequest | None = None
    undelivered: list[Lease] = field(default_factory=list)
    kill: list[Held] = field(default_factory=list)
    read: list[ReadOutput] = field(default_factory=list)
    wind_down: list[Held] = field(default_factory=list)
    release: list[Held] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    last_reply: tuple[int, LeaseReply] | None = None
    draining: bool = False
    stop: bool = False
    end_all: bool = False

    @property
    def pools(self) -> Sequence[str]:
        """The pools it serves."""
        return self.row.pools or self.open_pools

    @cached_property
    def labels(self) -> dict[str, str]:
        """Its labels, its own node among them."""
        return {**self.row.matched_labels, NODE_LABEL: self.row.node}

    @property
    def takes_work(self) -> bool:
        """Whether it waits for work and may be given some."""
        return self.request is not None and not self.draining and not self.stop


class Registry:
    """Every live agent, by number."""

    def __init__(self) -> None:
        self._agents: dict[int, LiveAgent] = {}
        self._open_pools = [DEFAULT_POOL]

    def put(self, row: AgentRow, seen: float) -> LiveAgent:
        """Remember a registration; an older instance of the same node is forgotten."""
        earlier = self._agents.get(row.id)
        if earlier is not None:
            self._dismiss(earlier)
        agent = LiveAgent(row, seen, self._open_pools, draining=row.state == "draining")
        self._agents[row.id] = agent
        return agent

    def open_pools(self, names: Iterable[str]) -> None:
        """Have agents that name no pools serve these, besides the default one."""
        self._open_pools[:] = [DEFAULT_POOL, *(name for name in names if name != DEFAULT_POOL)]

    def get(self, number: int, instance: str) -> LiveAgent:
        """Return an agent that registered with this server as this instance.

        Raises ConflictError: the agent must register again.
        """
        agent = self._agents.get(number)
        if agent is None or agent.row.instance != instance:
            raise ConflictError("not registered here: register again")
        return agent

    def find(self, number: int) -> LiveAgent | None:
        """Return a live agent by its number."""
        return self._agents.get(number)

    def named(self, node: str) -> LiveAgent:
        """Return a live agent by its node's id. Raises NotFoundError."""
        for agent in self._agents.values():
            if agent.row.node == node:
                return agent
        raise NotFoundError(f"no agent {node} is connected")

    def all(self) -> Sequence[LiveAgent]:
        """Return every live agent."""
        return list(self._agents.values())

    def remove(self, number: int) -> None:
        """Forget an agent that is lost or left."""
        agent = self._agents.pop(number, None)
        if agent is not None:
            self._dismiss(agent)

    def waiting(self) -> list[LiveAgent]:
        """Return the agents that wait for work."""
        return [agent for agent in self._agents.values() if agent.takes_work]

    def order_kill(self, number: int, held: Iterable[Held]) -> None:
        """Tell an agent to end members; it is told as soon as it listens."""
        agent = self._agents.get(number)
        if agent is not None:
            agent.kill.extend(held)
            self.answer(agent, [])

    def order_end(self, agent: LiveAgent) -> None:
        """Have an agent end all that it has, and give it nothing more."""
        agent.draining = agent.end_all = True
        self.answer(agent, [])

    def order_wind_down(self, number: int, held: Held) -> None:
        """Tell an agent that the gang of a member has reached its goal."""
        agent = self._agents.get(number)
        if agent is not None:
            agent.wind_down.append(held)
            self.answer(agent, [])

    def order_release(self, number: int, held: Iterable[Held]) -> None:
        """Tell an agent that members that wait for their gang's first one may end."""
        agent = self._agents.get(number)
        if agent is not None:
            agent.release.extend(held)
            self.answer(agent, [])

    def order(self, agent: LiveAgent, order: Order) -> None:
        """Have an agent do something in a running member."""
        agent.orders.append(order)
        self.answer(agent, [])

    def order_read(self, agent: LiveAgent, wish: ReadOutput) -> None:
        """Ask an agent for bytes of a running member's output."""
        agent.read.append(wish)
        self.answer(agent, [])

    def answer(self, agent: LiveAgent, leases: list[Lease]) -> None:
        """Give an agent leases, at once when it waits; never lost when it just stopped waiting."""
        agent.undelivered.extend(leases)
        request, agent.request = agent.request, None
        if request is not None:
            request.over.set()

    def _dismiss(self, agent: LiveAgent) -> None:
        self.answer(agent, [])
