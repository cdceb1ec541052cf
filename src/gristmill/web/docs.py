"""/docs: the native interface's OpenAPI document as a page that needs nothing from elsewhere."""

import asyncio
from collections.abc import Callable, Iterable
from functools import cache
from itertools import groupby
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from gristmill.web.layout import page, respond
from gristmill.web.markup import Child, Markup, tag
from gristmill.web.openapi import Document, Operation, Parameter, Reply
from gristmill.web.schemas import default_text, example_call, fields_table, type_text

Source = Callable[[], dict[str, Any]]


def docs_route(openapi: Source) -> HTTPRouteHandler:
    """Return the route of the page; openapi: makes the document, once."""

    @cache  # the document does not change while the server runs
    def content() -> Markup:
        return docs_page(Document(openapi()))

    @get("/docs")
    async def docs() -> Response[str]:
        """Show the documentation; it tells no secrets, so nobody is asked who they are."""
        return respond(await asyncio.to_thread(content))

    return docs


def docs_page(document: Document) -> Markup:
    """Return the whole page."""
    operations = sorted(document.operations(), key=lambda operation: document.place(operation.tag))
    by_tag = [
        (name, list(members)) for name, members in groupby(operations, lambda found: found.tag)
    ]
    return page(
        "Interface",
        tag("div", _contents(by_tag, document), _text(by_tag, document), class_="docs"),
        place="docs",
    )


def _contents(by_tag: Iterable[tuple[str, list[Operation]]], document: Document) -> Markup:
    groups = [
        tag(
            "details",
            tag("summary", name),
            tag("ul", [tag("li", _jump(operation)) for operation in operations]),
            open=True,
        )
        for name, operations in by_tag
    ]
    names = [tag("li", tag("a", name, href=f"#schema-{name}")) for name in document.schemas]
    schemas = tag("details", tag("summary", "schemas"), tag("ul", names))
    return tag("nav", groups, schemas, class_="contents", aria_label="Contents")


def _jump(operation: Operation) -> Markup:
    return tag("a", operation.summary, href=f"#{operation.id}")


def _text(by_tag: Iterable[tuple[str, list[Operation]]], document: Document) -> Markup:
    return tag(
        "div",
        _introduction(document),
        [
            tag(
                "section",
                tag("h2", name),
                [_operation(operation, document) for operation in operations],
                id=f"tag-{name}",
            )
            for name, operations in by_tag
        ],
        tag(
            "section",
            tag("h2", "Schemas"),
            [_schema(name, schema, document) for name, schema in document.schemas.items()],
            id="schemas",
        ),
    )


def _introduction(document: Document) -> Markup:
    return tag(
        "section",
        tag("h1", f"{document.title} interface ", tag("small", document.version)),
        tag(
            "p",
            "A token goes with every request: ",
            tag("code", "Authorization: Bearer TOKEN"),
            ". Bodies are JSON, times RFC 3339 in UTC, sizes megabytes, durations seconds. A "
            "2xx answer means that what it says is on disk. Only ",
            tag("code", "/healthz"),
            ", ",
            tag("code", "/readyz"),
            " and this page need no token.",
        ),
        tag(
            "p",
            "What goes wrong is told as ",
            tag("code", '{"error": {"code": …, "message": …, "field": …}}'),
            " with a status of 400 and above; the field names the value that does not fit, and "
            "nothing has been changed.",
        ),
        tag("p", "For programs: ", tag("a", "openapi.json", href="/v1/openapi.json"), "."),
    )


def _operation(operation: Operation, document: Document) -> Markup:
    return tag(
        "article",
        tag(
            "h3",
            tag("span", operation.method, class_=f"method {operation.method.lower()}"),
            tag("code", operation.path),
            tag("a", "#", href=f"#{operation.id}", class_="anchor", aria_label="Link to this"),
        ),
        tag("p", operation.summary, class_="summary"),
        tag("p", operation.description) if operation.description else None,
        _parameters(operation.parameters, document),
        _body(operation, document),
        _replies(operation, document),
        tag("h4", "Example"),
        tag("pre", example_call(operation, document), tabindex="0"),
        id=operation.id,
        class_="card operation",
    )


def _parameters(parameters: list[Parameter], document: Document) -> Child:
    if not parameters:
        return None
    rows = [
        tag(
            "tr",
            tag("td", tag("code", found.name), _required(found.required)),
            tag("td", found.where),
            tag("td", type_text(found.schema, document), default_text(found.schema)),
            tag("td", found.description),
        )
        for found in parameters
    ]
    return [tag("h4", "Parameters"), _table(("Name", "In", "Type", "Meaning"), rows)]


def _required(required: bool) -> Markup | None:
    return tag("span", "required", class_="required") if required else None


def _body(operation: Operation, document: Document) -> Child:
    if operation.body is None:
        return None
    return [
        tag("h4", "Body"),
        tag(
            "p",
            tag("code", operation.body.media_type),
            ": ",
            type_text(operation.body.schema, document),
        ),
    ]


def _replies(operation: Operation, document: Document) -> list[Child]:
    """Return the replies; those that look the same share a row."""
    rows = []
    for (media_type, _), members in groupby(operation.replies, _look):
        alike = list(members)
        schema = alike[0].schema
        rows.append(
            tag(
                "tr",
                tag("td", [[tag("code", reply.status), " "] for reply in alike]),
                tag("td", tag("code", media_type) if media_type else None),
                tag("td", type_text(schema, document) if schema else "no body"),
            )
        )
    return [tag("h4", "Replies"), _table(("Status", "Type", "Body"), rows)]


def _look(reply: Reply) -> tuple[str, str]:
    return reply.media_type, repr(reply.schema)


def _schema(name: str, schema: dict[str, Any], document: Document) -> Markup:
    return tag(
        "article",
        tag("h3", tag("code", name)),
        [tag("p", text) for text in schema.get("description", "").split("\n\n") if text],
        fields_table(schema, document),
        id=f"schema-{name}",
        class_="card",
    )


def _table(titles: tuple[str, ...], rows: list[Markup]) -> Markup:
    head = tag("thead", tag("tr", [tag("th", title, scope="col") for title in titles]))
    return tag("div", tag("table", head, tag("tbody", rows)), class_="scroll")
