"""The app of the pages: /ui, /docs, and the way there from /."""

from collections.abc import Callable
from typing import Any

from litestar import Litestar, Response, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.response import Redirect

from gristmill.domain.errors import (
    ConflictError,
    GristmillError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    NotPermittedError,
    UnavailableError,
)
from gristmill.services.house import House
from gristmill.web import agents, assets, device, docs, jobs, live, login, output, overview
from gristmill.web.layout import page, respond
from gristmill.web.markup import tag
from gristmill.web.sessions import SITE, Sessions
from gristmill.web.visit import AnyRequest, provide_author, provide_visitor

LARGEST_FORM = 64 << 10

_STATUSES: dict[type[GristmillError], tuple[int, str]] = {
    InvalidInputError: (400, "That cannot be shown"),
    NotPermittedError: (403, "Not permitted"),
    NotFoundError: (404, "Not found"),
    ConflictError: (409, "That cannot be done now"),
    UnavailableError: (503, "Not available now"),
}


def create_web_app(house: House, openapi: Callable[[], dict[str, Any]]) -> Litestar:
    """Return the ASGI app of the pages. openapi: makes the document that /docs shows."""
    sessions = Sessions(house.tokens, house.web_sessions(SITE), house.chance)

    async def provide_house() -> House:
        return house

    async def provide_sessions() -> Sessions:
        return sessions

    return Litestar(
        route_handlers=[
            to_dashboard,
            overview.overview,
            agents.agent_page,
            jobs.job_page,
            jobs.cancel,
            jobs.retry,
            output.more,
            output.download,
            live.events,
            login.show_login,
            login.log_in,
            login.log_out,
            device.ask,
            device.approve,
            assets.asset,
            docs.docs_route(openapi),
        ],
        dependencies={
            "house": Provide(provide_house),
            "sessions": Provide(provide_sessions),
            "visitor": Provide(provide_visitor),
            "author": Provide(provide_author),
        },
        exception_handlers={
            NotAuthenticatedError: _on_stranger,
            GristmillError: _on_own_error,
            ValidationException: _on_validation,
            HTTPException: _on_http,
            Exception: _on_defect,
        },
        request_max_body_size=LARGEST_FORM,
        state=State({"sessions": sessions}),
        openapi_config=None,
        logging_config=None,
    )


@get("/")
async def to_dashboard() -> Redirect:
    """Show the dashboard to whoever opens the server's address."""
    return Redirect("/ui/")


def _on_stranger(request: AnyRequest, error: NotAuthenticatedError) -> Response[Any]:
    """Pages lead to the login; what only scripts fetch says no."""
    wants_page = "text/html" in request.headers.get("accept", "text/html")
    if request.method == "GET" and wants_page:
        return login.to_login(request)
    return _page(401, "Not logged in", f"{error}.")


def _on_own_error(_: AnyRequest, error: GristmillError) -> Response[str]:
    status, title = next(
        (found for kind, found in _STATUSES.items() if isinstance(error, kind)),
        (400, "That cannot be shown"),
    )
    return _page(status, title, f"{error}.", {"Retry-After": "1"} if status == 503 else None)


def _on_validation(_: AnyRequest, __: ValidationException) -> Response[str]:
    return _page(400, "That cannot be shown", "A part of this address does not fit.")


def _on_http(_: AnyRequest, error: HTTPException) -> Response[str]:
    headers = {key: value for key, value in (error.headers or {}).items() if key.lower() == "allow"}
    title = "Not found" if error.status_code == 404 else "That did not work"
    text = "There is no such page." if error.status_code == 404 else error.detail
    return _page(error.status_code, title, text, headers)


def _on_defect(_: AnyRequest, error: Exception) -> Response[str]:
    """Leave what nobody expected to the server's guard, which logs it under an id."""
    raise error


def _page(
    status: int, title: str, text: str, headers: dict[str, str] | None = None
) -> Response[str]:
    back = tag("p", tag("a", "Go to the dashboard", href="/ui/"))
    return respond(page(title, tag("h1", title), tag("p", text), back), status, headers)
