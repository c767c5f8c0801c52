"""The page over real HTTP: what its handlers answer to what the browser sends."""

import base64
import csv
import dataclasses
import html
import io
import json
import re
import warnings
from pathlib import Path
from urllib.parse import parse_qs, unquote

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageStat

from cbir.errors import HubUnreachableError, Message
from cbir.gallery import Gallery
from cbir.index import GalleryIndex
from cbir.options import DEFAULT_K, SearchOptions
from cbir.search import Retriever
from cbir.similarity import DEFAULT_METHOD
from cbir.ui import build_demo, views
from cbir.ui.texts import Words
from tests.conftest import ToyBackbone, png, toy_photo
from train.evaluation.not_clothes import not_clothes

with warnings.catch_warnings():  # third-party imports warn about themselves
    warnings.simplefilter("ignore")
    import httpx

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")
SHIRT = "red_shirt/3.png"
NOT_UPLOADED = "image must be an uploaded file (gradio_client.handle_file(path)), an address, or a data: URI"
RESULTS, LINE, HERE, WEIGHT, OTHER_COLORS, TYPES, COLORS = range(7)  # what a search answers


def page_call(url, name, data, event_data=None, language="en"):
    """Calls a handler as the browser does -> its outputs, or the error's text."""
    config = httpx.get(url + "config").json()
    fn = next(d for d in config["dependencies"] if d["api_name"] == name)
    if isinstance(data, dict):  # by control
        controls = {c["id"]: c["props"].get("elem_id") for c in config["components"]}
        data = [data[controls[id]] for id in fn["inputs"]]
    body = {"data": data, "fn_index": fn["id"], "session_hash": "page", "event_data": event_data}
    headers = {"accept-language": language}
    httpx.post(url + "gradio_api/queue/join", json=body, headers=headers).raise_for_status()
    with httpx.stream("GET", url + "gradio_api/queue/data", params={"session_hash": "page"}) as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data:") or "{}")
            if message.get("msg") == "process_completed":
                return message["output"].get("data") or message["output"]["error"]
    raise AssertionError("no answer")


def asked(photo=None, **controls):
    """What the controls hold, by their elements."""
    start = {"more": None, "crop": "", "method": "cosine", "match": "both", "k": 4, "types": [], "colors": []}
    flags = dict.fromkeys(("other_colors", "least_similar", "hide_near_duplicates"), False)
    return {"photo": photo, **start, "weight": 0.5, **flags, "words": "", "color": None, **controls}


@pytest.fixture
def picture_of(url):
    """What the photo widget holds when it shows an item."""
    return lambda item_id: page_call(url, "restore", [f"?id={item_id}"])[0]


@pytest.fixture
def upload(url, tmp_path):
    """What the photo widget holds after an upload."""

    def upload(image):
        files = {"files": ("photo.png", png(image), "image/png")}
        path = httpx.post(url + "gradio_api/upload", files=files).json()[0]
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    return upload


def captions(answer):
    """The accessible names of the pictures: what each shows, and its rank and score."""
    return re.findall(r"class='tile'[^>]* aria-label='([^']*)'", answer[RESULTS])


def ids(answer):
    return re.findall(r"data-(?:pick|id)='([^']*)'", answer[RESULTS])


def test_the_page_names_methods_and_says_that_these_are_drawings(url, retriever):
    config = json.dumps(httpx.get(url + "config").json(), ensure_ascii=False)
    for method in retriever.methods:
        assert f"{method.title}\\n{method.explanation}" in config
    assert "python app.py --photos DIR" in config


def test_the_page_goes_from_a_random_photo_to_its_matches(url, toy_bundle):
    photo, seed, _, crop = page_call(url, "random_photo", [0, None])
    assert (seed, crop) == (0, "")
    answer = page_call(url, "refresh", asked(photo))
    ranks = [re.search(r"result (\d) of 4, (?:\d+ % alike|same picture)", caption)[1] for caption in captions(answer)]
    assert ranks == ["1", "2", "3", "4"]
    id = toy_bundle.gallery.random_id(0)
    label = toy_bundle.gallery.labels_of(toy_bundle.gallery.row(id))
    assert f"to “{label['color']} {label['type']}”" in answer[LINE]
    assert parse_qs(answer[HERE]) == {"id": [id], "method": ["cosine"], "k": ["4"]}


