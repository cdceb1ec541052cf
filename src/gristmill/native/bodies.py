"""Reading request bodies: JSON into types, with errors that say where; big ones off the loop."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from litestar.exceptions import HTTPException

from gristmill.domain.errors import InvalidInputError
from gristmill.domain.job import JobSpec
from gristmill.native.errors import invalid
from gristmill.native.parameters import AnyRequest

T = TypeVar("T")

INLINE_BYTES = 256 * 1024
"""Bodies up to this size are decoded on the event loop; larger ones in a thread."""

JSON_TYPES = ("application/json", "application/x-www-form-urlencoded")
"""The second is what ``curl -d`` says of any body; a form that is no JSON is refused as such."""

YAML_TYPES = ("application/yaml", "application/x-yaml", "text/yaml", "text/x-yaml", "text/plain")

_decode_spec = msgspec.json.Decoder(JobSpec).decode
_decode_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode


class WrongMediaTypeError(HTTPException):
    """The body is of a kind that the operation does not read."""

    status_code = 415


async def read_json(request: AnyRequest, kind: type[T]) -> T:
    """Return the body as the type. Raises InvalidInputError naming the field."""
    _check_media_type(request, JSON_TYPES)
    body = await request.body()
    decoded: T = _decode(body, msgspec.json.Decoder(kind).decode)
    return decoded


async def read_jobs(request: AnyRequest) -> JobSpec | list[JobSpec]:
    """Return the job, or the array of jobs. Raises InvalidInputError naming the field."""
    _check_media_type(request, JSON_TYPES)
    body = await request.body()
    if len(body) <= INLINE_BYTES:
        return _decode_jobs(body)
    return await asyncio.to_thread(_decode_jobs, body)


async def read_yaml(request: AnyRequest) -> str:
    """Return the body as text. Raises InvalidInputError."""
    _check_media_type(request, YAML_TYPES + JSON_TYPES)
    body = await request.body()
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"the body is not UTF-8: {error}", "body") from error


def _decode_jobs(body: bytes) -> JobSpec | list[JobSpec]:
    if body.lstrip()[:1] != b"[":
        spec: JobSpec = _decode(body, _decode_spec)
        return spec
    # The decoder holds the interpreter for as long as a call takes. One call a job, and not one
    # for all, lets the event loop have its turns while a million jobs are read.
    raws: Sequence[msgspec.Raw] = _decode(body, _decode_raws)
    return [_decode(raw, _decode_spec, number) for number, raw in enumerate(raws)]


def _decode(body: Any, decode: Callable[[Any], Any], number: int | None = None) -> Any:
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise invalid(error, "" if number is None else f"[{number}]") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"the body is not valid JSON: {error}", "body") from error
    except RecursionError as error:
        raise InvalidInputError("the body is nested too deeply", "body") from error


def _check_media_type(request: AnyRequest, accepted: Sequence[str]) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given and given not in accepted:
        raise WrongMediaTypeError(detail=f"send 'Content-Type: {accepted[0]}', not {given[:80]!r}")
