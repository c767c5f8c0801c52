"""The app over real HTTP: what programs get from the endpoints, and how the app starts."""

import dataclasses
import inspect
import io
import re
import warnings

import pytest
from PIL import Image

from cbir.options import SearchOptions
from cbir.search import Retriever
from cbir.similarity import Models
from cbir.ui.api import Endpoints
from cbir.ui.thumbnails import Thumbnails
from tests.cbir.ui.test_handlers import page_call
from tests.conftest import ToyBackbone, png, toy_photo
from train.evaluation.not_clothes import not_clothes

with warnings.catch_warnings():  # third-party imports warn about themselves
    warnings.simplefilter("ignore")
    import httpx
    from gradio_client import Client, handle_file
    from gradio_client.exceptions import AppError

    import app

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
OPTIONS = [
    *("method", "match", "k", "types", "colors", "weight", "other_colors", "least_similar", "hide_near_duplicates"),
    *("words", "color"),
]
ENDPOINTS = {
    "/search": ["image", "image_url", *OPTIONS, "crop"],
    "/search_by_id": ["id", *OPTIONS],
    "/search_together": ["images", "ids", *OPTIONS],
    "/search_many": ["images", *OPTIONS],
    "/facets": ["types", "colors"],
    "/compare": ["image", "image_url", "id", *OPTIONS[1:], "crop"],
    "/explain": ["id", "image", "image_url", "query_id", "crop"],
    "/random": ["seed"],
    "/methods": [],
}


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
    assert {name: [p["parameter_name"] for p in info["parameters"]] for name, info in named.items()} == ENDPOINTS
    assert "filepath" in named["/search"]["parameters"][0]["python_type"]["type"]
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


def test_words_and_a_color_search_without_a_photo(client, photo):
    answer = client.predict(words="blue shirt", k=3, api_name="/search")
    assert (answer["query"], answer["query_id"], answer["method"], answer["match"]) == ("blue shirt", None, "", "")
    assert [match["labels"] for match in answer["matches"]] == [{"type": "shirt", "color": "blue"}] * 3
    assert all(match["likeness"] is None and match["color_share"] > 0.2 for match in answer["matches"])
    beside = client.predict(photo, color="#283cbe", k=3, api_name="/search")
    assert [match["labels"] for match in beside["matches"]] == [{"type": "shirt", "color": "blue"}] * 3
    assert (beside["match"], beside["options"]["color"]) == ("type", "#283cbe")
    assert client.predict(color="yellow", k=1, api_name="/search")["is_confident"] is False


