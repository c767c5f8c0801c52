"""What the server answers beside Gradio's own."""

import io
import re
import warnings

import httpx
from PIL import Image

with warnings.catch_warnings():  # third-party imports warn about themselves
    warnings.simplefilter("ignore")
    from cbir.ui.routes import shared_picture

import cbir
from cbir.index import GalleryIndex
from cbir.version import API_VERSION


def meta_of(page):
    return dict(re.findall(r'<meta (?:property|name)="([\w:]+)" content="([^"]*)"', page))


def test_the_server_says_whether_it_is_up_and_what_it_is(url, toy_bundle):
    assert httpx.get(f"{url}health").json() == {"status": "ok"}
    version = httpx.get(f"{url}version").json()
    assert (version["version"], version["api_version"]) == (cbir.__version__, API_VERSION)
    assert (version["bundle"], version["revision"]) == ("Toy photos", toy_bundle.revision)
    assert (version["photos"], version["backbone"], version["device"], version["notice"]) == (108, "toy", "cpu", None)
    about = httpx.get(f"{url}gradio_api/openapi.json").json()
    assert about["info"]["version"] == API_VERSION
    assert any(path.endswith("/search") for path in about["paths"])


def test_a_shared_link_shows_this_page_and_not_gradio(url):
    answer = httpx.get(url)
    assert answer.status_code == 200
    assert "window.gradio_config" in answer.text  # the page is there
    shown = meta_of(answer.text)
    assert shown["og:title"] == "Apparel CBIR: Toy photos"
    assert "<title>Apparel CBIR: Toy photos</title>" in answer.text
    assert "with a photo" in shown["og:description"] == shown["description"]
    assert shown["og:url"] == url
    assert shown["og:image"] == f"{url}picture.jpg"
    assert answer.text.count("og:title") == 1
    assert not re.search(r'content="[^"]*[Gg]radio', answer.text)
    picture = httpx.get(shown["og:image"])
    assert Image.open(io.BytesIO(picture.content)).size == (1200, 630)
    assert httpx.get(f"{url}icon.svg").headers["content-type"].startswith("image/svg+xml")
    assert httpx.get(f"{url}favicon.ico").content == httpx.get(f"{url}icon.svg").content


def test_behind_a_proxy_a_shared_link_has_the_address_that_people_see(url):
    headers = {"x-forwarded-host": "user-search.hf.space", "x-forwarded-proto": "https", "accept-language": "pt-BR"}
    shown = meta_of(httpx.get(url, headers=headers).text)
    assert shown["og:image"] == "https://user-search.hf.space/picture.jpg"
    assert "com uma foto" in shown["og:description"]


def test_the_picture_is_made_of_the_catalogue_however_small(toy_bundle):
    one = toy_bundle.gallery.take([0])
    assert Image.open(io.BytesIO(shared_picture(GalleryIndex(one)))).size == (1200, 630)
