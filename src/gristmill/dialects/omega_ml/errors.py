"""What is answered when a call cannot be served: a status and an object with a message."""

from typing import Any

import msgspec

from gristmill.domain.errors import (
    GristmillError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)

CHALLENGE = (b"www-authenticate", b'ApiKey realm="omega-ml", Bearer')
INVALID_PAYLOAD = "Input payload validation failed"
PAYLOAD_FIELDS = frozenset(
    {"data", "dtypes", "orient", "index", "append", "name", "pipeline", "code", "content",
     "columns", "shape", "parameters", "classes", "kind",
     "signature"}
)  # fmt: skip
"""Where in a JSON body a value may stand; what is wrong elsewhere is told in the message."""

_STATUSES: dict[type[GristmillError], int] = {
    NotAuthenticatedError: 401,
    NotPermittedError: 403,
    NotFoundError: 404,
    UnavailableError: 503,
}
_HEADERS: dict[int, tuple[tuple[bytes, bytes], ...]] = {
    401: (CHALLENGE,),
    503: ((b"retry-after", b"1"),),
}


class RefusedError(Exception):
    """The answer is a status and a JSON object, or what a script of the client's raised.

    fixed: whether the status is the same in every profile.
    """

    def __init__(
        self,
        status: int,
        body: dict[str, Any] | list[Any],
        headers: tuple[tuple[bytes, bytes], ...] = (),
        *,
        fixed: bool = False,
    ) -> None:
        super().__init__(str(body))
        self.status, self.body, self.headers, self.fixed = status, body, headers, fixed


class ClientGoneError(Exception):
    """The client left before its request was complete: nobody is there to answer."""


def refused(status: int, message: str) -> RefusedError:
    """Return the refusal with this message."""
    return RefusedError(status, {"message": message}, _HEADERS.get(status, ()))


def error_body(text: str) -> bytes:
    """Return the body of a refusal by what stands before this interface."""
    return msgspec.json.encode({"message": text})


def bad(field: str, message: str) -> RefusedError:
    """Return the refusal of a parameter."""
    return refused(400, f"{field}: {message}")


def nothing_at(path: str) -> RefusedError:
    """Return the refusal of a path that leads nowhere."""
    message = {"message": f"there is nothing at {path[:200]}"}
    return RefusedError(404, message, fixed=True)


def refusal(error: GristmillError, *, payload: bool = False) -> RefusedError:
    """Return how a service's error is answered. payload: whether the call had a JSON body."""
    if isinstance(error, InvalidInputError):
        if payload and error.field.partition(".")[0].partition("[")[0] in PAYLOAD_FIELDS:
            errors = {error.field: str(error)}
            return RefusedError(400, {"errors": errors, "message": INVALID_PAYLOAD})
        return refused(400, f"{error.field}: {error}" if error.field else str(error))
    status = next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), 400)
    return refused(status, str(error))
