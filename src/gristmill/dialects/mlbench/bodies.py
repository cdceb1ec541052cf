"""Request bodies: JSON, or forms of both kinds; and the fields in them, whose values are texts."""

import email.parser
import email.policy
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from gristmill.dialects.mlbench.errors import bad, detail

MOST_FIELDS = 1000
FORM, MULTIPART, JSON = (
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "application/json",
)
_TRUE, _FALSE = frozenset({"true", "1", "yes", "on"}), frozenset({"false", "0", "no", "off", ""})
_decode = msgspec.json.Decoder().decode


def parse_body(content_type: str, body: bytes) -> Any:
    """Return the body of a request. Raises RefusedError: 400, 415."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        return _json(body)
    if kind == FORM or not kind:
        return _form(body)
    if kind == MULTIPART:
        return _multipart(content_type, body)
    raise detail(415, f'Unsupported media type "{kind[:100]}" in request.')


def _json(body: bytes) -> Any:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise detail(400, f"JSON parse error - {error}") from error


def _form(body: bytes) -> Any:
    # What ``curl -d`` calls a form may well be JSON.
    if body.lstrip()[:1] in {b"{", b"["}:
        return _json(body)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except (ValueError, UnicodeDecodeError) as error:
        raise detail(400, f"Malformed form: {error}") from error
    return dict(pairs)


def _multipart(content_type: str, body: bytes) -> dict[str, str]:
    head = b"Content-Type: " + content_type.encode("latin-1") + b"\r\n\r\n"
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise detail(400, "Multipart form parse error - no parts between its boundaries")
    fields: dict[str, str] = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            try:
                fields[name] = payload.decode()
            except UnicodeDecodeError as error:
                raise detail(400, f"Multipart form parse error - {name} is not UTF-8") from error
    return fields


def mapping(body: Any) -> Mapping[str, Any]:
    """Return the body of a request that is to be an object. Raises RefusedError."""
    if not isinstance(body, dict):
        raise bad("the body must be an object of fields")
    return body


def text(fields: Mapping[str, Any], name: str, default: str = "") -> str:
    """Return a field as text; objects and lists as JSON. Raises RefusedError."""
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value)
    return msgspec.json.encode(value).decode()


def boolean(fields: Mapping[str, Any], name: str) -> bool:
    """Return a field as a truth, False when absent. Raises RefusedError."""
    value = text(fields, name).strip().lower()
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise bad(f"{name} must be true or false, not {value[:40]!r}")


def positive(fields: Mapping[str, Any], name: str, default: float) -> float:
    """Return a field as a positive number. Raises RefusedError."""
    written = text(fields, name).strip()
    if not written:
        return default
    try:
        value = float(written)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise bad(f"{name} must be a positive number, not {written[:40]!r}")
    return value


def whole(fields: Mapping[str, Any], name: str, largest: int) -> int:
    """Return a field as a whole number of at least 1. Raises RefusedError."""
    written = text(fields, name).strip()
    if not written:
        raise bad(f"{name} is missing")
    try:
        value = float(written)
    except ValueError:
        value = -1.0
    if not (1 <= value <= largest and value == int(value)):
        raise bad(f"{name} must be a whole number from 1 to {largest}, not {written[:40]!r}")
    return int(value)
