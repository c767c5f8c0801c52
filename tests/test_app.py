"""The app over real HTTP: what programs get from the endpoints, and how the app starts."""

import io
import warnings

import pytest
from PIL import Image

from cbir.search import SearchOptions
from tests.conftest import png, toy_photo

with warnings.catch_warnings():  # third-party imports warn about themselves
    warnings.simplefilter("ignore")
    import httpx
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    import app

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
ENDPOINTS = {"/search", "/search_by_id", "/random", "/methods"}


@pytest.fixture(scope="module")
def client(url):
    client = Client(url, verbose=False)
    yield client
    client.close()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(png(toy_photo("red", "shirt", 99)))
    return handle_file(path)


def file_with(content, tmp_path, name="photo.png"):
    path = tmp_path / name
    path.write_bytes(content)
    return handle_file(path)


def test_endpoints_have_stable_names_and_parameters(client):
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(named) == ENDPOINTS
    assert {name: [p["parameter_name"] for p in info["parameters"]] for name, info in named.items()} == {
        "/search": ["image", "method", "match", "k"],
        "/search_by_id": ["id", "method", "match", "k"],
        "/random": ["seed"],
        "/methods": [],
    }
    assert named["/search"]["parameters"][0]["python_type"]["type"] == "filepath"
    assert "score: float" in named["/search"]["returns"][0]["python_type"]["type"]


def test_search_answers_with_ranked_matches(client, retriever, photo):
    answer = client.predict(photo, method="cosine", match="type", k=5, api_name="/search")
    assert (answer["query_id"], answer["method"], answer["match"], answer["k"]) == (None, "cosine", "type", 5)
    assert answer["seconds"] > 0
    assert answer["bundle"]["title"] == "Toy photos"
    assert [match["rank"] for match in answer["matches"]] == [1, 2, 3, 4, 5]
    expected = retriever.search(toy_photo("red", "shirt", 99), SearchOptions("cosine", "type", 5))
    assert [(m["id"], m["labels"]) for m in answer["matches"]] == [(m.id, m.labels) for m in expected.matches]
    assert [m["score"] for m in answer["matches"]] == pytest.approx([m.score for m in expected.matches])


def test_a_thumbnail_can_be_fetched(client, url, photo):
    match = client.predict(photo, k=1, api_name="/search")["matches"][0]
    answer = httpx.get(url + match["thumbnail"])
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.content)).format == "JPEG"


def test_search_by_id_leaves_the_query_out(client, toy_bundle):
    query = str(toy_bundle.gallery.ids[7])
    answer = client.predict(query, k=1000, api_name="/search_by_id")
    assert answer["query_id"] == query
    assert answer["k"] == 1000
    assert sorted([query] + [match["id"] for match in answer["matches"]]) == sorted(toy_bundle.gallery.ids)


def test_random_repeats_by_seed(client, toy_bundle):
    first, again, other = (client.predict(seed, api_name="/random") for seed in (3, 3, 4))
    assert first == again
    assert first["id"] != other["id"]
    assert first["id"] == toy_bundle.gallery.random_id(3)
    assert first["labels"] == toy_bundle.gallery.labels_of(toy_bundle.gallery.row(first["id"]))


def test_methods_are_those_of_the_bundle(client, retriever):
    answer = client.predict(api_name="/methods")
    assert [method["name"] for method in answer["methods"]] == [method.name for method in retriever.methods]
    assert answer["default"] in {method["name"] for method in answer["methods"]}
    assert all(method["explanation"] for method in answer["methods"])
    assert [choice["name"] for choice in answer["match"]] == ["type", "color", "both"]


@pytest.mark.parametrize(
    ("endpoint", "arguments", "message"),
    [
        ("/search", {"method": "magic"}, "unknown method 'magic'"),
        ("/search", {"match": "size"}, "unknown task 'size'"),
        ("/search", {"k": 0}, "at least 1, got 0"),
        ("/search", {"k": -3}, "at least 1, got -3"),
        ("/search", {"k": 2.5}, "at least 1, got 2.5"),
        ("/search", {"image": None}, "no photo"),
        ("/search", {"image": {"path": "/etc/hostname"}}, "must be an uploaded file"),
        ("/search", {"image": "/etc/hostname"}, "must be an uploaded file"),
        ("/search_by_id", {"id": "nobody"}, "unknown id 'nobody'"),
        ("/search_by_id", {"k": 0}, "at least 1, got 0"),
        ("/random", {"seed": -1}, "at least 0, got -1"),
        ("/random", {"seed": "x"}, "at least 0, got 'x'"),
    ],
)
def test_a_mistake_gives_one_clear_line(client, photo, toy_bundle, endpoint, arguments, message):
    fitting = {"/search": {"image": photo}, "/search_by_id": {"id": str(toy_bundle.gallery.ids[0])}, "/random": {}}
    with pytest.raises(AppError) as error:
        client.predict(**fitting[endpoint] | arguments, api_name=endpoint)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert client.predict(0, api_name="/random")["id"]  # the app lives on


@pytest.mark.parametrize("content", [b"", b"hello", png(toy_photo("red", "shirt", 1))[:400]])
def test_a_bad_photo_gives_one_clear_line(client, tmp_path, content):
    with pytest.raises(AppError, match="photo"):
        client.predict(file_with(content, tmp_path), api_name="/search")


def test_a_photo_is_opened_by_our_loader_whatever_its_mode(client, tmp_path):
    image = toy_photo("blue", "pants", 99)
    alpha = image.convert("RGBA").quantize(64)
    answer = client.predict(file_with(png(alpha), tmp_path), k=3, api_name="/search")
    assert len(answer["matches"]) == 3


def test_a_bug_shows_a_generic_line_and_is_logged(client, retriever, photo, monkeypatch, caplog):
    def broken(*arguments):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(retriever, "search", broken)
    with pytest.raises(AppError, match="went wrong on our side") as error:
        client.predict(photo, api_name="/search")
    assert "secret" not in str(error.value)
    assert "secret detail" in caplog.text


def test_the_queue_and_its_limits_cannot_be_passed_by(url):
    assert httpx.post(url + "gradio_api/run/methods", json={"data": []}).status_code == 404


def test_only_thumbnails_are_public(url):
    for path in ("/etc/hostname", app.__file__):
        assert httpx.get(f"{url}gradio_api/file={path}").status_code == 403


def test_app_says_on_one_line_what_is_wrong_with_the_bundle(tmp_path, capsys):
    assert app.main(["--bundle", str(tmp_path / "nothing")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_app_takes_the_bundle_from_the_environment(monkeypatch):
    monkeypatch.setenv("CBIR_BUNDLE", "somebody/clothes@v1")
    assert app.parse_args([]).bundle == "somebody/clothes@v1"
    assert app.parse_args(["--bundle", "here"]).bundle == "here"
