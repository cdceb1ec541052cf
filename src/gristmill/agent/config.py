"""What an agent is told at its start."""

import argparse
from pathlib import Path

import msgspec

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.units import parse_duration, parse_size_mb

DEFAULT_OUTPUT_LIMIT = 16 * 1024
"""Megabytes: far more than anybody reads, far less than a disk."""


class AgentConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of one agent; None means: find out.

    home: the server's home when it is on this machine, else a folder of the agent's own.
    url: of a server elsewhere; empty for the one of this home. memory, disk: megabytes.
    linger: seconds without a server and without work after which it leaves.
    output_head, output_tail: bytes kept of each stream, both 0 for all. output_limit: megabytes
    of output after which a member is ended. fence_after: seconds without the server after which
    an agent elsewhere ends its jobs. grace: seconds between asking a member to end and forcing it.
    bandwidth: whether to limit what ranks send each other where their job asks for it.
    data_workers: how many answer calls on tables and models, 0 for as the cores suggest; their
    memory in megabytes; seconds that a call may take, and that they wait for one before they go.
    """

    home: Path
    url: str = ""
    token: str = ""
    ca_file: str = ""
    cpus: float | None = None
    memory: int | None = None
    disk: int | None = None
    gpus: int | None = None
    pools: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    container_engine: str = "auto"
    linger: float = 60.0
    fence_after: float = 600.0
    grace: float = 5.0
    output_head: int = 0
    output_tail: int = 0
    output_limit: int = DEFAULT_OUTPUT_LIMIT
    bandwidth: bool = True
    data_workers: int = 0
    data_memory: int = 4096
    data_limit: float = 600.0
    data_idle: float = 900.0


def parse_arguments(arguments: list[str]) -> AgentConfig:
    """Turn command-line words into a configuration. Raises InvalidInputError."""
    parser = argparse.ArgumentParser(
        prog="gristmill agent",
        description=(
            "Run jobs on this node: for the server of --home, or for one elsewhere with --url."
        ),
    )
    parser.add_argument("--home", type=Path, required=True, help="folder of the server or node")
    parser.add_argument("--url", default="", help="https://HOST:PORT of a server elsewhere")
    parser.add_argument("--token", default="", help="a token with the scope 'agent'")
    parser.add_argument("--token-file", type=Path, help="file that holds the token")
    parser.add_argument("--ca-file", default="", help="the server's ca.pem")
    parser.add_argument("--cpus", type=float, help="cores to offer (default: all)")
    parser.add_argument("--memory", type=parse_size_mb, help="memory to offer, such as 16G")
    parser.add_argument("--disk", type=parse_size_mb, help="disk to offer, such as 100G")
    parser.add_argument("--gpus", type=int, help="GPUs to offer (default: all)")
    parser.add_argument("--pool", action="append", default=[], help="pool to serve (repeatable)")
    parser.add_argument("--label", action="append", default=[], help="KEY=VALUE (repeatable)")
    parser.add_argument("--container-engine", default="auto", help="auto, host or a name")
    parser.add_argument("--linger", type=parse_duration, default=60.0)
    parser.add_argument("--fence-after", type=parse_duration, default=600.0)
    parser.add_argument(
        "--grace", type=parse_duration, default=5.0, help="time between TERM and KILL"
    )
    parser.add_argument("--output-head", type=int, default=0, help="bytes kept of a stream's head")
    parser.add_argument("--output-tail", type=int, default=0, help="bytes kept of a stream's tail")
    parser.add_argument(
        "--output-limit", type=parse_size_mb, default=DEFAULT_OUTPUT_LIMIT, help="such as 16G"
    )
    parser.add_argument(
        "--no-bandwidth", action="store_true", help="do not limit what ranks send each other"
    )
    parser.add_argument("--data-workers", type=int, default=0, help="workers for tables and models")
    parser.add_argument("--data-memory", type=parse_size_mb, default=4096, help="of each, as 4G")
    parser.add_argument("--data-limit", type=parse_duration, default=600.0)
    parser.add_argument("--data-idle", type=parse_duration, default=900.0)
    given = parser.parse_args(arguments)
    token = given.token_file.read_text().strip() if given.token_file else given.token
    return AgentConfig(
        home=given.home.absolute(),
        url=given.url,
        token=token,
        ca_file=given.ca_file,
        cpus=given.cpus,
        memory=given.memory,
        disk=given.disk,
        gpus=given.gpus,
        pools=tuple(given.pool),
        labels=dict(map(_pair, given.label)),
        container_engine=given.container_engine,
        linger=given.linger,
        fence_after=given.fence_after,
        grace=given.grace,
        output_head=given.output_head,
        output_tail=given.output_tail,
        output_limit=given.output_limit,
        bandwidth=not given.no_bandwidth,
        data_workers=given.data_workers,
        data_memory=given.data_memory,
        data_limit=given.data_limit,
        data_idle=given.data_idle,
    )


def _pair(text: str) -> tuple[str, str]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise InvalidInputError(f"--label {text!r} is not KEY=VALUE", "label")
    return key, value
