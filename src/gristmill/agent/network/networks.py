"""Networks for the ranks of runs that limit what each may send, made where the agent may."""

import asyncio
import ipaddress
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import msgspec
import structlog

from gristmill.agent.helpers import Helper, MemberHelpers
from gristmill.agent.member import Key, Member
from gristmill.agent.network.plans import (
    INTERFACES,
    NO_PROXIES,
    PROXIES,
    WIRE,
    Made,
    Place,
    Plan,
)
from gristmill.agent.network.relay import PROXY_PORT
from gristmill.agent.sandbox import FailedError
from gristmill.domain.bandwidth import ENFORCED, LABEL, MOST_RANKS, rank_address
from gristmill.domain.job import limits_bandwidth
from gristmill.domain.outcome import COULD_NOT_START

_NEEDED = ("ip", "tc", "nsenter", "unshare")
_KEEPER = [sys.executable, "-m", "gristmill.agent.network"]
_TRIAL = (
    "ip link add name hub type bridge && ip link add name rank type veth peer name wire "
    "&& ip link set rank master hub "
    "&& tc qdisc add dev wire root tbf rate 1mbit burst 64k latency 200ms"
)
_TRIAL_WITHIN = 20.0
READY_WITHIN = 60.0

log = structlog.get_logger()


@dataclass(eq=False)
class _Network:
    """One run's. keepalive: as long as this descriptor is open, its keeper stays."""

    helper: Helper
    keepalive: int
    made: "asyncio.Task[Made]"
    inside: set[Key] = field(default_factory=set)


class Networks:
    """Brings members into their run's network and takes it down after the last of them."""

    def __init__(self, helpers: MemberHelpers, *, wanted: bool = True) -> None:
        self._helpers = helpers
        self._able = wanted and is_able()
        self._null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        self._networks: dict[tuple[int, int], _Network] = {}

    @property
    def labels(self) -> dict[str, str]:
        """What tells the server, and jobs that insist, that limits are kept here."""
        return {LABEL: ENFORCED} if self._able else {}

    def wants(self, member: Member) -> bool:
        """Whether a member is to be brought into a network: all ranks are here, and it can be."""
        gang = member.lease.gang
        return (
            self._able
            and gang is not None
            and limits_bandwidth(member.spec)
            and 1 < gang.size <= MOST_RANKS
            and len(set(gang.hosts)) == 1
        )

    async def join(self, member: Member) -> None:
        """Have the member's commands run in its place of its run's network. Raises FailedError."""
        gang, rate = member.lease.gang, member.spec.bandwidth
        assert gang is not None
        assert rate is not None
        key = member.key[:2]
        reach = _reach(member.env)
        network = self._networks.get(key)
        if network is None:
            network = self._networks[key] = self._start(key, Plan(gang.size, rate, reach))
        network.inside.add(member.key)
        made = await asyncio.shield(network.made)
        if made.error:
            raise FailedError(COULD_NOT_START, f"the network of the ranks: {made.error}")
        member.entry = ["nsenter", f"--net={made.namespaces[member.lease.rank]}", "--"]
        member.env.update(_variables(member, gang.size, reach))

    def leave(self, member: Member) -> None:
        """Take note of a member's end; after the last one its run's network is no more."""
        key = member.key[:2]
        network = self._networks.get(key)
        if network is None:
            return
        network.inside.discard(member.key)
        if not network.inside:
            del self._networks[key]
            os.close(network.keepalive)

    def _start(self, key: tuple[int, int], plan: Plan) -> _Network:
        held, keepalive = os.pipe2(os.O_CLOEXEC)
        answer, said = os.pipe2(os.O_CLOEXEC)
        asked, plans = os.pipe2(os.O_CLOEXEC)
        try:
            os.write(plans, msgspec.json.encode(plan))
            helper = self._helpers.start(
                f"network.{key[0]}.{key[1]}", _KEEPER, os.environ, said, self._null,
                stdin=held, third=asked,
            )  # fmt: skip
        except OSError:
            os.close(keepalive)
            os.close(answer)
            raise
        finally:
            for descriptor in (held, said, asked, plans):
                os.close(descriptor)
        return _Network(helper, keepalive, asyncio.create_task(_answer_of(answer)))


async def _answer_of(descriptor: int) -> Made:
    """Return what a keeper says it made, of which its first line tells."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    pipe = os.fdopen(descriptor, "rb", buffering=0)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    try:
        async with asyncio.timeout(READY_WITHIN):
            line = await reader.readline()
        return msgspec.json.decode(line, type=Made)
    except (TimeoutError, ValueError, msgspec.MsgspecError) as error:
        log.warning("network.failed", error=repr(error))
        return Made(error="its keeper did not answer")
    finally:
        transport.close()


def is_able() -> bool:
    """Whether a network can be made here; tried in a namespace that is gone at once."""
    if os.geteuid() != 0 or not all(map(shutil.which, _NEEDED)):
        return False
    try:
        tried = subprocess.run(
            ["unshare", "--net", "/bin/sh", "-c", _TRIAL], capture_output=True, check=False,
            timeout=_TRIAL_WITHIN, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return tried.returncode == 0


def _reach(env: Mapping[str, str]) -> tuple[Place, ...]:
    """Return the addresses in a member's variables that are URLs, such as the server's."""
    found = {place for value in env.values() if (place := _place(value)) is not None}
    return tuple(sorted(found, key=lambda place: (place.host, place.port)))


def _place(value: str) -> Place | None:
    if not value.startswith(("http://", "https://")):
        return None
    try:
        parts = urlsplit(value)
        host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        address = ipaddress.IPv4Address(host)
    except ValueError:
        return None
    usable = not (address.is_multicast or address.is_unspecified) and port != PROXY_PORT
    return Place(str(address), port) if usable else None


def _variables(member: Member, ranks: int, reach: Iterable[Place]) -> dict[str, str]:
    """Return what a rank is told of its network, but for what its job says itself."""
    hosts = [rank_address(rank) for rank in range(ranks)]
    told = {"MASTER_ADDR": hosts[0], "GRISTMILL_HOSTS": ",".join(hosts)}
    near = ",".join(["localhost", "127.0.0.1", *(place.host for place in reach), *hosts])
    told |= dict.fromkeys(PROXIES, f"http://127.0.0.1:{PROXY_PORT}")
    told |= dict.fromkeys(NO_PROXIES, near)
    told |= dict.fromkeys(INTERFACES, WIRE)
    return {name: value for name, value in told.items() if name not in member.spec.env}
