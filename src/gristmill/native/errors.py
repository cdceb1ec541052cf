"""What goes wrong under /v1, in its one error shape."""

import re
from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from gristmill.domain.errors import (
    ConflictError,
    GristmillError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)
from gristmill.native.wire import ErrorDetail, ErrorReply

AnyRequest = Request[Any, Any, Any]

_BY_TYPE: dict[type[GristmillError], tuple[int, str]] = {
    InvalidInputError: (400, "invalid_input"),
    NotAuthenticatedError: (401, "not_authenticated"),
    NotPermittedError: (403, "not_permitted"),
    NotFoundError: (404, "not_found"),
    ConflictError: (409, "conflict"),
    UnavailableError: (503, "unavailable"),
}
_CODES = {
    400: "invalid_input",
    401: "not_authenticated",
    403: "not_permitted",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    413: "too_large",
    415: "unsupported_media_type",
    429: "too_many_requests",
    503: "unavailable",
}
RETRY_AFTER = "1"
_PLACE = re.compile(r" - at `(?:key in )?\$?\.?(.*?)`$")


def decode_body(body: bytes, decode: Callable[[bytes], Any]) -> Any:
    """Decode a JSON body. Raises InvalidInputError naming the field."""
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise invalid(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise InvalidInputError("the body is nested too deeply") from error


def invalid(error: msgspec.ValidationError) -> InvalidInputError:
    """Take the field out of msgspec's text."""
    text = str(error)
    place = _PLACE.search(text)
    if place is None:
        return InvalidInputError(text)
    return InvalidInputError(text[: place.start()], place.group(1))


def _reply(
    status: int, detail: ErrorDetail, headers: dict[str, str] | None = None
) -> Response[ErrorReply]:
    return Response(
        ErrorReply(detail),
        status_code=status,
        headers=headers or {},
        media_type="application/json",
    )


def _on_own_error(_: AnyRequest, error: GristmillError) -> Response[ErrorReply]:
    status, code = next(
        (found for kind, found in _BY_TYPE.items() if isinstance(error, kind)),
        (400, "invalid_input"),
    )
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = RETRY_AFTER
    return _reply(status, ErrorDetail(code, str(error), getattr(error, "field", "")), headers)


def _on_validation(_: AnyRequest, error: ValidationException) -> Response[ErrorReply]:
    """Litestar could not make sense of a parameter."""
    field, message = "", error.detail
    if isinstance(error.extra, list) and error.extra and isinstance(error.extra[0], dict):
        field = str(error.extra[0].get("key", ""))
        message = str(error.extra[0].get("message", message))
    return _reply(400, ErrorDetail("invalid_input", message, field))


def _on_http(_: AnyRequest, error: HTTPException) -> Response[ErrorReply]:
    status = error.status_code
    code = _CODES.get(status, "invalid_input" if status < 500 else "internal")
    headers = {k: v for k, v in (error.headers or {}).items() if k.lower() == "allow"}
    return _reply(status, ErrorDetail(code, error.detail or code.replace("_", " ")), headers)


HANDLERS: ExceptionHandlersMap = {
    GristmillError: _on_own_error,
    ValidationException: _on_validation,
    HTTPException: _on_http,
}
