"""The OpenAPI document: the routes table, with what each endpoint of it takes and gives."""

from collections.abc import Iterable, Iterator
from typing import Any

from gristmill.dialects.prominence.exchange import Exchange
from gristmill.dialects.prominence.openapi_descriptions import (
    JOB_DESCRIPTIONS,
    Json,
    reference,
    whole,
)
from gristmill.dialects.prominence.openapi_operations import (
    JSON_TYPE,
    LOGIN,
    OPERATIONS,
    TOKEN,
    Documented,
)
from gristmill.dialects.prominence.openapi_replies import REPLIES
from gristmill.dialects.prominence.openapi_workflows import WORKFLOW_DESCRIPTIONS
from gristmill.dialects.prominence.routes import (
    DOCUMENT,
    GAP,
    PREFIXES,
    REST,
    Endpoint,
    OpenEndpoint,
)

TITLE = "PROMINENCE, as Gristmill speaks it"
DESCRIPTION = """\
Jobs of container tasks, and workflows of jobs. Times are Unix seconds, memory and disk GB,
walltimes and times in the queue minutes. Every refusal has the one shape of Error. An id that does
not exist is never answered with 404, which tells the clients that the server's URL is wrong."""

SERVERS = PREFIXES[::-1]
_ERRORS = {
    400: "The request makes no sense, or not now. Nothing was changed.",
    401: "No credential, one that is wrong or expired, or something that is switched off.",
    403: "It is not the caller's.",
    404: "There is nothing at this path.",
    405: "The path takes other methods.",
    408: "The body stopped coming.",
    413: "The body is too large.",
    414: "The URL is too long.",
    503: "Cannot be done now; try again.",
}
_SCHEMES = {
    TOKEN: {"type": "http", "scheme": "bearer", "description": "any scheme word is taken"},
    LOGIN: {"type": "http", "scheme": "basic", "description": "of a registered client"},
}


def document_endpoint(endpoints: Iterable[Endpoint | OpenEndpoint]) -> OpenEndpoint:
    """Return what serves the document of these endpoints."""
    document = describe((endpoint.method, endpoint.path) for endpoint in endpoints)

    async def show(exchange: Exchange) -> None:
        await exchange.reply(document)

    return OpenEndpoint("GET", DOCUMENT, show)


def describe(routes: Iterable[tuple[str, str]]) -> Json:
    """Return the OpenAPI 3.1 document of methods with path patterns.

    Raises KeyError for one that nothing is written of.
    """
    paths: dict[str, Json] = {}
    for method, pattern in routes:
        documented = OPERATIONS[method, pattern]
        for path, gaps in _paths(pattern, documented):
            paths.setdefault(path, {})[method.lower()] = _operation(
                f"{method.lower()}_{_words(path)}", documented, gaps
            )
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "description": DESCRIPTION, "version": "1"},
        "servers": [{"url": url} for url in SERVERS],
        "paths": paths,
        "components": {
            "schemas": {**JOB_DESCRIPTIONS, **WORKFLOW_DESCRIPTIONS, **REPLIES},
            "securitySchemes": _SCHEMES,
        },
    }


def _paths(pattern: str, documented: Documented) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the paths that a pattern stands for, each with the names of its gaps."""
    names = iter(documented.gaps)
    segments = [
        f"{{{next(names)}}}" if segment in (GAP, REST) else segment
        for segment in pattern.split("/")
    ]
    if documented.bare:
        yield "/" + "/".join(segments[:-1]), documented.gaps[:-1]
    yield "/" + "/".join(segments), documented.gaps


def _words(path: str) -> str:
    return path.strip("/").replace("/", "_").replace("{", "").replace("}", "")


def _operation(name: str, documented: Documented, gaps: tuple[str, ...]) -> Json:
    operation: Json = {
        "operationId": name,
        "summary": documented.summary,
        "security": [{documented.caller: []}] if documented.caller else [],
        "parameters": [*map(_gap, gaps), *documented.query],
        "responses": _responses(documented, gaps),
    }
    if documented.body is not None:
        operation["requestBody"] = documented.body
    return operation


def _gap(name: str) -> Json:
    schema: dict[str, Any] = {"type": "string", "minLength": 1}
    if name in ("id", "instance"):
        schema = whole(1 if name == "id" else 0, 10**18 - 1)
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _responses(documented: Documented, gaps: tuple[str, ...]) -> Json:
    responses: Json = {}
    for status, content in documented.replies.items():
        responses[str(status)] = {"description": "Done." if status < 400 else "Not all is well."}
        if content is not None:
            responses[str(status)]["content"] = {
                media_type: {"schema": schema} for media_type, schema in content.items()
            }
    for status in _refusals(documented, gaps):
        responses[str(status)] = {
            "description": _ERRORS[status],
            "content": {JSON_TYPE: {"schema": reference("Error")}},
        }
    return dict(sorted(responses.items()))


def _refusals(documented: Documented, gaps: tuple[str, ...]) -> set[int]:
    statuses = {*documented.errors, 414, 503}
    if documented.caller:
        statuses.add(401)
    if documented.body is not None:
        statuses |= {408, 413}
    if gaps:
        statuses |= {404, 405}
    return statuses
