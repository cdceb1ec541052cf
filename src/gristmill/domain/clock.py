"""Time, ids and chance, handed in so that tests can steer them."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random, SystemRandom


def _token(size: int) -> str:
    """Return url-safe text that never begins with a dash: people pass ids as arguments."""
    while (token := secrets.token_urlsafe(size)).startswith("-"):
        pass
    return token


@dataclass(frozen=True)
class Chance:
    """The outside world's unpredictable part.

    now: epoch seconds. monotonic: seconds that never jump. token: url-safe text of n bytes.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    token: Callable[[int], str] = _token
    random: Random = field(default_factory=SystemRandom)
