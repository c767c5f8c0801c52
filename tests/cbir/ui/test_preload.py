"""The page itself: what it tells the browser to fetch at once, and how small it is."""

import re
import warnings

import pytest

from cbir.ui.preload import ASSETS, preloads

with warnings.catch_warnings():  # third-party imports warn about themselves
    warnings.simplefilter("ignore")
    import httpx

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def test_the_page_names_scripts_that_exist_and_comes_compressed(url):
    answer = httpx.get(url, headers={"accept-encoding": "gzip"})
    scripts = re.findall(r'<link rel="modulepreload" href="\./assets/([^"]*)">', answer.text.partition("</head>")[0])
    assert len(scripts) > 20
    assert all((ASSETS / script).is_file() for script in scripts)
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < 60_000
    plain = httpx.get(url, headers={"accept-encoding": "identity"})
    assert plain.text == answer.text


def test_other_answers_stay_as_they_are(url):
    assert "modulepreload" not in httpx.get(url + "config").text
    assert httpx.get(url + "gradio_api/nothing/").status_code == 404


def test_only_scripts_of_the_kinds_of_the_page_are_named(tmp_path):
    html, both = preloads(["html"]), preloads(["html", "slider", "nothing"])
    assert html.count("<link") < both.count("<link")
    assert "hls" not in both
    (tmp_path / "core-1.js").write_text("something else")
    assert preloads(["html"], tmp_path) == preloads(["html"], tmp_path / "nowhere") == ""