def test_the_next_click_is_a_new_seed_and_a_typed_seed_is_kept(url):
    assert page_call(url, "random_photo", [0, 0])[1] == 1
    assert page_call(url, "random_photo", [7, 1])[1] == 7
    assert page_call(url, "repeat_photo", [7])[1] == 7


def test_without_a_photo_the_page_shows_what_the_filters_leave_of_the_catalogue(url):
    answer = page_call(url, "refresh", asked(types=["shirt"], colors=["red"]))
    assert "From the catalogue" in answer[LINE]
    assert "12 pictures" in answer[LINE]
    assert set(captions(answer)) == {"Search with: red shirt"}


def test_the_catalogue_shows_more_and_others(url, toy_bundle):
    first = page_call(url, "refresh", asked())[RESULTS]
    seen = ids([first])
    assert len({toy_bundle.gallery.row(id) // 12 for id in seen[:9]}) == 9  # each class among the first
    more, others = re.findall(r"data-browse='([^']*)'", first)
    longer = ids(page_call(url, "browse", asked(), {"browse": more}))
    assert longer[: len(seen)] == seen
    assert len(longer) == 2 * len(seen)
    assert ids(page_call(url, "browse", asked(), {"browse": others})) != seen
    everything = page_call(url, "browse", asked(), {"browse": "0:480"})[RESULTS]
    assert sorted(ids([everything])) == sorted(toy_bundle.gallery.ids)
    assert len(re.findall("data-browse", everything)) == 1  # nothing more is left
    filtered = page_call(url, "browse", asked(types=["shirt"]), {"browse": "3:24"})
    assert all("_shirt/" in id for id in ids(filtered))


@pytest.mark.parametrize("data", [None, {}, {"browse": "x"}, {"browse": "1"}, {"browse": "-1:3"}, {"browse": ["1:2"]}])
def test_odd_wishes_for_the_catalogue_are_refused_in_one_line(url, data):
    assert "expected a seed and a number of pictures" in page_call(url, "browse", asked(), data or {"x": 1})


def test_what_filters_leave_nothing_of_says_so_and_can_be_cleared(url, picture_of):
    lonely = {"types": ["shirt"], "colors": ["red"], "other_colors": True}
    for language, title, button in (
        ("en", "No red shirts", "Clear filters"),
        ("pt", "Não há camisas vermelhas", "Limpar filtros"),
    ):
        line = page_call(url, "refresh", asked(picture_of(SHIRT), match="type", **lonely), language=language)[LINE]
        assert f"<h2>{title}</h2>" in line
        assert f"<button data-with='types=&amp;colors='>{button}</button>" in line
    assert "Clear filters" not in page_call(url, "refresh", asked(picture_of(SHIRT)))[LINE]


def test_examples_become_the_photo_as_uploads_do(url):
    html = next(
        c["props"]["value"]
        for c in httpx.get(url + "config").json()["components"]
        if c["props"].get("elem_id") == "examples"
    )
    names = re.findall("data-example='([^']*)'", html)
    assert len(names) == 6
    photo, crop = page_call(url, "choose_example", [], {"example": names[0]})
    assert crop == ""
    assert "No link" in page_call(url, "refresh", asked(photo))[RESULTS]
    for odd in ({"example": "../x"}, {"example": None}, {}, {"x": 1}):
        assert "no photo" in page_call(url, "choose_example", [], odd or {"x": 1})


def test_filters_show_counts_and_leave_only_what_they_say(url, picture_of):
    answer = page_call(url, "refresh", asked(picture_of(SHIRT), types=["pants"], k=30))
    assert len(captions(answer)) == 30
    assert all(" pants, result" in caption for caption in captions(answer))
    assert ["red (12)", "red"] in answer[COLORS]["choices"]
    assert ["shirt (36)", "shirt"] in answer[TYPES]["choices"]


def test_every_control_counts(url, picture_of):
    photo = picture_of(SHIRT)
    method = "logistic_regression"
    plain = captions(page_call(url, "refresh", asked(photo, method=method, k=20)))
    for change in (
        {"match": "type"},
        {"weight": 0.9},
        {"crop": "0, 0, 50, 50"},
        *({name: True} for name in ("other_colors", "least_similar")),
        {"method": "random_forest"},
    ):
        changed = page_call(url, "refresh", asked(photo, **{"method": method, "k": 20} | change))
        assert captions(changed) != plain, change


def test_several_photos_are_one_query(url, upload, retriever):
    photos = [toy_photo("red", "shirt", 99), toy_photo("blue", "shoes", 98)]
    first, second = map(upload, photos)
    answer = page_call(url, "refresh", asked(first, more=[second], k=6))
    alone = page_call(url, "refresh", asked(first, k=6))
    assert captions(answer) != captions(alone)
    assert captions(page_call(url, "refresh", asked(second, more=[first], k=6))) == captions(answer)


def test_a_mistake_in_a_control_gives_one_clear_line(url, picture_of):
    photo = picture_of(SHIRT)
    assert "four percentages" in page_call(url, "refresh", asked(photo, crop="a, b"))
    assert "left, top, right, bottom" in page_call(url, "refresh", asked(photo, crop="60, 0, 20, 100"))
    assert "unknown wish" in page_call(url, "restore", ["?also=magic"])


def test_what_the_others_leave_no_use_for_is_disabled_and_rests(url, picture_of):
    photo = picture_of(SHIRT)
    for use, weight, colors in (
        ({"method": "logistic_regression"}, True, True),
        ({"method": "cosine"}, False, True),
        ({"method": "logistic_regression", "match": "color"}, False, False),
        ({"method": "logistic_regression", "other_colors": True}, False, True),
    ):
        answer = page_call(url, "refresh", asked(photo, **use))
        assert (answer[WEIGHT]["interactive"], answer[OTHER_COLORS]["interactive"]) == (weight, colors), use
    plain = page_call(url, "refresh", asked(photo))
    weighed = page_call(url, "refresh", asked(photo, weight=0.9))
    assert captions(weighed) == captions(plain)
    assert weighed[HERE] == plain[HERE]


def test_hidden_near_duplicates_are_counted(toy_bundle):
    twice = np.repeat(np.arange(len(toy_bundle.gallery)), 2)
    gallery = toy_bundle.gallery
    gallery = Gallery(
        np.array([f"{n}/{id}" for n, id in enumerate(gallery.ids[twice])]),
        {name: values[twice] for name, values in gallery.labels.items()},
        gallery.features.take(twice),
        [gallery.thumbnails[row] for row in twice],
        gallery.splits[twice],
    )
    retriever = Retriever(dataclasses.replace(toy_bundle, gallery=gallery), ToyBackbone())
    result = retriever.search_by_id(str(gallery.ids[0]), SearchOptions("cosine", k=5, hide_near_duplicates=True))
    assert result.n_hidden == 5  # the query's own, and that of all matches but the last
    assert "5 near-duplicates hidden" in views.found(result, retriever.index, "", [], 0, Words())
    everything = SearchOptions("cosine", k=len(gallery), hide_near_duplicates=True)
    assert retriever.search_by_id(str(gallery.ids[0]), everything).n_hidden == len(gallery) // 2


def test_an_address_restores_every_control(url):
    address = (
        f"?id={SHIRT}&method=cosine&match=type&k=7&types=shirt&colors=red&colors=blue&weight=0.25&also=least_similar"
    )
    photo, more, *rest, _ = page_call(url, "restore", [address + "&crop=0,0,50,50"])
    assert photo["path"].endswith(".jpg")
    assert more is None
    assert rest == ["0,0,50,50", "cosine", "type", 7, ["shirt"], ["red", "blue"], 0.25, False, True, False, "", ""]
    start = page_call(url, "restore", ["#1"])
    assert start[:-1] == [None, None, "", DEFAULT_METHOD, "both", DEFAULT_K, [], [], 0.5, False, False, False, "", ""]
    assert page_call(url, "restore", ["#1"])[-1] != start[-1]


def test_words_and_a_color_search_without_a_photo(url, picture_of):
    answer = page_call(url, "refresh", asked(words="blue shirt", color="#283cbe"))
    assert len(captions(answer)) == 4
    assert all("in that color" in caption and "alike" not in caption for caption in captions(answer))
    assert "The 4 closest to “blue shirt #283cbe”" in answer[LINE]
    assert parse_qs(answer[HERE]) == {"method": ["cosine"], "k": ["4"], "words": ["blue shirt"], "color": ["#283cbe"]}
    assert page_call(url, "restore", ["?" + answer[HERE]])[-3:-1] == ["blue shirt #283cbe", ""]
    beside = page_call(url, "refresh", asked(picture_of(SHIRT), color="#283cbe"))
    assert all("in that color" in caption and "alike" in caption for caption in captions(beside))
    assert "got 'skirt'" in page_call(url, "refresh", asked(words="pink skirt"))


@pytest.mark.parametrize("address", ["", "?__theme=dark"])
def test_a_page_that_loads_without_a_search_takes_nothing_back(url, address):
    """Else an upload that arrives before the page has asked what to restore would vanish."""
    assert page_call(url, "restore", [address]) == [{"__type__": "update"}] * 15
    # Only in another language the catalogue is shown once more.
    *controls, restored = page_call(url, "restore", [address], language="pt")
    assert controls == [{"__type__": "update"}] * 14
    assert restored


def test_going_back_brings_uploads_back(url, upload):
    first, second = (upload(toy_photo("red", "shirt", seed)) for seed in (98, 99))
    answer = page_call(url, "refresh", asked(first, more=[second], types=["shirt"]))
    photo, more, *_ = page_call(url, "restore", [f"?{answer[HERE]}#1"])
    assert (photo["path"], more[0]["path"]) == (first["path"], second["path"])
    again = page_call(url, "refresh", asked(photo, more=more, types=["shirt"]))
    assert captions(again) == captions(answer)
    gone = first["path"].replace("photo.png", "gone.png")
    assert "no longer here" in page_call(url, "restore", [f"?photo={gone}#1"])
    for odd in ("/etc/passwd", "x", f"{gone}/../../../../etc/passwd"):
        assert "must be an uploaded file" in page_call(url, "restore", [f"?photo={odd}#1"])
        assert "must be an uploaded file" in page_call(url, "restore", [f"?more={odd}#1"])


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("?id=nobody", "unknown id 'nobody'"),
        ("?method=magic", "unknown method 'magic'"),
        ("?match=size", "unknown match 'size'"),
        ("?colors=mauve", "unknown color 'mauve'"),
        ("?k=0", "expected k from 1"),
    ],
)
def test_a_wrong_address_gives_one_clear_line(url, address, message):
    assert message in page_call(url, "restore", [address])


