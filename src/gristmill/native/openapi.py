"""The OpenAPI document: Litestar's, with exact schemas and with the errors of every operation."""

from collections.abc import Iterator
from typing import Any

import msgspec
from litestar import Litestar

from gristmill.domain.job import JobSpec
from gristmill.domain.workflow import WorkflowSpec
from gristmill.native import data_wire, metric_wire, schedule_wire, wire, workflow_wire

Json = dict[str, Any]

DESCRIPTION = """\
One durable queue for shell commands and container jobs. Times are UTC in RFC 3339, sizes
megabytes, durations seconds. Every error has the one shape of ErrorReply."""

_ERRORS = {
    400: "The request does not fit; field says where. Nothing was changed.",
    401: "No credential, or one that is wrong, revoked or expired.",
    403: "The credential is good but lacks the scope.",
    404: "It does not exist, or not for this caller.",
    413: "The body is too large.",
    415: "The body is of another media type.",
    503: "Cannot be done now; try again after Retry-After seconds.",
}
_OPEN = ("/healthz", "/readyz")
"""Paths that need no credential."""

_NAMING = ("/v1/events", "/v1/jobs/cancel", "/v1/jobs/retry")
"""Paths whose query or body names something that may not exist."""

_REFERENCE = "#/components/schemas/{name}"
_ERROR_REPLY = {"$ref": _REFERENCE.format(name="ErrorReply")}
_V2_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}},
    "required": ["error"],
}
"""As the Open Inference Protocol has it."""

_SHAPES = (
    JobSpec,
    WorkflowSpec,
    *(
        shape
        for module in (wire, data_wire, metric_wire, schedule_wire, workflow_wire)
        for shape in vars(module).values()
        if isinstance(shape, type) and issubclass(shape, msgspec.Struct)
    ),
)


def describe(app: Litestar) -> Json:
    """Return the app's OpenAPI 3.1 document."""
    document: Json = app.openapi_schema.to_schema()
    _, schemas = msgspec.json.schema_components(_SHAPES, ref_template=_REFERENCE)
    document["components"]["schemas"] = schemas
    document["info"]["description"] = DESCRIPTION
    for path, operation in _operations(document):
        for parameter in operation.get("parameters", ()):
            _mend_parameter(parameter)
        _mend_responses(path, operation)
    _as_ecma(document)
    return document


def _operations(document: Json) -> Iterator[tuple[str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in {"get", "post", "put", "patch", "delete"}:
                yield path, operation


def _mend_parameter(parameter: Json) -> None:
    """Drop null, for what may be left out is not sent as null, and flags that are false."""
    for flag in ("deprecated", "allowEmptyValue", "allowReserved"):
        parameter.pop(flag, None)
    schema = parameter["schema"]
    choices = schema.pop("oneOf", [])
    for choice in choices:
        if choice.get("type") != "null":
            schema.update({**choice, **schema})
    for bound in ("minimum", "maximum"):
        if schema.get("type") == "integer" and bound in schema:
            schema[bound] = _whole(schema[bound])


def _whole(bound: float) -> int:
    """Undo the loss of a large whole number in a float."""
    return min(int(bound), (1 << 63) - 1)


def _mend_responses(path: str, operation: Json) -> None:
    responses = operation["responses"]
    responses.pop("400", None)
    for response in responses.values():
        if "application/yaml" in response.get("content", {}):
            response["content"]["application/yaml"]["schema"] = {"type": ["object", "null"]}
    for status in _statuses(path, operation):
        responses[str(status)] = {
            "description": _ERRORS[status],
            "content": {
                "application/json": {
                    "schema": _V2_ERROR if path.startswith("/v2") else _ERROR_REPLY
                }
            },
        }
    if "503" in responses:
        responses["503"]["headers"] = {
            "Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}
        }
    if path in _OPEN:
        operation["security"] = []
    operation["responses"] = dict(sorted(responses.items()))


def _statuses(path: str, operation: Json) -> Iterator[int]:
    if path != "/healthz":
        yield 503
    if path in _OPEN:
        return
    yield from (400, 401, 403)
    places = {parameter["in"] for parameter in operation.get("parameters", ())}
    if "path" in places or path in _NAMING or path.startswith("/v1/metrics"):
        yield 404
    if "requestBody" in operation:
        yield from (413, 415)


def _as_ecma(node: Any) -> None:
    """Write patterns as JSON Schema has them, which Python's end of text is not part of."""
    if isinstance(node, dict):
        pattern = node.get("pattern")
        if isinstance(pattern, str):
            node["pattern"] = pattern.replace(r"\Z", "$")
        for value in node.values():
            _as_ecma(value)
    elif isinstance(node, list):
        for value in node:
            _as_ecma(value)
