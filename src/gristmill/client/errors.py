"""What a request can end in, as exceptions: the domain's own wherever they fit."""

import msgspec

from gristmill.domain.errors import (
    ConflictError,
    GristmillError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)


class UnreachableError(UnavailableError):
    """No server answered: none is running there, or the connection broke."""


class ServerError(GristmillError):
    """The server answered with something that no caller can mend.

    status: the HTTP status. code: the server's word for it, such as ``internal``.
    """

    def __init__(self, message: str, status: int, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class WaitTimeoutError(GristmillError, TimeoutError):
    """The job had not ended when the time to wait was over; it goes on."""


class _Problem(msgspec.Struct):
    code: str
    message: str
    field: str = ""
    id: str = ""


class _ProblemReply(msgspec.Struct):
    error: _Problem


_BY_CODE: dict[str, type[GristmillError]] = {
    "not_authenticated": NotAuthenticatedError,
    "not_permitted": NotPermittedError,
    "not_found": NotFoundError,
    "conflict": ConflictError,
    "too_many_requests": UnavailableError,
    "unavailable": UnavailableError,
}
_INVALID = frozenset({"invalid_input", "too_large"})


def error_from(status: int, body: bytes) -> GristmillError:
    """Turn an error reply into the exception to raise."""
    try:
        problem = msgspec.json.decode(body, type=_ProblemReply).error
    except msgspec.DecodeError:
        return _unknown(status, body)
    if problem.code in _INVALID:
        return InvalidInputError(problem.message, problem.field)
    if problem.code in _BY_CODE:
        return _BY_CODE[problem.code](problem.message)
    trace = f" (error {problem.id} in the server's log)" if problem.id else ""
    return ServerError(problem.message + trace, status, problem.code)


def _unknown(status: int, body: bytes) -> GristmillError:
    text = " ".join(body[:200].decode("utf-8", "replace").split())
    message = f"unexpected reply with status {status}: {text or 'empty'}"
    if status in (502, 503, 504):
        return UnavailableError(message)
    return ServerError(message, status)