def test_the_page_speaks_portuguese(url, picture_of):
    welcome = page_call(url, "welcome", [], language="pt-BR,pt;q=0.9,en;q=0.8")
    assert "Encontre roupas parecidas" in welcome[0]
    assert any(["Tipo e cor", "both"] in shown["choices"] for shown in welcome[5:])
    assert "Find clothes" not in str(page_call(url, "welcome", []))  # it has said all this in English
    answer = page_call(url, "refresh", asked(picture_of(SHIRT), k=1, method="attribute_agreement"), language="pt-BR")
    assert "camisa vermelha" in answer[LINE]
    assert (
        "red shirt"
        in page_call(url, "refresh", asked(picture_of(SHIRT), k=1, method="attribute_agreement"), language="fi")[LINE]
    )


def test_errors_are_in_the_visitors_language(url, picture_of):
    portuguese = {"language": "pt-BR"}
    assert "falta a foto" in page_call(url, "choose_example", [], {"example": "x"}, **portuguese)
    assert page_call(url, "restore", ["?k=0"], **portuguese) == "no endereço, k deve estar entre 1 e 60, não '0'"
    assert "a semente deve ser" in page_call(url, "repeat_photo", [-1], **portuguese)
    # Programs read English, whatever their language.
    assert "unknown id" in page_call(url, "search_by_id", ["nobody", *[None] * 11], **portuguese)


