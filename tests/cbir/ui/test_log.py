"""The log tells what serves and how long searches take, and nothing of the people who search."""

import base64
import dataclasses
import logging
import re

import pytest

from cbir.search import Retriever
from cbir.ui import log
from cbir.ui.api import Endpoints
from cbir.ui.thumbnails import Thumbnails
from tests.conftest import ToyBackbone, png, toy_photo

SEARCH = (
    r"search at=/(\S+) by=(\w+) method=(\S+) match=(\S+) k=(\d+) found=(\d+) confident=(yes|no) "
    r"search=\d+\.\d{3}s all=\d+\.\d{3}s"
)


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, "cbir")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.fixture
def endpoints(retriever):
    return Endpoints(retriever, Thumbnails(retriever.index))


def test_what_serves_is_logged(toy_bundle, lines):
    made = dataclasses.replace(
        toy_bundle.manifest,
        dataset=dataclasses.replace(toy_bundle.manifest.dataset, repo="user/toy", revision="c0ffee", licence="cc0-1.0"),
    )
    bundle = dataclasses.replace(toy_bundle, manifest=made, notice="the Hub cannot be reached: this is another.")
    log.started(Retriever(bundle, ToyBackbone()), ToyBackbone())
    versions, what, backbone, notice = lines()
    assert re.match(r"apparel-cbir \S+, endpoints 1\.\d+, Python 3\.\d+\.\d+, gradio \S+, torch \S+", versions)
    assert f"bundle Toy photos, revision {bundle.revision}: 108 photos of user/toy@c0ffee, licence cc0-1.0" in what
    assert backbone == "backbone toy on cpu in float32: weights none, licence not stated"
    assert notice == "the Hub cannot be reached: this is another."


def test_each_search_is_a_line_without_anything_of_the_person(endpoints, lines):
    uri = "data:image/png;base64," + base64.b64encode(png(toy_photo("red", "shirt", 99))).decode()
    endpoints.published("search")(image=uri, method="cosine", k=5)
    endpoints.published("search_by_id")("red_shirt/3.png")
    endpoints.published("compare")(id="red_shirt/3.png")
    endpoints.published("search")(words="red shirt")
    photo, item, comparison, words = lines()
    assert re.fullmatch(SEARCH, photo).groups() == ("search", "photo", "cosine", "both", "5", "5", "yes")
    assert re.fullmatch(SEARCH, item).groups()[:2] == ("search_by_id", "id")
    assert re.fullmatch(SEARCH, words).groups()[:4] == ("search", "words", "-", "-")
    assert comparison.startswith("compare at=/compare by=id methods=6 match=both k=12 search=")
    assert not any("red_shirt" in line or "base64" in line for line in lines())


def test_what_is_refused_is_a_line_without_what_was_sent(endpoints, lines):
    with pytest.raises(Exception, match="unknown id"):
        endpoints.published("search_by_id")("my secret")
    (line,) = lines()
    assert re.fullmatch(r"refused at=/search_by_id error=UnknownNameError all=\d+\.\d{3}s", line)
