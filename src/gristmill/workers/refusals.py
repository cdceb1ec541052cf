"""How a worker says that a question cannot be answered."""

from gristmill.workers.wire import INVALID, MISSING, TOO_LARGE


class RefusedError(Exception):
    """The question is at fault. kind: one of the wire's; field: where the value stood."""

    def __init__(self, message: str, field: str = "", kind: str = INVALID) -> None:
        super().__init__(message)
        self.field, self.kind = field, kind


def missing(message: str, field: str = "") -> RefusedError:
    """Return the refusal of something that does not exist."""
    return RefusedError(message, field, MISSING)


def too_large(message: str, field: str = "") -> RefusedError:
    """Return the refusal of something that would not fit."""
    return RefusedError(message, field, TOO_LARGE)
