"""What is answered when a request cannot be served: a status and one text."""

from gristmill.domain.errors import (
    ConflictError,
    GristmillError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)

NOT_AUTHENTICATED = "Authentication failure"
PROVIDER_UNREACHABLE = "Unable to connect to OIDC server"
DISABLED = "Functionality disabled"

_STATUSES: dict[type[GristmillError], int] = {
    InvalidInputError: 400,
    NotAuthenticatedError: 401,
    NotPermittedError: 403,
    NotFoundError: 400,
    ConflictError: 400,
    UnavailableError: 503,
}
"""404 tells the clients that the server's URL is wrong, so it is never used for a missing thing."""


class RefusedError(Exception):
    """The answer is a status and a text. allow: the methods there are, for a 405."""

    def __init__(self, status: int, text: str, allow: str = "") -> None:
        super().__init__(text)
        self.status, self.text, self.allow = status, text, allow


class ClientGoneError(Exception):
    """The client left before its request was complete: nobody is there to answer."""


def bad(text: str) -> RefusedError:
    """Return the refusal of a request that makes no sense."""
    return RefusedError(400, text)


def disabled() -> RefusedError:
    """Return the refusal of a feature that is switched off."""
    return RefusedError(401, DISABLED)


def refusal(error: GristmillError) -> RefusedError:
    """Return how a service's error is answered."""
    status = next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), 400)
    if status == 401:
        return RefusedError(401, NOT_AUTHENTICATED)
    field = getattr(error, "field", "")
    return RefusedError(status, f"{field}: {error}" if field else str(error))