def test_the_notice_of_a_bundle_is_in_the_visitors_language(toy_bundle):
    lost = HubUnreachableError("the Hub ({address}) cannot be reached ({reason})", address="there", reason="Timeout")
    template = "{error}: instead of {source}, this is the embedded catalogue."
    bundle = dataclasses.replace(toy_bundle, notice=Message(template, error=lost.message, source="a/b"))
    english, portuguese = (views.notices(bundle, Words(language)) for language in ("en", "pt"))
    assert "the Hub (there) cannot be reached (Timeout): instead of a/b, this is" in english
    assert "o Hub (there) não responde (Timeout): em vez de a/b, este é" in portuguese


def test_what_comes_from_a_bundle_is_escaped(toy_bundle):
    manifest = dataclasses.replace(toy_bundle.manifest, title="<script>")
    bundle = dataclasses.replace(toy_bundle, manifest=manifest, notice="<b onclick='x'>")
    shown = views.foot(bundle, GalleryIndex(toy_bundle.gallery), Words()) + views.notices(bundle, Words())
    assert "&lt;script&gt;" in shown
    assert "&lt;b onclick=&#39;x&#39;&gt;" in shown


def tab(url, name, controls, **options):
    """What a tab shows; the others must stay as they are."""
    answer = page_call(url, "show_tab", controls | {"open-tab": name}, **options)
    shown = dict(zip(("compare", "map", "report"), answer, strict=True))
    assert all(isinstance(other, dict) for key, other in shown.items() if key != name), answer
    return shown[name]


