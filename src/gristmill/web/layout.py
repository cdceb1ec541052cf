"""The frame around every page, and the headers that keep it to itself."""

from litestar import Response

from gristmill import __version__
from gristmill.web.assets import asset_url
from gristmill.web.markup import Child, Markup, join, tag
from gristmill.web.sessions import Visitor

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_PLACES = (("overview", "/ui/", "Jobs"), ("agents", "/ui/agents", "Agents"))


def page(
    title: str,
    *content: Child,
    visitor: Visitor | None = None,
    place: str = "",
    events: str | None = None,
    now: float | None = None,
) -> Markup:
    """Return a whole page.

    place: which entry of the navigation it belongs to. events: address of the stream that says
    when its live parts are out of date. now: the server's epoch seconds.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · Gristmill"),
        tag("link", rel="icon", type="image/svg+xml", href=asset_url("icon.svg")),
        tag("link", rel="stylesheet", href=asset_url("gristmill.css")),
        tag("script", src=asset_url("gristmill.js"), defer=True),
    )
    body = tag(
        "body",
        tag("a", "Skip to content", href="#content", class_="skip"),
        _header(visitor, place, live=events is not None),
        tag("main", *content, id="content"),
        tag("footer", f"Gristmill {__version__}"),
        data_events=events,
        data_now=None if now is None else f"{now:.3f}",
    )
    return join(Markup("<!doctype html>"), tag("html", head, body, lang="en"))


def _header(visitor: Visitor | None, place: str, *, live: bool) -> Markup:
    brand = tag("a", "Gristmill", href="/ui/", class_="brand")
    links = [
        tag("a", text, href=href, aria_current="page" if name == place else None)
        for name, href, text in _PLACES
    ]
    docs = tag("a", "API", href="/docs", aria_current="page" if place == "docs" else None)
    if visitor is None:
        return tag("header", brand, tag("nav", docs, aria_label="Main"))
    status = tag("span", "", id="connection", role="status") if live else None
    return tag(
        "header",
        brand,
        tag("nav", links, docs, aria_label="Main"),
        status,
        post_form("/ui/logout", visitor, f"Log out {visitor.who.user}", class_="quiet"),
    )


def post_form(action: str, visitor: Visitor, label: str, class_: str = "") -> Markup:
    """Return a button that changes something."""
    return tag(
        "form",
        tag("input", type="hidden", name="form_token", value=visitor.session.form_token),
        tag("button", label, class_=class_),
        method="post",
        action=action,
    )


def respond(
    content: Markup, status: int = 200, headers: dict[str, str] | None = None
) -> Response[str]:
    """Return a page as a reply that nobody stores."""
    return Response(
        content,
        status_code=status,
        media_type="text/html",
        headers={**SECURITY_HEADERS, "Cache-Control": "no-store", **(headers or {})},
    )
