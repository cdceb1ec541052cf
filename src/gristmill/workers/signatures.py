"""What a service is given and answers: JSON schemas, stored with a model or a script.

Patterns run in time linear in the text, and no schema leads anywhere else.
"""

from collections.abc import Iterator
from typing import Any

import msgspec
import re2
from jsonschema import Draft202012Validator, SchemaError, ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from gristmill.workers.refusals import RefusedError

METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
LONGEST = 100_000
"""Bytes of a signature."""


class Signature(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """X: schema of what is given, Y: of the result. actions: what is done, by HTTP method."""

    X: dict[str, Any] | None = None
    Y: dict[str, Any] | None = None
    actions: dict[str, str] = {}


class _Given(msgspec.Struct):
    signature: Signature | None = None


def signature_of(body: bytes) -> Any:
    """Return what a body links, as manifests keep it; None for nothing. Raises RefusedError."""
    try:
        found = msgspec.json.decode(body, type=_Given).signature
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        raise RefusedError(text, place.rstrip("`") or "signature") from error
    if found is None:
        return None
    if len(msgspec.json.encode(found)) > LONGEST:
        raise RefusedError(f"is longer than {LONGEST} bytes", "signature")
    unknown = set(found.actions) - METHODS
    if unknown:
        raise RefusedError(f"{min(unknown)[:40]!r} is no method of HTTP", "signature.actions")
    for name in ("X", "Y"):
        schema = getattr(found, name)
        if schema is not None:
            _check_schema(schema, f"signature.{name}")
    return msgspec.to_builtins(found)


def _check_schema(schema: Any, field: str) -> None:
    if b'"patternProperties"' in msgspec.json.encode(schema):
        raise RefusedError("patternProperties are not known here", field)
    try:
        Draft202012Validator.check_schema(schema)
    except (SchemaError, RecursionError) as error:
        raise RefusedError(f"is no JSON schema: {str(error)[:300]}", field) from error


def check(signature: Any, part: str, value: Any) -> None:
    """Raise RefusedError when the value is not what the schema of that part wants."""
    schema = (signature or {}).get(part)
    if schema is None:
        return
    try:
        error = next(_Validator(schema, registry=Registry()).iter_errors(value), None)
    except (Unresolvable, RecursionError, re2.error) as reason:
        raise RefusedError(
            f"ValidationError: the schema cannot be used: {reason}", part
        ) from reason
    if error is not None:
        raise RefusedError(f"ValidationError: {error.json_path}: {error.message}"[:2000], part)


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(value, str) and not re2.search(pattern, value):
        yield ValidationError(f"{value[:80]!r} does not match {pattern[:80]!r}")


_Validator = extend(Draft202012Validator, {"pattern": _pattern})
