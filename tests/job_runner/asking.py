"""Requests without a server, for what is decided before one is asked."""

from collections.abc import Iterable

from gristmill.dialects.job_runner.exchange import Message, Request


def request(
    method: str = "GET",
    target: str = "/api/v1/worker/",
    body: bytes = b"",
    headers: Iterable[tuple[str, str]] = (),
    scheme: str = "http",
) -> Request:
    """Return a request whose body was loaded."""
    path, _, query = target.partition("?")

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    scope = {
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "scheme": scheme,
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }
    made = Request(scope, receive, "", path)
    made.body = body
    return made