def test_a_thumbnail_has_an_address_that_may_be_cached_forever(client, url, retriever, photo):
    match = client.predict(photo, k=1, api_name="/search")["matches"][0]
    assert re.fullmatch(r"thumbnails/[0-9a-f]{32}\.jpg", match["thumbnail"])  # no path of the server
    assert Thumbnails(retriever.index).url(match["id"]) == match["thumbnail"]  # after a restart, too
    answer = httpx.get(url + match["thumbnail"])
    assert answer.status_code == 200
    assert Image.open(io.BytesIO(answer.content)).format == "JPEG"
    assert "immutable" in answer.headers["cache-control"]
    again = httpx.get(url + match["thumbnail"], headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert httpx.get(f"{url}thumbnails/..%2f..%2fetc/hostname").status_code == 404
    found = client.predict(handle_file(url + match["thumbnail"]), k=1, api_name="/search")  # it can be searched with
    assert found["matches"][0]["id"] == match["id"]


def test_names_that_the_bundle_knows_are_listed(client, retriever):
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    for endpoint in ("/search", "/search_by_id", "/search_together", "/search_many"):
        takes = {p["parameter_name"]: p["type"] for p in named[endpoint]["parameters"]}
        assert takes["method"]["enum"] == [method.name for method in retriever.methods]
        assert takes["match"]["enum"] == ["type", "color", "both", "any"]
        assert takes["types"]["oneOf"][1]["items"]["enum"] == ["pants", "shirt", "shoes"]
        assert takes["colors"]["oneOf"][1]["items"]["enum"] == ["blue", "red", "white"]


def test_search_by_id_leaves_the_query_out(client, toy_bundle):
    query = str(toy_bundle.gallery.ids[7])
    answer = client.predict(query, k=1000, api_name="/search_by_id")
    assert answer["query_id"] == query
    assert answer["k"] == 1000
    assert sorted([query] + [match["id"] for match in answer["matches"]]) == sorted(toy_bundle.gallery.ids)


def test_a_search_by_id_that_comes_again_is_not_computed_again(client, retriever, monkeypatch):
    first = client.predict("red_shirt/5.png", k=7, api_name="/search_by_id")
    monkeypatch.setattr(retriever, "rank", None)  # raises if it is called
    again = client.predict("red_shirt/5.png", k=7, api_name="/search_by_id")
    assert {**again, "seconds": 0} == {**first, "seconds": 0}
    assert again["seconds"] < 1


def test_every_option_of_a_search_counts(client, retriever, photo):
    options = {"types": ["pants", "shirt"], "colors": ["red", "blue"], "weight": 0.8, "k": 7}
    flags = {"least_similar": True, "hide_near_duplicates": True, "other_colors": False}
    answer = client.predict(photo, crop=[0, 0, 0.6, 1], **options, **flags, api_name="/search")
    expected = retriever.search(toy_photo("red", "shirt", 99), SearchOptions(**options, **flags), crop=(0, 0, 0.6, 1))
    assert [match["id"] for match in answer["matches"]] == [match.id for match in expected.matches]
    assert answer["options"]["types"] == ["pants", "shirt"]
    assert answer["options"]["weight"] == 0.8
    other = client.predict("red_shirt/3.png", other_colors=True, api_name="/search_by_id")
    assert {match["labels"]["type"] for match in other["matches"]} == {"shirt"}
    assert "red" not in {match["labels"]["color"] for match in other["matches"]}


def test_several_photos_and_ids_are_one_query(client, retriever, photo):
    answer = client.predict([photo, photo], ids=["blue_pants/1.png"], k=9, api_name="/search_together")
    image = toy_photo("red", "shirt", 99)
    expected = retriever.search([image, image], SearchOptions(k=9), ids=["blue_pants/1.png"])
    assert [match["id"] for match in answer["matches"]] == [match.id for match in expected.matches]
    by_ids = client.predict(ids=["blue_pants/1.png"], k=9, api_name="/search_together")
    assert by_ids["query_id"] == "blue_pants/1.png"


def test_a_batch_keeps_its_order_and_an_error_stays_with_its_photo(client, tmp_path):
    photos = [toy_photo(color, "shoes", 99) for color in ("white", "red")]
    files = [file_with(png(photos[0]), tmp_path, "a.png"), file_with(b"nothing", tmp_path, "b.png")]
    files.append(file_with(png(photos[1]), tmp_path, "c.png"))
    first, broken, last = client.predict(files, k=1, api_name="/search_many")
    for answer, color, name in ((first, "white", "a.png"), (last, "red", "c.png")):
        assert answer["error"] is None
        assert answer["result"]["query"] == name
        assert answer["result"]["matches"][0]["labels"] == {"type": "shoes", "color": color}
    assert broken["result"] is None
    assert "photo" in broken["error"]


def test_facets_count_what_a_filter_would_leave(client):
    assert client.predict(api_name="/facets")["type"] == {"pants": 36, "shirt": 36, "shoes": 36}
    assert client.predict(colors=["red"], api_name="/facets")["type"] == {"pants": 12, "shirt": 12, "shoes": 12}


def test_methods_are_compared(client, retriever, photo):
    by_photo = client.predict(photo, k=5, api_name="/compare")
    by_id = client.predict(id="red_shirt/3.png", k=5, api_name="/compare")
    for answer, is_certain in ((by_photo, False), (by_id, True)):
        assert [method["method"] for method in answer["methods"]] == [method.name for method in retriever.methods]
        assert answer["labels"] == [{"type": "shirt", "color": "red"}]
        assert answer["is_certain"] is is_certain
        assert len(answer["agreements"]) == len(retriever.methods) * (len(retriever.methods) - 1) // 2
    assert by_id["query_id"] == "red_shirt/3.png"


def test_a_match_is_explained(client, photo):
    for query in ({"image": photo}, {"query_id": "red_shirt/3.png"}):
        answer = client.predict("red_pants/4.png", **query, api_name="/explain")
        assert answer["evidence"]["color"]["agreement"] > 0.8
        assert answer["evidence"]["type"]["query"] == "shirt"
        assert answer["sentence"].startswith("Same type: ")
        for side in ("query_map", "item_map"):
            found = sum(map(sum, answer[side]["values"])) + answer[side]["color"]
            assert max(found, 0) == pytest.approx(answer["likeness"], abs=0.1)
            assert answer[side]["picture"].startswith("data:image/jpeg;base64,")
            assert answer[side]["box"] == [0, 0, 1, 1]


def test_a_photo_can_be_given_by_its_address(client, photo, monkeypatch):
    asked = []

    def fetch(url):
        asked.append(url)
        return png(toy_photo("red", "shirt", 99))

    monkeypatch.setattr("cbir.ui.inputs.fetch_image", fetch)  # itself: tests/test_fetch.py
    answer = client.predict(image_url="https://example.org/shirt.jpg", k=3, api_name="/search")
    assert answer["query"] == "https://example.org/shirt.jpg"
    assert answer["matches"] == client.predict(photo, k=3, api_name="/search")["matches"]
    address = handle_file("https://example.org/shirt.jpg")  # goes the same way, under the same limits
    assert client.predict(address, k=3, api_name="/search")["matches"] == answer["matches"]
    assert asked == ["https://example.org/shirt.jpg"] * 2


def test_what_shows_no_clothes_is_said_to(client, tmp_path):
    gradient = file_with(png(not_clothes(1, seed=5)["gradient"][0]), tmp_path)
    assert client.predict(gradient, api_name="/search")["is_confident"] is False


def test_random_repeats_by_seed(client, toy_bundle):
    first, again, other = (client.predict(seed, api_name="/random") for seed in (3, 3, 4))
    assert first == again
    assert first["id"] != other["id"]
    assert first["id"] == toy_bundle.gallery.random_id(3)
    drawn = [client.predict(api_name="/random") for _ in range(3)]
    assert len({item["seed"] for item in drawn}) == 3
    assert client.predict(drawn[0]["seed"], api_name="/random") == drawn[0]
    assert first["labels"] == toy_bundle.gallery.labels_of(toy_bundle.gallery.row(first["id"]))


def test_methods_are_those_of_the_bundle(client, retriever):
    answer = client.predict(api_name="/methods")
    assert [method["name"] for method in answer["methods"]] == [method.name for method in retriever.methods]
    assert answer["default"] in {method["name"] for method in answer["methods"]}
    assert all(method["explanation"] for method in answer["methods"])
    assert [choice["name"] for choice in answer["match"]] == ["type", "color", "both", "any"]
    assert [choice["name"] for choice in answer["match"] if choice["is_blind"]] == ["any"]


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
        ("/search", {"image": handle_file("http://127.0.0.1/a.jpg")}, "expected a public host"),
        ("/search", {"image": "data:image/jpeg;base64,%%"}, "its content in base64, got 'data:image/jpeg;base64,%%'"),
        ("/search_many", {"images": handle_file("https://example.org/a.jpg")}, "at most 64 photos"),
        ("/search", {"image_url": "https://example.org/a.jpg"}, "got both"),
        ("/search", {"image": None, "image_url": "http://127.0.0.1/a.jpg"}, "expected a public host"),
        ("/search", {"image": None, "image_url": "file:///etc/passwd"}, "expected the address of a photo"),
        ("/search", {"crop": [0, 0, 1]}, "left, top, right, bottom"),
        ("/search", {"colors": ["mauve"]}, "unknown color 'mauve'"),
        ("/search", {"weight": 2}, "from 0 to 1, got 2"),
        ("/search_together", {}, "at least one photo or id"),
        ("/search_together", {"images": [{"path": "/etc/hostname"}]}, "must be an uploaded file"),
        ("/search_many", {"images": [{"path": "/etc/hostname"}] * 65}, "at most 64 photos, got 65"),
        ("/search_many", {"images": "x"}, "at most 64 photos, got 'x'"),
        ("/compare", {}, "no photo"),
        ("/explain", {"id": "nobody", "query_id": "red_shirt/3.png"}, "unknown id 'nobody'"),
        ("/explain", {"id": "red_shirt/3.png"}, "expected a photo"),
        ("/facets", {"types": ["hat"]}, "unknown type 'hat'"),
        ("/search_by_id", {"id": "nobody"}, "unknown id 'nobody'"),
        ("/search_by_id", {"k": 0}, "at least 1, got 0"),
        ("/random", {"seed": -1}, "from 0 to 9007199254740991, got -1"),
        ("/random", {"seed": "x"}, "whole number from 0 to 9007199254740991, got 'x'"),
        ("/random", {"seed": 2**53}, "got 9007199254740992"),
        ("/search_by_id", {"k": 10**9}, "at most 1000 results, got 1000000000: ask for fewer"),
        ("/search_by_id", {"id": 7}, "expected id as a text of at most 2000 characters, got 7"),
        ("/search_by_id", {"id": "x" * 3000}, f"got '{'x' * 59}…'"),
        ("/search_by_id", {"id": "a\nb"}, r"unknown id 'a\nb'"),
        ("/search_by_id", {"types": "shirt"}, "expected types as a list of at most 100 names, got 'shirt'"),
        ("/search_together", {"ids": ["red_shirt/3.png"] * 65}, "at most 64 ids, got 65"),
        ("/search_together", {"ids": [["red_shirt/3.png"] * 9] * 9}, "at most 64 ids, got [['red_shirt/3.png', "),
        ("/facets", {"colors": {"red": 1}}, "expected colors as a list of at most 100 names, got {'red': 1}"),
        ("/search", {"crop": 5}, "0 <= top < bottom <= 1, got 5"),
        ("/search", {"crop": [0, 0, 10**30, 1]}, "got [0, 0, ...]"),
        ("/search", {"image_url": ["http://example.org"]}, "expected image_url as a text"),
    ],
)
def test_a_mistake_gives_one_clear_line(client, photo, toy_bundle, endpoint, arguments, message):
    fitting = {"/search": {"image": photo}, "/search_by_id": {"id": str(toy_bundle.gallery.ids[0])}}
    with pytest.raises(AppError) as error:
        client.predict(**fitting.get(endpoint, {}) | arguments, api_name=endpoint)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert client.predict(0, api_name="/random")["id"]  # the app lives on


