"""What a request to a page brings: its cookie, its form, and where it came from."""

from typing import Any
from urllib.parse import parse_qsl

from litestar import Request
from litestar.datastructures import Cookie
from litestar.di import NamedDependency

from gristmill.domain.errors import InvalidInputError, NotAuthenticatedError, NotPermittedError
from gristmill.domain.identity import WRITE
from gristmill.services.house import House
from gristmill.web.sessions import LOG_IN, Sessions, Visitor, check_form_token

MOST_FIELDS = 20
OWN_PAGES = frozenset({"same-origin", "none"})

AnyRequest = Request[Any, Any, Any]
TheHouse = NamedDependency[House]
TheSessions = NamedDependency[Sessions]
TheVisitor = NamedDependency[Visitor]


def cookie_name(request: AnyRequest) -> str:
    """Return the cookie's name: cookies know no ports, and several servers may share a host."""
    server = request.scope.get("server")
    return f"gristmill_session_{server[1] if server else 0}"


def session_cookie(request: AnyRequest, handle: str) -> Cookie:
    """Return the cookie of a login; an empty handle makes one that ends it."""
    return Cookie(
        key=cookie_name(request),
        value=handle,
        path="/ui",
        httponly=True,
        samesite="strict",
        secure=request.scope["scheme"] == "https",
        max_age=None if handle else 0,
    )


async def provide_visitor(request: AnyRequest) -> Visitor:
    """Give a handler its visitor. Raises NotAuthenticatedError."""
    sessions: Sessions = request.app.state.sessions
    handle = request.cookies.get(cookie_name(request), "")
    if not handle:
        raise NotAuthenticatedError(LOG_IN)
    return await sessions.visitor(handle)


async def provide_author(request: AnyRequest) -> Visitor:
    """Give a handler a visitor who may change things and sent a form of ours."""
    form = await read_form(request)
    visitor = await provide_visitor(request)
    check_form_token(visitor.session, form.get("form_token", ""))
    if not visitor.who.may(WRITE):
        raise NotPermittedError(
            f"your token lacks the scope {WRITE!r}: log in with one that has it"
        )
    return visitor


async def read_form(request: AnyRequest) -> dict[str, str]:
    """Return the fields of a form that one of our pages sent.

    Raises NotPermittedError for a form from elsewhere, InvalidInputError for what is no form.
    """
    _check_origin(request)
    body = await request.body()
    try:
        text = body.decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS))
    except ValueError as error:
        raise InvalidInputError(f"the form cannot be read: {error}", "body") from error


def _check_origin(request: AnyRequest) -> None:
    """Browsers say where a form comes from; what says nothing is no browser, and has no cookie."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        own = site in OWN_PAGES
    else:
        own = origin is None or origin.partition("://")[2] == request.headers.get("host", "")
    if not own:
        raise NotPermittedError("this form was sent by another site, so nothing was done")
