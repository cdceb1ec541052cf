"""Agents as the store remembers them."""

from typing import Any

import msgspec

from gristmill.domain.resources import Capacity
from gristmill.domain.resources import node as node_capacity
from gristmill.protocol.messages import Register
from gristmill.store.database import Transaction

_encode = msgspec.json.Encoder().encode
_decode: Any = msgspec.json.decode


class AgentRow(msgspec.Struct):
    """One agent. state: online, lost, offline or draining; times are epoch seconds."""

    id: int
    node: str
    instance: str
    hostname: str
    address: str
    boot_id: str
    pid: int
    process_start: float
    shares_files: bool
    capacity: Capacity
    labels: dict[str, str]
    pools: list[str]
    runtimes: list[str]
    notes: list[str]
    state: str
    registered_at: float
    last_seen_at: float

    @property
    def matched_labels(self) -> dict[str, str]:
        """The labels jobs are matched with: without one of its own, its site is its host."""
        return self.labels if "site" in self.labels else {"site": self.hostname, **self.labels}


def get_agents(tx: Transaction) -> list[AgentRow]:
    """Return every agent that ever registered."""
    return [_agent(row) for row in tx.all("get_agents")]


def _agent(row: tuple[Any, ...]) -> AgentRow:
    (
        number,
        node,
        instance,
        hostname,
        address,
        boot_id,
        pid,
        process_start,
        shares_files,
        shares,
        memory,
        disk,
        gpus,
        labels,
        pools,
        runtimes,
        notes,
        state,
        registered,
        seen,
    ) = row
    return AgentRow(
        number,
        node,
        instance,
        hostname,
        address,
        boot_id,
        pid,
        process_start,
        bool(shares_files),
        node_capacity(shares, memory, disk, gpus),
        _decode(labels),
        _decode(pools),
        _decode(runtimes),
        _decode(notes),
        state,
        registered,
        seen,
    )


def put_agent(tx: Transaction, message: Register, now: float) -> tuple[int, str]:
    """Record a registration; return the agent's number, the same for the same node, and state.

    A node that is drained stays so.
    """
    capacity = message.capacity
    row = tx.must(
        "put_agent",
        node=message.node,
        instance=message.instance,
        hostname=message.hostname,
        address=message.address,
        boot_id=message.boot_id,
        pid=message.pid,
        process_start=message.process_start,
        shares_files=int(message.shares_files),
        cpu_shares=capacity.cpu_shares,
        memory=capacity.memory,
        disk=capacity.disk,
        gpus=capacity.gpus,
        labels=_encode(message.labels).decode(),
        pools=_encode(message.pools).decode(),
        runtimes=_encode(message.runtimes).decode(),
        notes=_encode(message.notes).decode(),
        state="online",
        registered_at=now,
        last_seen_at=now,
    )
    return row[0], row[1]


def set_agent_state(tx: Transaction, agent: int, state: str, at: float) -> None:
    """Record an agent's state and when it was last seen."""
    tx.run("set_agent_state", agent=agent, state=state, at=at)
