"""SECURITY.md states the limits that the code holds; the commands of docs/reliability.md write its sections."""

import re

import pytest

from benchmarks.requests import parse_args
from cbir import images, words
from cbir.ui import fetch, limits
from tests.conftest import ROOT

MB, KB, GB = 2**20, 2**10, 2**30
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", TEXT, re.MULTILINE))


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("file", [f"{images.MAX_BYTES // MB} MB"]),
        ("pixels, longest side", [f"{images.MAX_PIXELS // 10**6} million", f"{images.MAX_EDGE:,}"]),
        ("memory to decode it", [f"{images.MAX_MEMORY // MB} MB"]),
        ("address: time, redirects", [f"{fetch.MAX_SECONDS:.0f} s", str(fetch.MAX_REDIRECTS)]),
        ("photos, ids", [f"{limits.MAX_PHOTOS} each"]),
        ("results", [f"{limits.MAX_K:,}"]),
        ("texts, lists of names", [f"{limits.MAX_TEXT:,} characters", f"{limits.MAX_NAMES} names"]),
        ("colors in words", [str(words.MAX_COLORS)]),
        ("JSON of agents", [f"{limits.MAX_DEPTH} levels", f"{limits.MAX_BRACKETS:,} lists"]),
        ("JSON, JSON with a photo", [f"{limits.MAX_BODY // KB} kB", f"{limits.MAX_BODY_WITH_PHOTO // MB} MB"]),
        ("one upload, one request with several", [f"{limits.MAX_UPLOAD // MB} MB", f"{limits.MAX_UPLOADS // MB} MB"]),
        ("address", [f"{limits.MAX_URL:,} characters"]),
        ("time until all of it has come", [f"{limits.BODY_SECONDS:.0f} s"]),
        ("requests that wait for their turn", [str(limits.WAITING_PER_CLIENT)]),
        ("uploads, addresses being fetched", [f"{limits.UPLOADS_PER_CLIENT}, {limits.ADDRESSES_PER_CLIENT}"]),
        ("open streams", [str(limits.STREAMS_PER_CLIENT)]),
        ("calls that are not answered or fetched", [str(limits.CALLS), f"{limits.CALLS_HOLD // MB} MB"]),
        (
            "requests being answered, uploads arriving, addresses being fetched",
            [f"{n} each" for n in (limits.REQUESTS_AT_ONCE, limits.UPLOADS_AT_ONCE, limits.ADDRESSES_AT_ONCE)],
        ),
        ("streams", [f"{limits.STREAMS:,}"]),
        ("answers that nobody fetches", [f"{limits.UNASKED_KEPT:.0f} s", f"{limits.LEFT_KEPT:.0f} s"]),
        (
            "uploads",
            [
                f"{limits.UPLOADS_TOTAL // GB} GB",
                f"{limits.UPLOADS_NUMBER:,} files",
                f"{limits.NAMES_PER_UPLOAD} names",
            ],
        ),
    ],
)
def test_stated_limits_are_those_of_the_code(row, values):
    for value in values:
        assert value in ROWS[row], (row, value)


def test_uploads_are_kept_as_long_as_stated():
    assert limits.UPLOADS_KEPT == 3 * 3600
    assert "three hours" in ROWS["uploads"]


@pytest.mark.parametrize("name", ["memory", "wrong", "soak", "speed"])
def test_documented_commands_write_sections_that_are_there(name):
    assert parse_args([name, "--write"]).write
    page = (ROOT / "docs" / ("scale.md" if name == "speed" else "reliability.md")).read_text(encoding="utf-8")
    assert f"<!-- requests-{name} -->" in page
    assert name == "speed" or f"python -m benchmarks.requests {name} --write" in page