def test_the_map_shows_every_picture_the_query_and_its_results(url, picture_of, toy_bundle):
    drawing = map_of(tab(url, "map", asked(picture_of(SHIRT), k=5)))
    assert {point[3] for point in drawing["points"]} == set(toy_bundle.gallery.ids)
    assert len({drawing["points"][index][3] for index in drawing["matches"]}) == 5
    across, down = zip(*(point[:2] for point in drawing["points"]), strict=True)
    assert (min(across), max(across), min(down), max(down)) == (0, 1000, 0, 1000)
    by_id = {point[3]: point for point in drawing["points"]}
    assert by_id[SHIRT][:2] == drawing["query"]
    assert drawing["colors"][by_id[SHIRT][2]] == views.POINTS["red"]
    assert by_id[SHIRT][4] == "red shirt"
    assert {group["name"] for group in drawing["groups"] if group["level"] == 0} == {"pants", "shirts", "shoes"}
    assert "red shirts" in {group["name"] for group in drawing["groups"] if group["level"] == 1}
    empty = map_of(tab(url, "map", asked()))
    assert (empty["query"], empty["matches"]) == (None, [])


def test_a_map_of_many_pictures_shows_some_and_all_results(url, picture_of, monkeypatch):
    monkeypatch.setattr("cbir.ui.handlers.N_MAPPED", 20)
    shown = tab(url, "map", asked(picture_of(SHIRT), k=5))
    assert " of 108 pictures" in shown
    drawing = map_of(shown)
    assert 20 <= len(drawing["points"]) <= 25
    assert len(drawing["matches"]) == 5


def map_of(shown):
    """What the map draws."""
    return json.loads(html.unescape(re.search(r"data-map='([^']*)'", shown)[1]))


def test_methods_are_compared_side_by_side(url, picture_of, retriever):
    shown = tab(url, "compare", asked(picture_of(SHIRT), k=5))
    assert shown.count("<section>") == len(retriever.methods)
    assert all(f"<h3>{method.title}</h3>" in shown for method in retriever.methods)
    assert "Evaluated by what the query shows: red shirt" in shown
    # The mark is in the alternative text and in the caption.
    assert 2 * shown.count("<li class='agrees'>") == shown.count("✓") > 0
    # A link leads to a search with that picture by that method.
    assert re.search(r"href='\?id=\S+&amp;method=random_forest&amp;k=5'", shown)
    assert "Search with a photo first" in tab(url, "compare", asked())


def test_an_upload_is_compared_by_what_it_most_probably_shows(url, upload):
    shown = tab(url, "compare", asked(upload(toy_photo("blue", "pants", 99))))
    assert "most probably shows: blue pants" in shown


def test_results_can_be_taken_away(url, picture_of, upload):
    tiles = page_call(url, "refresh", asked(picture_of(SHIRT), k=3))[RESULTS]
    files = {kind: unquote(text) for kind, text in re.findall(r"href='data:text/(\w+);charset=utf-8,([^']*)'", tiles)}
    rows = list(csv.DictReader(io.StringIO(files["csv"])))
    shown = json.loads(files["plain"])
    assert [row["id"] for row in rows] == [match["id"] for match in shown["matches"]]
    assert rows[0]["query"] == shown["query_id"] == SHIRT
    assert rows[0]["revision"] == shown["bundle"]["revision"]
    tiles = page_call(url, "refresh", asked(upload(toy_photo("blue", "pants", 99)), k=3))[RESULTS]
    assert "%22query_id%22%3A%20null" in tiles


