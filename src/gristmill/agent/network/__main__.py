"""The keeper of one run's network: a bridge, and around it a namespace for each rank.

``python -m gristmill.agent.network`` reads its plan from descriptor 3, prints as JSON what it
made, and serves until its standard input ends. Nothing of it is in the machine's own network, and
nothing outlives the processes inside: the kernel removes namespaces that nobody holds.
"""

import asyncio
import ipaddress
import os
import socket
import sys
from collections.abc import Sequence

import msgspec

from gristmill.agent.network import namespaces
from gristmill.agent.network.plans import WIRE, Made, Place, Plan
from gristmill.agent.network.relay import PROXY_PORT, proxy, relay
from gristmill.domain.bandwidth import PREFIX_LENGTH, rank_address

BACKLOG = 512
SHORTEST_BURST, LONGEST_BURST = 64 << 10, 4 << 20
BURST = 0.02
"""Seconds at the full rate that may be sent at once, within those bounds of bytes."""

LATENCY = "200ms"
LOOPBACK = "127.0.0.1"

Listening = tuple[socket.socket, Place | None]
"""A socket in a rank's namespace, and what it stands for; None: the proxy."""


def build(plan: Plan) -> tuple[list[int], list[Listening]]:
    """Make the namespaces; return a descriptor of each and what listens in them. Raises OSError."""
    ranks: list[int] = []
    home = namespaces.current()
    hub = namespaces.fresh()
    namespaces.configure("ip", ["link add name hub type bridge", "link set hub up"])
    for rank in range(plan.ranks):
        inside = namespaces.fresh()
        ranks.append(inside)
        namespaces.enter(hub)
        _plug_in(rank, inside)
    listening: list[Listening] = []
    for rank, inside in enumerate(ranks):
        with namespaces.inside(inside):
            _set_up(rank, plan)
            listening += [(_listen(place), place) for place in plan.reach]
            listening.append((_listen(Place(LOOPBACK, PROXY_PORT)), None))
    namespaces.enter(home)
    os.close(home)
    return ranks, listening


def _plug_in(rank: int, inside: int) -> None:
    """Join a rank's namespace to the bridge, which is in this one."""
    other = f"/proc/{os.getpid()}/fd/{inside}"
    lines = [
        f"link add name rank{rank} type veth peer name wire{rank}",
        f"link set wire{rank} netns {other} name {WIRE}",
        f"link set rank{rank} master hub up",
    ]
    namespaces.configure("ip", lines)


def _set_up(rank: int, plan: Plan) -> None:
    """Give this rank its addresses, and its end of the wire its limit."""
    local = {place.host for place in plan.reach} - {LOOPBACK}
    lines = ["link set lo up", *(f"address add {host}/32 dev lo" for host in sorted(local))]
    lines += [f"address add {rank_address(rank)}/{PREFIX_LENGTH} dev {WIRE}", f"link set {WIRE} up"]
    namespaces.configure("ip", lines)
    rate = max(1, round(plan.rate * 1_000_000))
    burst = min(max(int(rate / 8 * BURST), SHORTEST_BURST), LONGEST_BURST)
    limit = f"qdisc add dev {WIRE} root tbf rate {rate}bit burst {burst} latency {LATENCY}"
    namespaces.configure("tc", [limit])


def _listen(place: Place) -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((place.host, place.port))
    listening.listen(BACKLOG)
    listening.setblocking(False)
    return listening


async def serve(listening: Sequence[Listening]) -> None:
    """Serve what listens until standard input ends."""
    for each, place in listening:
        await (proxy(each) if place is None else relay(each, place.host, place.port))
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, over.set)
    await over.wait()


def main() -> int:
    """Build, say what there is, and serve."""
    with os.fdopen(3, "rb") as given:
        plan = msgspec.json.decode(given.read(), type=Plan)
    try:
        ranks, listening = build(plan)
    except (OSError, ipaddress.AddressValueError) as error:
        sys.stdout.buffer.write(msgspec.json.encode(Made(error=str(error))) + b"\n")
        return 1
    paths = tuple(f"/proc/{os.getpid()}/fd/{descriptor}" for descriptor in ranks)
    sys.stdout.buffer.write(msgspec.json.encode(Made(namespaces=paths)) + b"\n")
    sys.stdout.buffer.flush()
    asyncio.run(serve(listening))
    return 0


if __name__ == "__main__":
    sys.exit(main())
