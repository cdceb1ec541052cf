"""Coming in, staying in, and being kept out."""

from urllib.parse import quote

import pytest
from litestar.datastructures import Cookie
from litestar.testing import RequestFactory

from gristmill.web.visit import session_cookie
from tests.web.place import WebPlace, form_token, page_of

PROTECTED = ["/ui", "/ui/", "/ui/?state=ready", "/ui/agents", "/ui/jobs/1", "/ui/events"]


@pytest.mark.parametrize("path", PROTECTED)
def test_strangers_are_led_to_the_login(place: WebPlace, path: str) -> None:
    reply = place.browser().get(path)
    assert reply.status_code == 303
    assert reply.headers["location"].startswith("/ui/login")
    assert place.client(None).get(path, headers={"Accept": "*/*"}).status_code == 401


@pytest.mark.parametrize(
    "path", ["/ui/jobs/1/stdout/more?attempt=0", "/ui/jobs/1/stdout/file?attempt=0"]
)
def test_strangers_read_no_output(place: WebPlace, path: str) -> None:
    assert place.client(None).get(path, headers={"Accept": "*/*"}).status_code == 401


def test_the_server_s_address_leads_to_the_dashboard(place: WebPlace) -> None:
    assert place.browser().get("/").headers["location"] == "/ui/"


def test_login_gives_a_handle_that_is_not_the_token(place: WebPlace) -> None:
    browser = place.browser()
    reply = browser.post(
        "/ui/login", data={"token": f" {place.admin_token}\n", "next": "/ui/agents"}
    )
    assert reply.status_code == 303
    assert reply.headers["location"] == "/ui/agents"
    cookie = reply.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/ui" in cookie
    assert place.admin_token not in cookie
    page = page_of(browser.get("/ui/"))
    assert "Log out admin" in page.text
    assert place.admin_token not in str(page.elements)


def test_a_user_s_token_works_too(place: WebPlace) -> None:
    token = place.token(place.name("ann"))["token"]
    assert "Log out ann" in page_of(place.visitor(token).get("/ui/")).text


@pytest.mark.parametrize("token", ["", "wrong", "a.b.c", "ü", "x" * 20_000])
def test_a_wrong_token_opens_nothing(place: WebPlace, token: str) -> None:
    browser = place.browser()
    page = page_of(browser.post("/ui/login", data={"token": token}), 403)
    assert "That did not work" in page.text
    assert not browser.cookies


def test_an_agent_s_token_opens_nothing(place: WebPlace) -> None:
    token = place.token(place.name("robot"), scopes=["agent"])["token"]
    page = page_of(place.browser().post("/ui/login", data={"token": token}), 403)
    assert "read" in page.text


@pytest.mark.parametrize(
    "wanted",
    ["https://example.org/", "//example.org", "/\\example.org", "/v1/jobs", "/ui/\r\nX: y", "/ui"],
)
def test_login_leads_to_no_other_place(place: WebPlace, wanted: str) -> None:
    form = {"token": place.admin_token, "next": wanted}
    assert place.browser().post("/ui/login", data=form).headers["location"] == "/ui/"
    page = page_of(place.browser().get(f"/ui/login?next={quote(wanted)}"))
    assert [found["value"] for _, found in page.elements if found.get("name") == "next"] == ["/ui/"]


def test_a_link_from_another_site_finds_the_cookie_at_a_second_look(place: WebPlace) -> None:
    came = {"Sec-Fetch-Site": "cross-site"}
    reply = place.browser().get("/ui/login?next=/ui/agents", headers=came)
    page_of(reply)
    address = reply.headers["refresh"].removeprefix("0; url=")
    page_of(place.browser().get(address, headers=came))
    assert place.visitor().get(address).headers["location"] == "/ui/agents"


def test_logout_ends_the_login(place: WebPlace) -> None:
    visitor = place.visitor()
    handle = dict(visitor.cookies)
    token = form_token(page_of(visitor.get("/ui/")))
    reply = visitor.post("/ui/logout", data={"form_token": token})
    assert reply.status_code == 303
    assert "Max-Age=0" in reply.headers["set-cookie"]
    thief = place.browser()
    thief.cookies.update(handle)
    assert thief.get("/ui/").status_code == 303


