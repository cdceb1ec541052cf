"""The pages behind a real listener, and people who look at them."""

import re
from html.parser import HTMLParser

import httpx2

from gristmill.domain.clock import Chance
from gristmill.native.app import openapi_document
from gristmill.server.asgi import App
from gristmill.server.gateway import Gateway, Route
from gristmill.server.guard import Guard
from gristmill.server.head import AnswerHead
from gristmill.web.app import create_web_app
from tests.native.place import Place

PAGE = {"Accept": "text/html"}


class WebPlace(Place):
    """A place with the pages."""

    def _app(self) -> App:
        native = super()._app()
        web: App = AnswerHead(create_web_app(self.house, openapi_document))  # type: ignore[arg-type]
        routes = [Route(prefix, web) for prefix in ("/", "/ui", "/docs")]
        return Guard(Gateway(routes, native), Chance())

    def browser(self) -> httpx2.Client:
        """Return a client that keeps cookies and asks for pages, logged in nowhere."""
        browser = self.client(None)
        browser.headers.update(PAGE)
        return browser

    def visitor(self, token: str | None = None) -> httpx2.Client:
        """Return a browser that has logged in; token: else the administrator's."""
        browser = self.browser()
        reply = browser.post("/ui/login", data={"token": token or self.admin_token})
        assert reply.status_code == 303, reply.text
        return browser

    @property
    def admin_token(self) -> str:
        """The administrator's token."""
        return (self.home / "client.token").read_text().strip()

    def submit(self, client: httpx2.Client | None = None, **spec: object) -> int:
        """Add a job and return its id."""
        reply = (client or self.admin).post("/v1/jobs", json={"command": "true", **spec})
        assert reply.status_code == 201, reply.text
        job: int = reply.json()["id"]
        return job


class Page(HTMLParser):
    """What a browser makes of a page: elements with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self._texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._texts))

    def all(self, tag: str, name: str) -> list[str]:
        """Return the values of an attribute of every such element that has it."""
        return [
            attrs[name] or "" for found, attrs in self.elements if found == tag and name in attrs
        ]


def page_of(reply: httpx2.Response, status: int = 200) -> Page:
    """Return the page in a reply, whose headers must keep it safe."""
    assert reply.status_code == status, (reply.status_code, reply.text[:500])
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = reply.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "same-origin"
    assert reply.headers["cache-control"] == "no-store"
    page = Page(reply.text)
    for element, attributes in page.elements:
        assert "style" not in attributes, (element, attributes)
        assert not [name for name in attributes if name.startswith("on")], (element, attributes)
        for name in ("src", "href", "action"):
            address = attributes.get(name) or "/"
            assert address.startswith(("/", "#")), address
            assert not address.startswith("//"), address
    return page


def form_token(page: Page) -> str:
    """Return what the forms of this page carry."""
    tokens = {
        attributes["value"]
        for element, attributes in page.elements
        if element == "input" and attributes.get("name") == "form_token"
    }
    (token,) = tokens
    assert token
    return token
