"""The pages: safe on the wire, and alive in a real browser."""

import shutil
from collections.abc import Iterator
from urllib.parse import urljoin

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.mlbench.conftest import Start
from tests.mlbench.talk import Mlbench

LIMIT = 30_000.0
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"]
HOSTILE = "<img src=x onerror=alert(1)>'\""


def page_of(talk: Mlbench, path: str, status: int = 200) -> str:
    """Return a page, whose headers must keep it safe."""
    reply = talk.client.get(path)
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in reply.headers["content-security-policy"]
    assert "unsafe" not in reply.headers["content-security-policy"]
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert "://" not in reply.text, "nothing is fetched from elsewhere"
    return reply.text


@pytest.mark.parametrize(
    ("path", "home"),
    [
        ("/mlbench/", "./"),
        ("/mlbench/runs", "./"),
        ("/mlbench/runs/", "../"),
        ("/mlbench/worker/gristmill-mlbench-worker-0/", "../../"),
        ("/runs", "mlbench/"),
        ("/worker/gristmill-mlbench-worker-0/", "../../mlbench/"),
    ],
)
def test_links_are_relative_to_the_mount(idle: Mlbench, path: str, home: str) -> None:
    text = page_of(idle, path)
    assert f'data-home="{home}"' in text
    assert urljoin(path, home) == "/mlbench/"
    (script,) = [part for part in text.split('"') if part.startswith(f"{home}static/mlbench.js")]
    reply = idle.client.get(urljoin(path, script))
    assert reply.headers["content-type"].startswith("text/javascript")
    assert "immutable" in reply.headers["cache-control"]


def test_the_mount_without_its_slash(idle: Mlbench) -> None:
    reply = idle.client.get("/mlbench")
    assert reply.status_code == 307
    assert urljoin("/mlbench", reply.headers["location"]) == "/mlbench/"


def test_what_is_not_there(idle: Mlbench) -> None:
    for path in ("/mlbench/nothing", "/mlbench/runs/99999/", "/worker/nobody/", "/worker",
                 "/mlbench/static/../pages.py", "/runs/x/"):  # fmt: skip
        page_of(idle, path, 404)
    assert idle.client.post("/mlbench/runs").status_code == 405


def test_names_are_shown_and_not_obeyed(idle: Mlbench) -> None:
    idle.point(pod_name=HOSTILE, name=HOSTILE)
    body = {"name": HOSTILE, "num_workers": 1, "num_cpus": 1}
    run = idle.post("/runs/", json=body).json()["id"]
    idle.point(run_id=run, name=HOSTILE)
    for path in ("/mlbench/", "/mlbench/runs", f"/runs/{run}/"):
        assert "<img" not in page_of(idle, path)
    idle.delete(run)


def test_pages_ask_for_the_same_rights(idle: Mlbench) -> None:
    far = httpx2.get(f"{idle.server.url_http}/mlbench/", headers={"Authorization": "Bearer no"})
    assert far.status_code == 401
    assert far.headers["content-type"].startswith("text/html")


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
def tab(browser: Browser) -> Iterator[Page]:
    """A tab in which no script fails and no policy is broken."""
    page = browser.new_page()
    page.set_default_timeout(LIMIT)
    expect.set_options(timeout=LIMIT)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    yield page
    page.close()
    refused = ("400 (Bad Request)", "401 (Unauthorized)")
    assert all(any(word in text for word in refused) for text in complaints), complaints