def test_a_photo_without_clothes_gets_no_confident_match(url, upload):
    answer = page_call(url, "refresh", asked(upload(not_clothes(1, seed=5)["gradient"][0]), k=3))
    assert "<h2>No confident match</h2>" in answer[LINE]
    assert "does not look like clothes" in answer[LINE]
    assert "The 3 nearest all the same" in answer[LINE]
    assert "No confident" not in page_call(url, "refresh", asked(upload(toy_photo("red", "shirt", 99)), k=3))[LINE]


@pytest.mark.parametrize(("language", "title"), [("en", "Precision and recall"), ("pt", "Precisão e revocação")])
def test_the_report_is_shown_in_the_language_of_the_browser(url, language, title):
    assert f"<h2>{title}</h2>" in tab(url, "report", asked(), language=language)


def test_a_bundle_without_report_or_map_has_no_such_tabs(toy_bundle):
    bare = Retriever(dataclasses.replace(toy_bundle, map=None, report=None), ToyBackbone())
    tabs = [c["props"] for c in build_demo(bare).config["components"] if c["type"] == "tabitem"]
    assert {props["id"] for props in tabs if not props["visible"]} == {"map", "report"}


def test_a_click_on_a_result_tells_why_it_was_found(url, picture_of):
    event = {"pick": "blue_pants/1.png"}
    (details,) = page_call(url, "pick", asked(picture_of(SHIRT)), event)
    assert "data-item='blue_pants/1.png'" in details
    assert "Same type: almost certainly not" in details
    assert "yours looks like shirt, this one like pants" in details
    assert details.count("src='data:image/jpeg;base64,") == 2
    assert "Mesma cor: quase com certeza não" in page_call(url, "pick", asked(picture_of(SHIRT)), event, "pt")[0]
    (of_part,) = page_call(url, "pick", asked(picture_of(SHIRT), crop="0, 0, 50, 50"), event)
    assert of_part != details
    assert "unknown id '/etc/passwd'" in page_call(url, "pick", asked(), {"pick": "/etc/passwd"})


def test_a_result_of_words_is_told_about_without_a_photo(url):
    (details,) = page_call(url, "pick", asked(words="blue pants"), {"pick": "blue_pants/1.png"})
    assert "data-item='blue_pants/1.png'" in details
    assert "src=" not in details


def test_a_photo_that_cannot_be_read_does_not_stay(url, upload):
    photo, broken = upload(toy_photo("red", "shirt", 99)), upload(toy_photo("red", "shirt", 97))
    Path(broken["path"]).write_bytes(b"nonsense")
    assert "photo" in page_call(url, "refresh", asked(broken))
    assert page_call(url, "drop_unreadable", asked(broken, crop="0, 0, 50, 50"))[::2] == [None, ""]
    kept = page_call(url, "drop_unreadable", asked(photo, more=[broken, photo]))
    assert [file["path"] for file in kept[1]] == [photo["path"]]
    assert "path" not in kept[0]  # stays as it is
    assert page_call(url, "drop_unreadable", asked(photo, more=[broken]))[1] is None


def test_what_is_pasted_or_dropped_becomes_the_photo(url, upload, picture_of, monkeypatch, page):
    photo, thumbnail = upload(toy_photo("red", "shirt", 99)), picture_of(SHIRT)
    assert page_call(url, "take", [f"{photo['path']}#1"])[0]["path"] == photo["path"]
    assert page_call(url, "take", [f"{thumbnail['path']}#2"])[0]["path"] == thumbnail["path"]
    assert page_call(url, "take", ["/etc/passwd#3"]) == NOT_UPLOADED
    answers = {"http://clothes.org/a#b": png(toy_photo("blue", "pants", 99)), "http://clothes.org/": b"<html>"}
    monkeypatch.setattr("cbir.ui.inputs.fetch_image", answers.__getitem__)
    fetched, crop = page_call(url, "take", ["http://clothes.org/a#b#4"])
    assert crop == ""
    assert Path(fetched["path"]).name == "photo.png"
    assert Path(fetched["path"]).parent in page.uploads._uploads  # is deleted like any
    assert "blue pants" in captions(page_call(url, "refresh", asked(fetched, method="attribute_agreement")))[0]
    assert "photo" in page_call(url, "take", ["http://clothes.org/#5"])


