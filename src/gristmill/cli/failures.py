"""Exit codes, and which one an error stands for."""

from gristmill.domain.errors import (
    GristmillError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)

FAILED = 1
"""A job failed, or the answer is no."""
USAGE = 2
UNAVAILABLE = 3
NOT_PERMITTED = 4
NOT_FOUND = 5
TIMED_OUT = 124
INTERRUPTED = 130
BROKEN_PIPE = 141
"""What a shell shows for a program that SIGPIPE ended."""

_CODES: tuple[tuple[type[GristmillError], int], ...] = (
    (InvalidInputError, USAGE),
    (UnavailableError, UNAVAILABLE),
    (NotAuthenticatedError, NOT_PERMITTED),
    (NotPermittedError, NOT_PERMITTED),
    (NotFoundError, NOT_FOUND),
)


def exit_code(error: GristmillError) -> int:
    """Return the exit code that an error stands for."""
    if isinstance(error, TimeoutError):
        return TIMED_OUT
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return UNAVAILABLE if getattr(error, "status", 0) >= 500 else FAILED


def one_line(error: Exception) -> str:
    """Return the error's text on one line, with the field it is about."""
    text = " ".join(str(error).split()) or type(error).__name__
    field = getattr(error, "field", "")
    return f"{field}: {text}" if field else text
