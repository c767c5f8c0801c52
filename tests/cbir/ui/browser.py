"""What tests of the page in a real browser share; the fixtures are in `conftest.py`."""

import os
import re
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
SHIRT = "red_shirt/3.png"
ANSWERED = re.compile("The 12 closest|No confident match")  # of a picture taken at random
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
WIDE = {"viewport": {"width": 1440, "height": 900}}
MARKS = [
    pytest.mark.skipif(not BROWSER and "CBIR_REQUIRE_BROWSER" not in os.environ, reason="needs Chromium or Chrome"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
LOOKS = pytest.mark.parametrize(
    ("device", "theme", "locale"),
    [
        ("desktop", "light", "en-US"),
        ("desktop", "dark", "pt-BR"),
        ("phone", "light", "pt-BR"),
        ("phone", "dark", "en-US"),
    ],
)


def title(page):
    return page.locator("#line h2")


def tiles(page):
    return page.locator("#results .tile")


def results(page):
    """What was found, and not the catalogue."""
    return page.locator("#results .tile[data-pick]")


def captions(page):
    return page.locator("#results .caption")


def upload(page, photo):
    page.set_input_files("#photo input[type=file]", photo)
    expect(title(page)).to_contain_text(re.compile("12 closest|parecidos: 12"))


def choose(page, group, text):
    page.locator(f"#{group} label", has_text=re.compile(rf"^\s*{text}\b")).click()


def serious(page):
    page.wait_for_timeout(300)
    page.wait_for_function("!document.querySelector('.pending, .generating')")  # dimmed while it waits
    violations = Axe().run(page).response["violations"]
    return [
        (violation["id"], node["target"])
        for violation in violations
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
