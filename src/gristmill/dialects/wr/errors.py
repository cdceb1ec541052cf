"""What is answered when a request cannot be served: a status and one line of text."""

from gristmill.domain.errors import (
    ConflictError,
    GristmillError,
    InvalidInputError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)

HEADER_REQUIRED = "Authorization header required"
SCHEME_REQUIRED = "Authorization requires Bearer scheme"
WRONG_TOKEN = "Invalid token"  # noqa: S105 - a message, not a token
NOT_FOUND = "404 page not found"
BAD_STATE = "state must be supplied as one of running|lost|deletable"
ID_REQUIRED = "id parameter is required"
NOT_BAD = "Server was not known to be bad"
UPLOAD_FAILED = "file upload failed"

_STATUSES: dict[type[GristmillError], int] = {
    InvalidInputError: 400,
    NotPermittedError: 403,
    NotFoundError: 404,
    ConflictError: 409,
    UnavailableError: 503,
}


class RefusedError(Exception):
    """The answer is a status and a line of text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class ClientGoneError(Exception):
    """The client left before its request was complete: nobody is there to answer."""


def bad_job(why: str) -> RefusedError:
    """Return the refusal of a job that makes no sense."""
    return RefusedError(400, f"there was a problem interpreting your job: {why}")


def refusal(error: GristmillError) -> RefusedError:
    """Return how a service's error is answered."""
    status = next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), 400)
    field = getattr(error, "field", "")
    return RefusedError(status, f"{field}: {error}" if field else str(error))
