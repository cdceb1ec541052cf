"""Time, ids and chance, handed in so that tests can steer them."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random, SystemRandom


@dataclass(frozen=True)
class Chance:
    """The outside world's unpredictable part.

    now: epoch seconds. monotonic: seconds that never jump. token: url-safe text of n bytes.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    token: Callable[[int], str] = secrets.token_urlsafe
    random: Random = field(default_factory=SystemRandom)
