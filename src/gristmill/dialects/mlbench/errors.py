"""What is answered when a request cannot be served."""

from typing import Any

from gristmill.domain.errors import (
    ConflictError,
    GristmillError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)

_REASONS = {
    400: "Bad Request",
    404: "Not Found",
    409: "Conflict",
}
_STATUSES: dict[type[GristmillError], int] = {
    InvalidInputError: 400,
    NotFoundError: 404,
    ConflictError: 409,
}


class RefusedError(Exception):
    """The answer is a status and a JSON object."""

    def __init__(
        self, status: int, body: dict[str, Any], headers: tuple[tuple[bytes, bytes], ...] = ()
    ) -> None:
        super().__init__(str(body))
        self.status, self.body, self.headers = status, body, headers


class ClientGoneError(Exception):
    """The client left before its request was complete: nobody is there to answer."""


def refused(status: int, message: str, **more: Any) -> RefusedError:
    """Return an application's refusal: the reason in words, and what was wrong."""
    return RefusedError(status, {"status": _REASONS[status], "message": message, **more})


def detail(status: int, text: str, *headers: tuple[bytes, bytes]) -> RefusedError:
    """Return the refusal of a request that no part of the application has seen."""
    return RefusedError(status, {"detail": text}, headers)


def bad(message: str) -> RefusedError:
    """Return the refusal of a field; message names it."""
    return refused(400, message)


def refusal(error: GristmillError) -> RefusedError:
    """Return how a service's error is answered."""
    if isinstance(error, NotAuthenticatedError):
        return detail(401, str(error), (b"www-authenticate", b"Bearer"))
    if isinstance(error, NotPermittedError):
        return detail(403, str(error))
    if isinstance(error, UnavailableError):
        return detail(503, str(error), (b"retry-after", b"1"))
    status = next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), 400)
    field = getattr(error, "field", "")
    return refused(status, f"{field}: {error}" if field else str(error))
