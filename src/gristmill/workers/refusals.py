"""How a worker says that a question cannot be answered."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from gristmill.workers.wire import INVALID, MISSING, TOO_LARGE


class RefusedError(Exception):
    """The question is at fault. kind: one of the wire's; field: where the value stood.

    told: what else to say of it, such as the status that a script chose.
    """

    def __init__(
        self,
        message: str,
        field: str = "",
        kind: str = INVALID,
        told: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.field, self.kind, self.told = field, kind, told


def missing(message: str, field: str = "") -> RefusedError:
    """Return the refusal of something that does not exist."""
    return RefusedError(message, field, MISSING)


def too_large(message: str, field: str = "") -> RefusedError:
    """Return the refusal of something that would not fit."""
    return RefusedError(message, field, TOO_LARGE)
