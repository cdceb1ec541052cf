"""What goes wrong under /v1, in its one error shape."""

import re

import msgspec
from litestar import Response
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
from gristmill.native.parameters import AnyRequest
from gristmill.native.queries import wire_name
from gristmill.native.wire import ErrorDetail, ErrorReply

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
_FIELDS = {413: "body", 415: "Content-Type"}
RETRY_AFTER = "1"
LONGEST_SHOWN = 80
"""Characters of a wrong value that an error repeats."""

_PLACE = re.compile(r" - at `(?:key` in `)?\$?\.?(.*?)`$")
_NAMED = re.compile(r"^Object (?:contains unknown|missing required) field `(.*)`$", re.DOTALL)


def invalid(error: msgspec.ValidationError, prefix: str = "") -> InvalidInputError:
    """Take the field out of msgspec's text. prefix: where the value stood, such as ``[3]``."""
    text, field = str(error), prefix
    place = _PLACE.search(text)
    if place is not None:
        text, field = text[: place.start()], _join(prefix, place.group(1))
    named = _NAMED.match(text)
    if named is not None:
        field = _join(field, named.group(1)[:LONGEST_SHOWN])
    return InvalidInputError(text, field or "body")


def status_of(error: GristmillError) -> tuple[int, str]:
    """Return the HTTP status and the code for an error."""
    return next(
        (found for kind, found in _BY_TYPE.items() if isinstance(error, kind)),
        (400, "invalid_input"),
    )


def _join(outer: str, inner: str) -> str:
    between = "." if outer and inner and not inner.startswith("[") else ""
    return f"{outer}{between}{inner}"


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
    status, code = status_of(error)
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = RETRY_AFTER
    return _reply(status, ErrorDetail(code, str(error), getattr(error, "field", "")), headers)


def _on_validation(request: AnyRequest, error: ValidationException) -> Response[ErrorReply]:
    """Litestar could not make sense of a parameter."""
    field, message = "", error.detail
    if isinstance(error.extra, list) and error.extra and isinstance(error.extra[0], dict):
        field = wire_name(request, str(error.extra[0].get("key", "")))
        message = str(error.extra[0].get("message", message))
        given = request.query_params.get(field, request.headers.get(field))
        if given is not None:
            message += f", not {given[:LONGEST_SHOWN]!r}"
    return _reply(400, ErrorDetail("invalid_input", message, field))


def _on_http(request: AnyRequest, error: HTTPException) -> Response[ErrorReply]:
    status = error.status_code
    code = _CODES.get(status, "invalid_input" if status < 500 else "internal")
    given = {name.lower(): value for name, value in (error.headers or {}).items()}
    headers = {"Allow": _with_head(given["allow"])} if "allow" in given else {}
    message = error.detail or code.replace("_", " ")
    if status == 404:
        message = f"there is nothing at {request.scope['path'][:200]}"
    elif status == 405:
        message = f"{request.method} is not for this path: use {headers.get('Allow', 'another')}"
    return _reply(status, ErrorDetail(code, message, _FIELDS.get(status, "")), headers)


def _with_head(allow: str) -> str:
    """Return the methods of a path with HEAD, which is answered wherever GET is."""
    methods = {method.strip() for method in allow.split(",")}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _on_defect(_: AnyRequest, error: Exception) -> Response[ErrorReply]:
    """Leave a defect of ours to the guard around all apps, which logs it under an id."""
    raise error


HANDLERS: ExceptionHandlersMap = {
    GristmillError: _on_own_error,
    ValidationException: _on_validation,
    HTTPException: _on_http,
    Exception: _on_defect,
}
