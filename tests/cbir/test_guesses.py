"""Guesses stand where labels are unknown, are never taken for labels, and say so wherever they are shown."""

import csv
import dataclasses
import html
import io
import json
import re

import numpy as np
import pytest

from cbir.compare import compare
from cbir.errors import UnknownNameError
from cbir.export import labels_csv, to_csv, to_json
from cbir.features import extract
from cbir.guesses import SURE_FROM, UNSURE, Guess, Guesses, guess_labels
from cbir.label_files import read_table
from cbir.search import Retriever, SearchOptions
from cbir.similarity import Models
from cbir.ui import views
from cbir.ui.texts import Words
from cbir.ui.thumbnails import Thumbnails
from tests.conftest import TOY_COLORS, ToyBackbone, toy_photo

KNOWN = "white_shoes/0.png"  # keeps its label


@pytest.fixture(scope="module")
def unlabelled(toy_bundle):
    """The toy photos without labels, but for one type."""
    gallery = toy_bundle.gallery
    labels = {
        name: np.where((gallery.ids == KNOWN) & (name == "type"), gallery.labels[name], "") for name in gallery.labels
    }
    return Retriever(
        dataclasses.replace(toy_bundle, gallery=dataclasses.replace(gallery, labels=labels)), ToyBackbone()
    )


def test_a_guess_is_the_most_probable_class_and_unsure_below_the_threshold(toy_bundle):
    features = toy_bundle.gallery.features
    guesses = guess_labels(features, toy_bundle.attributes, None)
    for name, posteriors in toy_bundle.attributes.posteriors(features).items():
        best = posteriors.max(axis=1)
        assert np.array_equal(guesses.probabilities[name], best)
        classes = np.array(toy_bundle.attributes.classes(name))
        assert np.array_equal(guesses.values[name], classes[posteriors.argmax(axis=1)])
        assert (guesses.shown(name)[best < SURE_FROM] == UNSURE).all()
    assert np.array_equal(guesses.sure["type"], guesses.probabilities["type"] >= SURE_FROM)
    first = guesses.of(0, "type")
    assert first.shown == (first.value if first.probability >= SURE_FROM else UNSURE)


def test_a_color_that_the_model_does_not_know_is_unsure(toy_bundle, monkeypatch):
    """The model knows red, blue and white, and takes a pink garment for one of them."""
    monkeypatch.setitem(TOY_COLORS, "pink", (236, 130, 170))
    photos = [toy_photo(color, "shirt", n) for color in ("pink", "red") for n in range(50, 55)]
    guesses = guess_labels(extract(photos, ToyBackbone()), toy_bundle.attributes, None)
    assert set(guesses.values["color"][:5]) <= {"red", "white"}
    assert not guesses.sure["color"][:5].any()
    assert guesses.sure["color"][5:].all()


def test_what_shows_no_clothes_is_unsure(toy_bundle):
    strict = dataclasses.replace(toy_bundle.familiarity, threshold=2.0)
    guesses = guess_labels(toy_bundle.gallery.features, toy_bundle.attributes, strict)
    assert set(guesses.shown("type")) == {UNSURE}


def test_facets_and_filters_work_on_guesses_and_tell_how_many_are(unlabelled, toy_bundle):
    gallery = unlabelled.index.gallery
    counts, guessed = gallery.counts(), gallery.counts(guessed=True)
    assert sum(counts["type"].values()) == sum(counts["color"].values()) == len(gallery)
    assert counts["type"]["shoes"] == guessed["type"]["shoes"] + 1
    assert counts["color"] == guessed["color"]
    chosen = gallery.selection(types=["shoes"])
    assert chosen.sum() == counts["type"]["shoes"]
    assert chosen[gallery.row(KNOWN)]
    assert (toy_bundle.gallery.labels["type"][chosen] == "shoes").mean() > 0.9
    with pytest.raises(UnknownNameError, match="unknown type 'hat'"):
        gallery.selection(types=["hat"])


def test_unsure_is_a_facet_of_its_own(toy_bundle):
    n = len(toy_bundle.gallery)
    sure = np.arange(n) >= 5
    columns = {name: np.array(["red"] * n) for name in ("type", "color")}
    one = {name: np.ones(n, np.float32) for name in columns}
    unknown = {name: np.array([""] * n) for name in columns}
    guesses = Guesses(columns, one, dict.fromkeys(columns, sure))
    gallery = dataclasses.replace(toy_bundle.gallery, labels=unknown, guesses=guesses)
    assert gallery.classes("color") == ["red", UNSURE]
    assert gallery.counts()["color"] == {"red": n - 5, UNSURE: 5}
    assert np.array_equal(gallery.selection(colors=[UNSURE]), ~sure)
    assert sorted(sure[gallery.sample(0)[:2]]) == [False, True]  # the first of what both are shown as
    assert gallery.counts(guessed=True)["color"] == {"red": n - 5, UNSURE: 5}


def test_a_gallery_whose_labels_are_known_gets_no_guesses(retriever):
    assert retriever.index.gallery.guesses is None
    assert retriever.search_by_id(KNOWN).matches[0].guesses == {}


