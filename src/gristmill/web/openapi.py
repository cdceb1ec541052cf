"""Reads an OpenAPI 3.1 document: operations with their parameters, bodies and replies."""

from collections.abc import Iterator
from typing import Any, NamedTuple

Schema = dict[str, Any]

METHODS = ("get", "post", "put", "patch", "delete")
_REFERENCE = "#/components/schemas/"
_FIRST = ("jobs", "output", "events", "agents")


class Parameter(NamedTuple):
    """A value outside the body. where: path, query or header."""

    name: str
    where: str
    required: bool
    description: str
    schema: Schema


class Body(NamedTuple):
    """What is sent. examples: values that fit."""

    media_type: str
    schema: Schema
    examples: list[Any]


class Reply(NamedTuple):
    """What comes back; schema: None without a body."""

    status: str
    media_type: str
    schema: Schema | None


class Operation(NamedTuple):
    """One thing that can be asked. public: without a token."""

    id: str
    tag: str
    method: str
    path: str
    summary: str
    description: str
    parameters: list[Parameter]
    body: Body | None
    replies: list[Reply]
    public: bool


class Document:
    """One OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.title: str = document["info"]["title"]
        self.version: str = document["info"]["version"]
        self.schemas: dict[str, Schema] = dict(
            sorted(document.get("components", {}).get("schemas", {}).items())
        )

    def operations(self) -> Iterator[Operation]:
        """Yield the operations, by path."""
        for path, item in sorted(self._document["paths"].items()):
            for method in METHODS:
                if method in item:
                    yield _operation(path, method, item[method])

    def place(self, tag: str) -> tuple[int, str]:
        """Return where a tag stands on the page: what people use most comes first."""
        return (_FIRST.index(tag) if tag in _FIRST else len(_FIRST), tag)

    def resolve(self, schema: Schema) -> Schema:
        """Follow a reference."""
        name = reference_of(schema)
        return schema if name is None else self.schemas[name]


def reference_of(schema: Schema) -> str | None:
    """Return the name of the schema that this one refers to."""
    reference: str | None = schema.get("$ref")
    return reference.removeprefix(_REFERENCE) if reference else None


def _operation(path: str, method: str, item: dict[str, Any]) -> Operation:
    return Operation(
        id=item["operationId"],
        tag=(item.get("tags") or ["other"])[0],
        method=method.upper(),
        path=path,
        summary=item.get("summary", ""),
        description=item.get("description", ""),
        parameters=[_parameter(found) for found in item.get("parameters", ())],
        body=_body(item.get("requestBody")),
        replies=[_reply(status, reply) for status, reply in sorted(item["responses"].items())],
        public=item.get("security") == [],
    )


def _parameter(item: dict[str, Any]) -> Parameter:
    schema = item.get("schema", {})
    description = item.get("description") or schema.get("description", "")
    return Parameter(item["name"], item["in"], item.get("required", False), description, schema)


def _body(item: dict[str, Any] | None) -> Body | None:
    if item is None:
        return None
    media_type, content = next(iter(item["content"].items()))
    examples = [found["value"] for found in content.get("examples", {}).values()]
    return Body(media_type, content.get("schema", {}), examples)


def _reply(status: str, item: dict[str, Any]) -> Reply:
    for media_type, content in item.get("content", {}).items():
        return Reply(status, media_type, content.get("schema"))
    return Reply(status, "", None)
