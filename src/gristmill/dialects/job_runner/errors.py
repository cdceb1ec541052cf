"""What is answered when a request cannot be served: a status and, most often, one text."""

from gristmill.domain.errors import (
    ConflictError,
    GristmillError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)

_STATUSES: dict[type[GristmillError], int] = {
    InvalidInputError: 400,
    NotAuthenticatedError: 401,
    NotPermittedError: 401,
    NotFoundError: 404,
    ConflictError: 409,
    UnavailableError: 503,
}


class RefusedError(Exception):
    """The answer is a status; text is None where there is nothing to say, as in a 401."""

    def __init__(self, status: int, text: str | None = None) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class ClientGoneError(Exception):
    """The client left before its request was complete: nobody is there to answer."""


def bad(field: str, why: str) -> RefusedError:
    """Return the refusal of a value; field is named first."""
    return RefusedError(400, f"{field}: {why}")


def unauthorized() -> RefusedError:
    """Return the refusal of who is not known, and of what is out of the caller's scope."""
    return RefusedError(401)


def missing() -> RefusedError:
    """Return the answer for what does not exist."""
    return RefusedError(404)


def refusal(error: GristmillError) -> RefusedError:
    """Return how a service's error is answered."""
    status = next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), 400)
    if status in (401, 404):
        return RefusedError(status)
    field = getattr(error, "field", "")
    return RefusedError(status, f"{field}: {error}" if field else str(error))
