"""Coming in with a token, and going out again."""

from contextlib import suppress
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.params import QueryParameter
from litestar.response import Redirect

from gristmill.domain.errors import NotAuthenticatedError, NotPermittedError
from gristmill.web.layout import page, respond
from gristmill.web.markup import Markup, tag
from gristmill.web.visit import (
    AnyRequest,
    TheSessions,
    TheVisitor,
    cookie_name,
    read_form,
    session_cookie,
)

HOME = "/ui/"
LONGEST_NEXT = 2000

Again = Annotated[bool, QueryParameter()]
Next = Annotated[str, QueryParameter(name="next", max_length=LONGEST_NEXT)]


@get("/ui/login")
async def show_login(
    request: AnyRequest, sessions: TheSessions, next_: Next = HOME, again: Again = False
) -> Response[Any]:
    """Ask for a token, unless there is a login."""
    wanted = _own_path(next_)
    with suppress(NotAuthenticatedError):
        await sessions.visitor(request.cookies.get(cookie_name(request), ""))
        return Redirect(wanted, status_code=303)
    if request.headers.get("sec-fetch-site") == "cross-site" and not again:
        return _once_more(wanted)
    return respond(_login_page(wanted))


@post("/ui/login")
async def log_in(request: AnyRequest, sessions: TheSessions) -> Response[Any]:
    """Take a token, and give a cookie for it."""
    form = await read_form(request)
    wanted = _own_path(form.get("next", HOME))
    try:
        handle = await sessions.open(form.get("token", "").strip())
    except (NotAuthenticatedError, NotPermittedError) as error:
        return respond(_login_page(wanted, str(error)), 403)
    await sessions.close(request.cookies.get(cookie_name(request), ""))
    return Redirect(wanted, status_code=303, cookies=[session_cookie(request, handle)])


@post("/ui/logout")
async def log_out(request: AnyRequest, author: TheVisitor, sessions: TheSessions) -> Response[Any]:
    """End the login."""
    del author
    await sessions.close(request.cookies.get(cookie_name(request), ""))
    return Redirect("/ui/login", status_code=303, cookies=[session_cookie(request, "")])


def to_login(request: AnyRequest) -> Response[Any]:
    """Send somebody who has not logged in to do so, and then back to the page they wanted."""
    query = request.scope["query_string"].decode("latin-1")
    wanted = request.scope["path"] + (f"?{query}" if query else "")
    home = wanted.rstrip("/") == "/ui"
    where = "" if home else f"?{urlencode({'next': wanted[:LONGEST_NEXT]})}"
    return Redirect(f"/ui/login{where}", status_code=303)


def _own_path(wanted: str) -> str:
    """Never send anybody to another site after their login."""
    ours = wanted.startswith("/ui/") and wanted.isascii() and wanted.isprintable()
    return wanted if ours and "\\" not in wanted and len(wanted) <= LONGEST_NEXT else HOME


def _once_more(wanted: str) -> Response[str]:
    """Come again at once: a browser keeps our cookie back when a link on another site led here."""
    address = f"/ui/login?{urlencode({'next': wanted, 'again': 'true'})}"
    text = tag("p", tag("a", "Go on", href=address))
    return respond(page("One moment", text), headers={"Refresh": f"0; url={address}"})


def _login_page(wanted: str, wrong: str = "") -> Markup:
    token = tag(
        "input",
        type="password",
        name="token",
        id="token",
        required=True,
        autofocus=True,
        autocomplete="current-password",
        spellcheck="false",
        aria_describedby="token-help" + (" wrong" if wrong else ""),
        aria_invalid="true" if wrong else None,
    )
    form = tag(
        "form",
        tag("h1", "Log in"),
        tag("p", f"That did not work: {wrong}.", id="wrong", class_="wrong", role="alert")
        if wrong
        else None,
        tag("input", name="user", value="gristmill", autocomplete="username", hidden=True),
        tag("label", "Token", for_="token"),
        token,
        tag(
            "p",
            "The administrator's token is in the file ",
            tag("code", "client.token"),
            " in the server's home. Others get theirs with ",
            tag("code", "gristmill token create --user NAME"),
            ".",
            id="token-help",
            class_="hint",
        ),
        tag("input", type="hidden", name="next", value=wanted),
        tag("button", "Log in", class_="main"),
        method="post",
        action="/ui/login",
        class_="login card",
        id="login",
    )
    return page("Log in", form)