def refusals(url, payload):
    """What every event that takes photos answers to this one, called by its number: a set of lines."""
    lines = set()
    for values in (asked(payload), asked(more=[payload])):
        for name, tab in (("refresh", ""), ("show_tab", "compare"), ("show_tab", "map")):
            lines.add(page_call(url, name, values | {"open-tab": tab}))
        lines.add(page_call(url, "pick", values, {"pick": SHIRT}))
        lines.add(page_call(url, "drop_unreadable", values))
        lines.add(page_call(url, "browse", values, {"browse": "1:1"}))
    return lines


@pytest.mark.parametrize("mark", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_only_uploads_are_read_and_errors_do_not_tell_which_files_there_are(url, tmp_path, mark):
    (tmp_path / "there.png").write_bytes(png(toy_photo("red", "shirt", 99)))
    there = refusals(url, {"path": str(tmp_path / "there.png"), **mark})
    assert there == refusals(url, {"path": str(tmp_path / "gone.png"), **mark})
    # None: Gradio refused it, and tells browsers nothing.
    assert there <= {None, NOT_UPLOADED}


def test_every_event_that_takes_photos_is_among_those_tested(url):
    config = httpx.get(url + "config").json()
    photo = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "photo")
    taking = [d["api_name"] for d in config["dependencies"] if photo in d["inputs"] and d["backend_fn"]]
    assert {re.sub(r"_\d+$", "", name) for name in taking} == {
        "refresh",
        "show_tab",
        "pick",
        "browse",
        "drop_unreadable",
    }


@pytest.mark.parametrize("path", ["x\0y", "a" * 5000, "~/x", "cbir/ui/page.js", "http://127.0.0.1/a", "/", ["x"], None])
def test_odd_paths_are_refused_as_any(url, path):
    assert page_call(url, "refresh", asked({"path": path})) in (
        None,
        NOT_UPLOADED,
    )


def test_a_link_among_the_uploads_leads_nowhere_else(url, upload, tmp_path):
    (tmp_path / "there.png").write_bytes(png(toy_photo("red", "shirt", 99)))
    link = Path(upload(toy_photo("red", "shirt", 98))["path"]).with_name("link.png")
    link.unlink(missing_ok=True)
    link.symlink_to(tmp_path / "there.png")
    assert "must be an uploaded file" in page_call(url, "refresh", asked({"path": str(link)}))
    link.unlink()


def test_an_upload_is_one_with_and_without_gradios_mark(url, upload):
    photo = upload(toy_photo("red", "shirt", 99))
    marked = captions(page_call(url, "refresh", asked(photo)))
    del photo["meta"]
    assert captions(page_call(url, "refresh", asked(photo))) == marked


@pytest.mark.parametrize("data", ["x", ["x"], {"y": 1}, {"pick": ["x"]}, {"pick": {}}])
def test_a_click_on_nothing_is_no_bug(url, data):
    assert "unknown id" in page_call(url, "pick", asked(), data)


def test_the_number_of_photos_is_limited(url, picture_of):
    assert "at most 64 photos, got 65" in page_call(url, "refresh", asked(more=[picture_of(SHIRT)] * 65))


def test_a_photo_that_browsers_do_not_show_is_shown_as_another(url, upload, tmp_path):
    image = toy_photo("red", "shirt", 99)
    line = page_call(url, "refresh", asked(upload(image)))[LINE]
    assert re.search(r"src='gradio_api/file=[^']*photo.png'", line)
    file = io.BytesIO()
    image.save(file, "TIFF")
    path = httpx.post(url + "gradio_api/upload", files={"files": ("photo.tif", file.getvalue())}).json()[0]
    line = page_call(url, "refresh", asked({"path": path}))[LINE]
    jpeg = re.search(r"src='data:image/jpeg;base64,([^']*)'", line)[1]
    shown = Image.open(io.BytesIO(base64.b64decode(jpeg)))
    assert (shown.format, shown.size) == ("JPEG", image.size)
    assert ImageStat.Stat(ImageChops.difference(shown, image)).mean[0] < 10
