"""Commands for jobs of tests."""

import os
import time


def nap(seconds: int) -> str:
    """Return a duration for ``sleep`` that no process of another test has been given."""
    return f"{seconds}.{os.getpid()}{time.monotonic_ns()}"


def holding_memory(megabytes: int, meanwhile: str) -> str:
    """Return a shell command that holds so much memory while another command runs."""
    return f"head -c {megabytes}M /dev/zero | tail -n 1 | {{ {meanwhile}; cat >/dev/null; }}"
