"""What the agent asks the keeper of a network for, and what it answers."""

import msgspec

PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
NO_PROXIES = ("no_proxy", "NO_PROXY")
"""Variables by which programs learn of the proxy, and what they ask without it."""

WIRE = "wire"
"""The interface of a rank that leads to the others."""

INTERFACES = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "TP_SOCKET_IFNAME")
"""Variables by which libraries learn of it, which would take the host's name for an address."""


class Place(msgspec.Struct, frozen=True, array_like=True):
    """An address and a port of this machine's network."""

    host: str
    port: int


class Plan(msgspec.Struct, frozen=True):
    """rate: Mbit/s that each rank may send. reach: what ranks find as if it were on their node."""

    ranks: int
    rate: float
    reach: tuple[Place, ...] = ()


class Made(msgspec.Struct, frozen=True):
    """namespaces: a path for each rank, as long as the keeper lives. error: why there are none."""

    namespaces: tuple[str, ...] = ()
    error: str = ""