@pytest.mark.parametrize("mark", [{}, {"meta": {"_type": "gradio.FileData"}}])
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("search", lambda file: [file, ""]),
        ("search_together", lambda file: [[file], []]),
        ("search_many", lambda file: [[file]]),
        ("compare", lambda file: [file]),
        ("explain", lambda file: ["red_shirt/3.png", file]),
    ],
)
def test_endpoints_read_only_uploads_and_errors_do_not_tell_which_files_there_are(url, tmp_path, name, data, mark):
    (tmp_path / "there.png").write_bytes(png(toy_photo("red", "shirt", 99)))
    parameters = httpx.get(url + "gradio_api/info").json()["named_endpoints"][f"/{name}"]["parameters"]
    answers = set()
    for file in ("there.png", "gone.png"):
        given = data({"path": str(tmp_path / file), **mark})
        defaults = [parameter["parameter_default"] for parameter in parameters[len(given) :]]
        answers.add(str(page_call(url, name, given + defaults)))
    assert len(answers) == 1
    answer = answers.pop()
    assert answer == "None" or "must be an uploaded file" in answer  # None: Gradio refused it, and tells nothing
    assert str(tmp_path) not in answer


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
    def broken(*arguments, **options):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(retriever, "search", broken)
    with pytest.raises(AppError, match="went wrong on our side") as error:
        client.predict(photo, api_name="/search")
    assert "secret" not in str(error.value)
    assert "secret detail" in caplog.text


def test_a_bundle_without_learned_methods_searches_without_being_told_how(toy_bundle):
    bare = Retriever(dataclasses.replace(toy_bundle, models=Models()), ToyBackbone())
    search = Endpoints(bare, Thumbnails(bare.index)).published("search_by_id")
    assert inspect.signature(search).parameters["method"].default == "cosine"
    assert search("red_shirt/3.png")["method"] == "cosine"
    assert "cosine, inverse_euclidean" in search.__doc__
    assert "random_forest" not in search.__doc__


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
