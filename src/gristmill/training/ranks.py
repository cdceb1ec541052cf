"""Where a rank stands among the others, from arguments and from what the launcher tells."""

import argparse
import os
from collections.abc import Mapping
from typing import NamedTuple


class Place(NamedTuple):
    """A rank, how many there are, and where the first one is met."""

    rank: int
    size: int
    address: str
    port: int


def place_of(environment: Mapping[str, str] = os.environ) -> Place:
    """Return the place that torchrun's variables tell of, or else mpirun's."""
    rank = environment.get("OMPI_COMM_WORLD_RANK") or environment.get("RANK") or "0"
    size = environment.get("OMPI_COMM_WORLD_SIZE") or environment.get("WORLD_SIZE") or "1"
    address = environment.get("MASTER_ADDR") or "127.0.0.1"
    return Place(int(rank), int(size), address, int(environment.get("MASTER_PORT") or 29_400))


def arguments_of(description: str) -> argparse.ArgumentParser:
    """Return a parser of what every task is told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--run_id", default="", help="the run that metrics belong to")
    parser.add_argument("--rank", default="", help="ignored: the launcher knows better")
    parser.add_argument("--hosts", default="", help="hosts of all ranks, separated by commas")
    parser.add_argument("--backend", default="", help="ignored: ranks talk over sockets")
    parser.add_argument("--light", action="store_true", help="a goal that is reached sooner")
    return parser