def test_a_second_login_ends_the_first(place: WebPlace) -> None:
    visitor = place.visitor()
    first = dict(visitor.cookies)
    visitor.post("/ui/login", data={"token": place.admin_token})
    assert dict(visitor.cookies) != first
    old = place.browser()
    old.cookies.update(first)
    assert old.get("/ui/").status_code == 303


def test_a_revoked_token_ends_its_logins(place: WebPlace) -> None:
    created = place.token(place.name("leaver"))
    visitor = place.visitor(created["token"])
    assert visitor.get("/ui/").status_code == 200
    assert place.admin.delete(f"/v1/tokens/{created['id']}").status_code == 204
    assert visitor.get("/ui/").status_code == 303


FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://example.org"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_forms_of_other_sites_are_refused(place: WebPlace, headers: dict[str, str]) -> None:
    visitor, job = place.visitor(), place.submit(delay=1000)
    token = form_token(page_of(visitor.get("/ui/")))
    cancel, form = f"/ui/jobs/{job}/cancel", {"form_token": token}
    page_of(visitor.post(cancel, data=form, headers=headers), 403)
    page_of(place.browser().post("/ui/login", data={"token": "x"}, headers=headers), 403)
    assert place.admin.get(f"/v1/jobs/{job}").json()["state"] == "delayed"
    own = {"Origin": place.url, "Sec-Fetch-Site": "same-origin"}
    assert visitor.post(cancel, data=form, headers=own).status_code == 303
    assert place.admin.get(f"/v1/jobs/{job}").json()["state"] == "cancelled"


@pytest.mark.parametrize("token", [None, "", "guess", "of another login"])
def test_forms_without_the_page_s_token_are_refused(place: WebPlace, token: str | None) -> None:
    visitor, job = place.visitor(), place.submit(delay=1000)
    if token == "of another login":
        token = form_token(page_of(place.visitor().get("/ui/")))
    form = {} if token is None else {"form_token": token}
    page_of(visitor.post(f"/ui/jobs/{job}/cancel", data=form), 403)
    page_of(visitor.post("/ui/logout", data=form), 403)
    assert place.admin.get(f"/v1/jobs/{job}").json()["state"] == "delayed"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join(b"a=1" for _ in range(50)), b"{}", b""])
def test_what_is_no_form_is_refused(place: WebPlace, body: bytes) -> None:
    reply = place.visitor().post("/ui/jobs/1/cancel", content=body)
    assert reply.status_code in {400, 403}
    page_of(reply, reply.status_code)


def test_a_huge_form_is_refused(place: WebPlace) -> None:
    page_of(place.visitor().post("/ui/login", data={"token": "x" * 100_000}), 413)


def test_a_form_of_somebody_who_left_is_answered_with_a_page(place: WebPlace) -> None:
    page = page_of(place.browser().post("/ui/jobs/1/cancel", data={"form_token": "x"}), 401)
    assert "Not logged in" in page.text


def test_reading_is_not_writing(place: WebPlace) -> None:
    name = place.name("reader")
    job = place.submit(place.client(place.token(name)["token"]), delay=1000)
    visitor = place.visitor(place.token(name, scopes=["read"])["token"])
    token = form_token(page_of(visitor.get(f"/ui/jobs/{job}")))
    page = page_of(visitor.post(f"/ui/jobs/{job}/cancel", data={"form_token": token}), 403)
    assert "write" in page.text


def test_cookies_are_secure_where_the_connection_is() -> None:
    def cookie(scheme: str, port: int) -> Cookie:
        factory = RequestFactory(server="example.org", port=port, scheme=scheme)
        return session_cookie(factory.get("/"), "handle")

    secure, plain = cookie("https", 7071), cookie("http", 7070)
    assert secure.secure
    assert not plain.secure
    assert secure.key != plain.key
