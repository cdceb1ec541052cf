"""Ranks whose sending is limited are in a network of their own, with addresses by rank."""

import ipaddress

LABEL = "gristmill.bandwidth"
"""Label of the nodes that can limit what a rank sends, with the value ENFORCED."""

ENFORCED, NOT_ENFORCED = "enforced", "not enforced"
PREFIX_LENGTH = 16
MOST_RANKS = 60_000
_FIRST = ipaddress.IPv4Address("10.213.0.1")


def rank_address(rank: int) -> str:
    """Return a rank's address in the network of its run; that network leads nowhere else."""
    return str(_FIRST + rank)
