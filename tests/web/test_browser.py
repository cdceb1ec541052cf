"""The dashboard in a real browser, on a real server: live, safe, and readable on a phone."""

import shutil
from collections.abc import Iterator
from contextlib import suppress

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from playwright.sync_api import Error as PageError

from gristmill.domain.job import JobSpec
from tests.e2e.harness import RunningServer, short_folder, start_server
from tests.web.test_markup import HOSTILE

LIMIT = 60_000.0
"""Milliseconds that anything may take on a slow and loaded machine."""

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"]
HTML = "text/html"
PHONE = {"width": 390, "height": 844}
COUNT = 'for i in 1 2 3 4 5; do echo "step $i <b>of</b> 5"; sleep 0.2; done; echo over >&2'

expect.set_options(timeout=LIMIT)


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with short_folder() as folder:
        server = start_server(folder / "h")
        try:
            yield server
        finally:
            server.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium here: scripts/system-packages installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, timeout=LIMIT)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(timezone_id="Asia/Kolkata", ignore_https_errors=True)
    context.set_default_timeout(LIMIT)
    context.set_default_navigation_timeout(LIMIT)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab in which no script fails and no policy is broken."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    yield page
    assert not complaints


def log_in(page: Page, server: RunningServer, base: str = "") -> None:
    page.goto(f"{base or server.url_http}/ui/#token={server.token}")
    expect(page.locator("#connection")).to_have_text("live")


def test_a_token_after_the_hash_logs_in_and_is_gone(page: Page, server: RunningServer) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    log_in(page, server)
    assert server.token not in page.url
    assert not [url for url in asked if server.token in url.partition("#")[0]]
    page.go_back()
    assert server.token not in page.url


def test_logging_in_by_hand_over_https(page: Page, server: RunningServer) -> None:
    page.goto(f"{server.url_https}/ui/agents")
    page.get_by_label("Token").fill(server.token)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Agents")).to_be_visible()
    (cookie,) = page.context.cookies()
    assert cookie["secure"]
    assert cookie["httpOnly"]
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert page.context.cookies() == []


def test_the_overview_follows_what_happens(page: Page, server: RunningServer) -> None:
    log_in(page, server)
    job = server.client().submit(JobSpec(command="true", name=HOSTILE))
    row = page.locator("tr", has=page.locator(f"#job-{job.id}"))
    expect(row).to_contain_text("complete")
    expect(row).to_contain_text(HOSTILE)
    expect(row.locator("b")).to_have_count(0)
    stamp = row.locator("time")
    assert " UTC" in (stamp.get_attribute("title") or "")
    zone = "element => new Date(element.dateTime).toLocaleString('sv')"
    assert stamp.inner_text() == stamp.evaluate(zone)


def test_a_job_s_output_grows_on_its_page(page: Page, server: RunningServer) -> None:
    log_in(page, server)
    job = server.client().submit(JobSpec(command=COUNT, delay=1))
    page.goto(f"{server.url_http}/ui/jobs/{job.id}")
    expect(page.locator("#stdout .output")).to_contain_text("step 1 <b>of</b> 5")
    expect(page.locator("#stdout .output")).to_contain_text("step 5 <b>of</b> 5")
    expect(page.locator("#stderr .output")).to_contain_text("over")
    expect(page.locator("#standing .badge")).to_have_text("complete")
    assert page.locator("#stdout .output").inner_text().count("step") == 5
    page.get_by_role("button", name="Run again").click()
    expect(page.locator("#stdout .aside").first).to_contain_text("attempt 2")
    expect(page.locator("#stdout .output")).to_contain_text("step 5")
    assert page.locator("#stdout .output").inner_text().count("step") == 5


def test_a_button_cancels(page: Page, server: RunningServer) -> None:
    log_in(page, server)
    job = server.client().submit("sleep 1000")
    page.goto(f"{server.url_http}/ui/jobs/{job.id}")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#standing .badge")).to_have_text("cancelled")
    expect(page.get_by_role("button", name="Run again")).to_be_visible()


@pytest.mark.parametrize("path", ["/ui/", "/ui/agents", "/ui/jobs/{job}", "/docs"])
def test_pages_fit_a_phone(page: Page, server: RunningServer, path: str) -> None:
    wide = "x" * 300
    labels = {"w" * 100: wide}
    spec = JobSpec(command=f"echo {wide}", name=wide, group=wide, labels=labels)
    job = server.client().submit(spec)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    log_in(page, server)
    page.goto(server.url_http + path.format(job=job.id))
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_link_on_another_site_leads_to_the_page(page: Page, server: RunningServer) -> None:
    log_in(page, server)
    link = f'<meta charset="utf-8"><a href="{server.url_http}/ui/agents">there</a>'
    page.route("http://example.test/", lambda route: route.fulfill(body=link, content_type=HTML))
    page.goto("http://example.test/")
    page.get_by_role("link", name="there").click()
    expect(page.get_by_role("heading", name="Agents")).to_be_visible()


def test_a_page_that_lost_its_login_asks_for_a_new_one(
    context: BrowserContext, server: RunningServer
) -> None:
    # Not the page that must not complain: what it asks for before it is loaded anew is refused.
    page = context.new_page()
    log_in(page, server)
    context.clear_cookies()
    # The page may have noticed by itself, and be on its way there just now.
    with suppress(PageError):
        page.reload()
    expect(page.get_by_label("Token")).to_be_visible()
