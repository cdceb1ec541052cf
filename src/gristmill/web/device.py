"""The page on which a person lets a terminal log in."""

from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import QueryParameter

from gristmill.domain.errors import NotFoundError
from gristmill.web.layout import page, respond
from gristmill.web.markup import Markup, tag
from gristmill.web.visit import AnyRequest, TheHouse, TheVisitor, read_form

LONGEST_CODE = 20

Code = Annotated[str, QueryParameter(max_length=LONGEST_CODE)]


@get("/ui/device")
async def ask(visitor: TheVisitor, code: Code = "") -> Response[str]:
    """Ask for the code that the terminal shows."""
    return respond(_form(visitor.session.form_token, visitor.who.user, code))


@post("/ui/device")
async def approve(request: AnyRequest, author: TheVisitor, house: TheHouse) -> Response[Any]:
    """Let the terminal log in as the visitor."""
    form = await read_form(request)
    code = form.get("code", "")[:LONGEST_CODE]
    try:
        await house.device_logins.approve(author.who, code)
    except NotFoundError as error:
        wrong = _form(author.session.form_token, author.who.user, code, str(error))
        return respond(wrong, 404)
    done = tag("p", f"The terminal is now logged in as {author.who.user}. You can close this page.")
    return respond(page("Logged in", tag("h1", "Logged in"), done))


def _form(form_token: str, user: str, code: str, wrong: str = "") -> Markup:
    form = tag(
        "form",
        tag("h1", "Let a terminal log in"),
        tag("p", f"That did not work: {wrong}.", id="wrong", class_="wrong", role="alert")
        if wrong
        else None,
        tag("label", "Code", for_="code"),
        tag(
            "input",
            name="code",
            id="code",
            value=code,
            required=True,
            autofocus=True,
            autocomplete="off",
            spellcheck="false",
            aria_describedby="code-help",
        ),
        tag(
            "p",
            f"Only go on if you started this login yourself: the terminal will act as {user}.",
            id="code-help",
            class_="hint",
        ),
        tag("input", type="hidden", name="form_token", value=form_token),
        tag("button", "Log it in", class_="main"),
        method="post",
        action="/ui/device",
        class_="login card",
    )
    return page("Let a terminal log in", form)