def test_a_login_where_a_token_is_asked_for(start: Start, tab: Page) -> None:
    talk = Mlbench(start("--engine", "none", "--https", "off", "--mlbench-access", "token"))
    base, token = talk.server.url_http, talk.server.token
    run = talk.post(
        "/runs/",
        json={"name": "mine", "num_workers": 1, "num_cpus": 1},
        headers={"Authorization": f"Bearer {token}"},
    ).json()["id"]
    tab.goto(f"{base}/runs/{run}/")
    tab.get_by_label("Token").fill("wrong")
    with tab.expect_response(lambda reply: reply.status == 401):
        tab.get_by_role("button", name="Log in").click()
    expect(tab.get_by_role("alert")).not_to_be_empty()
    tab.goto(f"{base}/runs/{run}/")
    tab.get_by_label("Token").fill(token)
    tab.get_by_role("button", name="Log in").click()
    expect(tab.locator("h1")).to_have_text("mine")
    assert tab.url == f"{base}/mlbench/runs/{run}/"
    expect(tab.locator("#command")).not_to_be_empty()
    tab.goto(f"{base}/runs")
    expect(tab.locator("#runs")).to_contain_text("mine")
    (cookie,) = tab.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/mlbench")
    assert cookie["value"] not in token
    tab.goto(f"{base}/mlbench/runs/{run}/")
    tab.get_by_role("button", name="Delete").click()
    expect(tab.locator("h1")).to_have_text("Runs")
    assert talk.get("/runs/").status_code == 401
    handle = {"Cookie": f"{cookie['name']}={cookie['value']}"}
    assert talk.client.get("/mlbench/api/runs/", headers=handle).status_code == 200
    foreign = {**handle, "Sec-Fetch-Site": "cross-site"}
    body = {"name": "n", "num_workers": 1, "num_cpus": 1}
    reply = talk.client.post("/mlbench/api/runs/", json=body, headers=foreign)
    assert reply.status_code == 403
    talk.close()


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("", "/mlbench/"),
        ("runs/", "/mlbench/runs/"),
        ("//evil.example/", "/mlbench/evil.example/"),
        ("https://evil.example/", "/mlbench/https%3A/evil.example/"),
        ("\r\nX: y", "/mlbench/%0D%0AX%3A%20y"),
    ],
)
def test_a_login_leads_to_pages_of_ours(idle: Mlbench, wanted: str, place: str) -> None:
    form = {"token": idle.server.token, "next": wanted}
    reply = idle.client.post("/mlbench/login", data=form)
    assert (reply.status_code, reply.content) == (303, b"")
    assert urljoin("/mlbench/login", reply.headers["location"]) == place
    for field in ({"token": "wrong"}, {}):
        refused = idle.client.post("/mlbench/login", data=field)
        assert refused.status_code == 401
        assert "set-cookie" not in refused.headers
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert idle.client.post("/mlbench/login", data=form, headers=foreign).status_code == 403


def test_a_run_from_the_form_to_its_deletion(mlbench: Mlbench, tab: Page) -> None:
    tab.goto(f"{mlbench.server.url_http}/mlbench/runs")
    expect(tab.locator("#custom-image")).to_be_hidden()
    tab.get_by_label("Name", exact=True).fill("not a name")
    tab.locator("[name=image_name]").select_option("gristmill/2a")
    expect(tab.locator("#gpu")).to_be_hidden()
    tab.get_by_label("Light goal").check()
    tab.get_by_role("button", name="Add Run").click()
    expect(tab.get_by_role("alert")).to_have_text("Invalid run name not a name")
    tab.get_by_label("Name", exact=True).fill("from-the-form")
    tab.get_by_role("button", name="Add Run").click()
    expect(tab.locator("h1")).to_have_text("from-the-form")
    expect(tab.locator("#state")).to_have_text("finished")
    tab.get_by_label("Metric").select_option("train_loss @ 0")
    expect(tab.locator("#graphs canvas")).not_to_have_attribute("data-points", "0")
    tab.get_by_role("tab", name="Stdout").click()
    expect(tab.locator("#stdout pre")).to_contain_text("Goal Reached!")
    expect(tab.locator("#graphs")).to_be_hidden()
    with tab.expect_download() as download:
        tab.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "metrics_from-the-form.zip"
    tab.get_by_role("button", name="Delete").click()
    expect(tab.locator("h1")).to_have_text("Runs")
    expect(tab.get_by_role("link", name="from-the-form")).to_have_count(0)


def test_pods_and_one_worker(mlbench: Mlbench, tab: Page) -> None:
    pod = f"seen {HOSTILE}"
    for number in range(3):
        date = f"2026-01-01T00:00:0{number}Z"
        mlbench.point(pod_name=pod, name="cpu", value=number, date=date)
        mlbench.point(pod_name=pod, name="network_in", value=number, date=date, cumulative=True)
    tab.goto(f"{mlbench.server.url_http}/mlbench/")
    card = tab.locator("article", has_text="seen")
    expect(card.locator('canvas[data-metric="cpu"]')).to_have_attribute("data-points", "3")
    expect(card.locator('canvas[data-metric="network_in"]')).to_have_attribute("data-points", "2")
    expect(card.locator(".phase")).to_have_text("Unknown")
    card.get_by_role("link").click()
    expect(tab.locator("h1")).to_have_text(pod)
    tab.get_by_label("Metric").select_option("cpu")
    expect(tab.locator("canvas")).to_have_attribute("data-points", "3")
