"""When a failed job runs again, and after how long."""

from random import Random
from typing import Annotated

import msgspec

LONGEST_DELAY = 30 * 86400.0
NEVER_WORTH_RETRYING = (126, 127)
"""Exit codes of a shell that could not run the command at all: not executable, not found."""


class RetryPolicy(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    omit_defaults=True,
    forbid_unknown_fields=True,
    gc=False,
):
    """How often and how soon a failed job is tried again.

    retries: further attempts after the first. delay, max_delay, jitter: seconds; the n-th
    delay is ``min(delay * factor**n, max_delay)`` plus a random part of at most jitter.
    fatal_exit_codes: exit codes that bury at once. unstarted_counts: whether an attempt that got
    no process takes one of the retries.
    """

    retries: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    delay: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_DELAY)] = 1.0
    factor: Annotated[float, msgspec.Meta(ge=1, le=100)] = 2.0
    max_delay: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_DELAY)] = 1800.0
    jitter: Annotated[float, msgspec.Meta(ge=0, le=LONGEST_DELAY)] = 0.0
    fatal_exit_codes: tuple[int, ...] = NEVER_WORTH_RETRYING
    unstarted_counts: bool = True


def backoff(policy: RetryPolicy, failures: int, random: Random) -> float:
    """Seconds to wait after the failures-th failed attempt (1 for the first)."""
    delay = policy.delay
    for _ in range(failures - 1):
        if delay >= policy.max_delay:
            break
        delay *= policy.factor
    return min(delay, policy.max_delay) + random.random() * policy.jitter
