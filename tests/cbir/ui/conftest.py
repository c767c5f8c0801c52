"""A browser that visits the app."""

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.cbir.ui.browser import ARGUMENTS, BROWSER, WIDE
from tests.conftest import toy_photo

expect.set_options(timeout=15_000)


@pytest.fixture(scope="module")
def chromium():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, url):
    """Opens the app at an address, in a new window; checks at the end that it met no error and no other host."""
    contexts, problems = [], []

    def visit(address: str = "", script: str = "", **options) -> Page:
        contexts.append(chromium.new_context(**{"locale": "en-US"} | WIDE | options))
        page = contexts[-1].new_page()
        page.add_init_script(script)
        page.on("pageerror", lambda error: problems.append(f"error in the page: {error}"))
        page.on("request", lambda request: note_host(request.url))
        page.goto(url + address)
        expect(page.locator("#line h2")).to_be_visible()
        return page

    def note_host(address: str) -> None:
        parts = urlsplit(address)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
            problems.append(f"request to {address}")

    yield visit
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    toy_photo("red", "shirt", 99).resize((300, 300)).save(path)
    return path
