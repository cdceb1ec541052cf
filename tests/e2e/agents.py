"""Agents as tests see them: who they are, and how to be rid of them."""

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gristmill.agent.leftovers import kill_leftovers
from gristmill.agent.processes import is_alive
from gristmill.domain.clock import Chance
from gristmill.engine.local import AgentCard


def read_card(home: Path) -> AgentCard | None:
    """Return who the agent of a home is or was, None when there was never one."""
    try:
        return msgspec.json.decode((home / "agent" / "agent.json").read_bytes(), type=AgentCard)
    except (FileNotFoundError, NotADirectoryError):
        return None


def end_agent(home: Path, more_nodes: set[str] | None = None) -> None:
    """Kill the agent of a home and whatever it, or one of the nodes, has started."""
    card = read_card(home)
    nodes = set(more_nodes or ())
    if card is not None:
        nodes.add(card.node)
        if is_alive(card.process):
            with contextlib.suppress(ProcessLookupError):
                os.kill(card.pid, signal.SIGKILL)
    for node in nodes:
        kill_leftovers(node, lambda: False, Chance())


@dataclass
class FarAgent:
    """An agent that shares no files with its server."""

    home: Path
    process: "subprocess.Popen[bytes]"

    def stop_clock(self) -> None:
        """Make it fall silent, with its jobs running on."""
        self.process.send_signal(signal.SIGSTOP)

    def resume_clock(self) -> None:
        """Let it go on as if no time had passed."""
        self.process.send_signal(signal.SIGCONT)

    def kill9(self) -> None:
        """Kill it, and it alone, at once."""
        self.process.kill()
        self.process.wait()
