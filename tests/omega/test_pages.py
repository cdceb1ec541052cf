"""Both readers of the API document in a real browser, which may load nothing from elsewhere."""

import shutil

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.omega.talk import Omega

LIMIT = 60_000.0
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"]


def test_swagger_ui_and_redoc(omega: Omega) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium here: scripts/system-packages installs it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS, timeout=LIMIT)
        try:
            page = browser.new_page()
            page.set_default_timeout(LIMIT)
            _swagger_ui(page, omega.server.url_http)
            _redoc(page, f"{omega.server.url_http}/omega-ml")
        finally:
            browser.close()


def _swagger_ui(page: Page, base: str) -> None:
    foreign: list[str] = []
    page.on("request", lambda request: foreign.append(request.url))
    page.goto(f"{base}/api/docs")
    block = page.locator("#operations-model-model_action_fit_put")
    expect(block).to_be_visible(timeout=LIMIT)
    block.click()
    expect(block.get_by_text("a tag for the new version")).to_be_visible(timeout=LIMIT)
    assert [url for url in foreign if not url.startswith((base, "data:"))] == []


def _redoc(page: Page, base: str) -> None:
    page.goto(f"{base}/api/redoc")
    heading = page.get_by_role("heading", name="List datasets")
    expect(heading.first).to_be_visible(timeout=LIMIT)