def test_without_learned_methods_nothing_is_guessed(unlabelled):
    bare = Retriever(dataclasses.replace(unlabelled.bundle, models=Models()), ToyBackbone())
    assert bare.index.gallery.guesses is None
    assert bare.index.gallery.counts() == {"type": {"shoes": 1}, "color": {}}


def test_other_colors_go_by_guesses(unlabelled, toy_bundle):
    result = unlabelled.search(toy_photo("red", "shirt", 99), SearchOptions(k=20, other_colors=True))
    truth = [toy_bundle.gallery.labels_of(toy_bundle.gallery.row(match.id)) for match in result.matches]
    assert len(truth) == 20
    assert sum(labels["color"] == "red" for labels in truth) <= 1
    assert sum(labels["type"] == "shirt" for labels in truth) >= 18


def test_a_guess_is_no_label(unlabelled):
    result = unlabelled.search_by_id(KNOWN, SearchOptions(k=3))
    assert all(match.labels == {"type": "", "color": ""} for match in result.matches)
    assert set(unlabelled.bundle.gallery.labels["color"]) == {""}
    compared = compare(unlabelled, unlabelled.query(toy_photo("red", "shirt", 99)), SearchOptions(k=3))
    assert all(matches.n_judged == 0 for matches in compared.by_method.values())


def test_exports_have_guesses_in_places_of_their_own(unlabelled):
    result = unlabelled.search_by_id("red_shirt/3.png", SearchOptions(k=200))
    shown = {match["id"]: match for match in json.loads(to_json(result, unlabelled.bundle))["matches"]}
    rows = {row["id"]: row for row in csv.DictReader(io.StringIO(to_csv(result, unlabelled.bundle)))}
    for match in result.matches:
        for name in ("type", "color"):
            guess = match.guesses.get(name)
            assert shown[match.id]["guesses"][name] == (dataclasses.asdict(guess) if guess else None)
            cells = rows[match.id][name], rows[match.id][f"{name}_guess"], rows[match.id][f"{name}_probability"]
            assert cells == (("", guess.shown, str(guess.probability)) if guess else ("shoes", "", ""))
    assert rows[KNOWN]["type"] == "shoes"


def test_a_table_of_guesses_cannot_be_read_as_labels(unlabelled):
    table = read_table(labels_csv(unlabelled.index.gallery).encode(), ".csv")
    assert len(table.rows) == len(unlabelled.index.gallery)
    labelled = [(row.file, row.labels) for row in table.rows if any(row.labels.values())]
    assert labelled == [(KNOWN, {"type": "shoes", "color": ""})]


@pytest.mark.parametrize(
    ("labels", "guesses", "english", "portuguese"),
    [
        ({"type": "shirt", "color": "red"}, {}, "red shirt", "camisa vermelha"),
        ({}, {"type": ("shirt", 0.9), "color": ("red", 0.95)}, "probably red shirt", "provavelmente camisa vermelha"),
        ({"type": "shirt"}, {"color": ("red", 0.95)}, "shirt, probably red", "camisa, provavelmente vermelha"),
        ({"color": "red"}, {"type": ("shoes", 0.9)}, "red, probably shoes", "vermelho, provavelmente sapatos"),
        ({}, {"type": ("shirt", 0.9), "color": ("red", 0.4)}, "probably shirt", "provavelmente camisa"),
        ({}, {"type": ("shirt", 0.4), "color": ("red", 0.4)}, "unsure", "incerto"),
        ({"type": "shirt"}, {"color": ("red", 0.4)}, "shirt, unsure", "camisa, incerto"),
        ({}, {}, "", ""),
    ],
)
def test_guesses_are_said_as_such(labels, guesses, english, portuguese):
    made = {name: Guess(value, p, p >= SURE_FROM) for name, (value, p) in guesses.items()}
    assert Words("en").garment(labels, made) == english
    assert Words("pt").garment(labels, made) == portuguese


def test_captions_map_and_heading_mark_guesses(unlabelled, retriever, toy_bundle):
    words = Words()
    result = unlabelled.search_by_id(KNOWN, SearchOptions(k=30))
    assert sum("probably" in caption for caption in views.captions(result, words)) >= 25
    places = np.zeros((len(toy_bundle.gallery), 2))
    pages = [
        views.collection_map(one.index.gallery, 0, places, None, [], Thumbnails(one.index), words)
        for one in (unlabelled, retriever)
    ]
    assert [words("map_guessed") in page for page in pages] == [True, False]
    drawing = json.loads(html.unescape(re.search("data-map='(.*?)'", pages[0])[1]))
    blue = drawing["colors"].index(views.POINTS["blue"])
    n_blue = sum(point[2] == blue for point in drawing["points"])
    assert n_blue == unlabelled.index.gallery.counts()["color"]["blue"]
    assert words("guesses_shown") in views.foot(unlabelled.bundle, unlabelled.index, words)
    assert words("guesses_shown") not in views.foot(toy_bundle, retriever.index, words)
    assert (words.count("shirt", 12, 3), words.count("shirt", 12, 0)) == ("shirt (~12)", "shirt (12)")
    assert words.guess(Guess("shirt", 0.93, True)) == "shirt (93 %)"
    assert words.guess(Guess("blue", 0.41, False)) == "unsure (blue 41 %)"
