"""JSON Schemas as people read them: types in a phrase, fields in a table, a call to copy."""

import json
import shlex
from typing import Any

from gristmill.web.markup import Child, Markup, tag
from gristmill.web.openapi import Document, Operation, Schema, reference_of

BASE = "$URL"
NULL = {"type": "null"}
_BOUNDS = (
    ("minimum", "≥"),
    ("exclusiveMinimum", ">"),
    ("maximum", "≤"),
    ("exclusiveMaximum", "<"),
    ("minLength", "length ≥"),
    ("maxLength", "length ≤"),
    ("minItems", "items ≥"),
    ("maxItems", "items ≤"),
)
_SAMPLES: dict[str, Any] = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}


def type_text(schema: Schema, document: Document) -> Child:
    """Return a phrase such as ``array of JobSpec, items ≤ 10``, schemas as links."""
    name = reference_of(schema)
    if name is not None:
        return tag("a", name, href=f"#schema-{name}")
    choices = _choices(schema)
    if choices:
        return [_either([type_text(choice, document) for choice in choices]), _limits(schema)]
    kind = schema.get("type", "anything")
    if isinstance(kind, list):
        return [_either(list(kind)), _limits(schema)]
    if kind == "array":
        return ["array of ", type_text(schema.get("items", {}), document), _limits(schema)]
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        values = type_text(schema["additionalProperties"], document)
        return ["object of ", values, _limits(schema)]
    if "enum" in schema:
        return _either([tag("code", json.dumps(value)) for value in schema["enum"]])
    return [kind, f" ({schema['format']})" if "format" in schema else "", _limits(schema)]


def _choices(schema: Schema) -> list[Schema]:
    """Return what any of may be; empty schemas say nothing, and are left out."""
    found = schema.get("oneOf") or schema.get("anyOf") or schema.get("allOf") or []
    return [choice for choice in found if choice]


def _either(parts: list[Child]) -> Child:
    return [[part, " or " if place < len(parts) - 1 else ""] for place, part in enumerate(parts)]


def _limits(schema: Schema) -> str:
    limits = [f"{sign} {_plain(schema[key])}" for key, sign in _BOUNDS if key in schema]
    return "".join(f", {limit}" for limit in limits)


def _plain(value: float) -> str:
    whole = int(value)
    for less in (0, 1):
        power = whole + less
        if power > 1 << 16 and power & (power - 1) == 0:
            return f"2^{power.bit_length() - 1}" + ("-1" if less else "")
    return f"{whole:,}" if whole == value else str(value)


def fields_table(schema: Schema, document: Document) -> Markup:
    """Return the fields of an object."""
    required = set(schema.get("required", ()))
    rows = [
        tag(
            "tr",
            tag("td", tag("code", name), _required(name in required)),
            tag("td", type_text(field, document)),
            tag("td", _default(field)),
        )
        for name, field in schema.get("properties", {}).items()
    ]
    head = tag("thead", tag("tr", [tag("th", title) for title in ("Field", "Type", "Default")]))
    return tag("div", tag("table", head, tag("tbody", rows)), class_="scroll")


def _required(required: bool) -> Markup | None:
    return tag("span", "required", class_="required") if required else None


def default_text(schema: Schema) -> list[Child]:
    """Return what counts when nothing is given."""
    default = _default(schema)
    return [", else ", default] if default else []


def _default(field: Schema) -> Markup | None:
    if "default" not in field:
        return None
    return tag("code", json.dumps(field["default"], ensure_ascii=False))


def example_call(operation: Operation, document: Document) -> str:
    """Return a curl command that makes the call."""
    path = operation.path
    query = []
    for found in operation.parameters:
        value = sample(found.schema, document)
        if found.where == "path":
            path = path.replace(f"{{{found.name}}}", str(value))
        elif found.where == "query" and found.required:
            query.append(f"{found.name}={value}")
    method = _method(operation)
    address = f"{BASE}{path}" + (f"?{'&'.join(query)}" if query else "")
    lines = [f'curl {method}"{address}"']
    if not operation.public:
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if operation.body is not None:
        body = operation.body
        value = body.examples[0] if body.examples else sample(body.schema, document)
        text = value if isinstance(value, str) else json.dumps(value)
        lines += [f'-H "Content-Type: {body.media_type}"', f"-d {shlex.quote(text)}"]
    return " \\\n  ".join(lines)


def _method(operation: Operation) -> str:
    plain = operation.method == "GET" or (operation.method == "POST" and operation.body)
    return "" if plain else f"-X {operation.method} "


def sample(schema: Schema, document: Document) -> Any:
    """Return a small value that fits the schema."""
    schema = document.resolve(schema)
    for key in ("example", "default", "const"):
        if schema.get(key) is not None:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    choices = [choice for choice in _choices(schema) if choice != NULL]
    if choices:
        return sample(choices[0], document)
    if schema.get("properties"):
        properties = schema["properties"]
        names = schema.get("required") or list(properties)[:1]
        return {name: sample(properties[name], document) for name in names}
    if schema.get("type") == "array":
        return [sample(schema.get("items", {}), document)]
    return _SAMPLES.get(schema.get("type", ""), "NAME")
