"""Searching by words and by a color, alone and beside a photo."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest

from cbir.compare import compare
from cbir.errors import CbirError
from cbir.export import to_csv, to_json
from cbir.search import Retriever, SearchOptions
from cbir.similarity import SIMILARITIES, Models
from cbir.wanted import LEAST_SHARE, Fit
from tests.conftest import ToyBackbone, toy_photo


@pytest.fixture(scope="module")
def unlabelled(toy_bundle):
    unknown = {name: np.full(len(toy_bundle.gallery), "") for name in toy_bundle.gallery.labels}
    gallery = dataclasses.replace(toy_bundle.gallery, labels=unknown)
    return Retriever(dataclasses.replace(toy_bundle, gallery=gallery), ToyBackbone())


@pytest.mark.parametrize("words", ["blue shirt", "camisa azul"])
def test_words_alone_find_what_they_name(retriever, words):
    result = retriever.search(options=SearchOptions(words=words, k=12))
    assert [match.labels for match in result.matches] == [{"type": "shirt", "color": "blue"}] * 12
    assert (result.method, result.task, result.query_id) == ("", "", None)
    assert result.is_confident
    for match in result.matches:
        assert match.color_share / 2 <= match.score <= match.color_share
        assert (match.probability, match.likeness, match.is_same_picture) == (1.0, None, False)


def test_guessed_types_count_by_their_probability(unlabelled, toy_bundle):
    result = unlabelled.search(options=SearchOptions(words="shirt", color="#283cbe", k=10))
    truth = [toy_bundle.gallery.labels_of(toy_bundle.gallery.row(match.id)) for match in result.matches]
    assert truth == [{"type": "shirt", "color": "blue"}] * 10
    for match in result.matches:
        assert 0.5 <= match.score / (match.probability * match.color_share) <= 1
    assert result.matches[0].probability > 0.5


def test_items_known_to_be_of_another_type_are_left_out(retriever):
    result = retriever.search(options=SearchOptions(words="shoes", k=1000))
    assert {match.labels["type"] for match in result.matches} == {"shoes"}
    assert len(result.matches) == 36


def test_a_color_that_nothing_has_finds_nothing_confident(retriever):
    result = retriever.search(options=SearchOptions(color="yellow", k=3))
    assert result.matches[0].color_share < LEAST_SHARE
    assert result.doubt == "other_color"


@pytest.mark.parametrize("method", SIMILARITIES)
def test_beside_a_photo_the_color_takes_the_place_of_its_own(retriever, method):
    result = retriever.search(toy_photo("red", "shoes", 99), SearchOptions(method, color="#283cbe", k=8))
    assert [match.labels["color"] for match in result.matches].count("blue") == 8
    if SIMILARITIES[method].is_learned:  # the toy embedding's cosine does not know clothes
        assert [match.labels["type"] for match in result.matches].count("shoes") == 8
    assert result.task == "type"
    assert all(match.likeness is not None and match.color_share > 0.3 for match in result.matches)


def test_beside_a_photo_a_type_takes_the_place_of_its_own(retriever):
    result = retriever.search(toy_photo("red", "shoes", 99), SearchOptions("attribute_agreement", words="shirt", k=8))
    assert [match.labels for match in result.matches] == [{"type": "shirt", "color": "red"}] * 8
    assert result.task == "color"


def test_a_photo_counts_by_its_type_where_words_name_all(retriever):
    options = SearchOptions("attribute_agreement", words="blue shirt")
    assert retriever.task(options).name == "type"
    result = retriever.search(toy_photo("red", "shirt", 99), options)
    assert result.matches[0].labels == {"type": "shirt", "color": "blue"}


def test_the_weight_is_that_of_the_color(retriever):
    photo = toy_photo("red", "shoes", 99)
    for method, weight, label in (("attribute_agreement", 0, "shoes"), ("cosine", 1, "blue")):
        result = retriever.search(photo, SearchOptions(method, "type", color="#283cbe", weight=weight, k=9))
        assert all(label in match.labels.values() for match in result.matches)
    fit = Fit(None, np.float32([0.25, 1.0]), np.float32([1, 1]))
    closeness = np.float32([1.0, 0.3])
    assert fit.score(closeness, 0.5) == pytest.approx([0.25, 0.3])
    assert fit.score(closeness, 0.0) == pytest.approx([1.0, 0.09])
    assert fit.score(closeness, 1.0) == pytest.approx([0.0625, 1.0])
    assert fit.score(np.float32([-0.5, 0.3]), 0.5) == pytest.approx([0.0, 0.3])
    assert Fit(None, np.float32([1, 1]), np.float32([0, 1])).score(None, 0.5).tolist() == [0.5, 1]


def test_filters_and_hiding_near_duplicates_work_on_words(retriever):
    options = SearchOptions(color="red", types=("shoes",), hide_near_duplicates=True, k=5)
    result = retriever.search(options=options)
    assert {match.labels["type"] for match in result.matches} == {"shoes"}
    least = retriever.search(options=dataclasses.replace(options, least_similar=True, hide_near_duplicates=False))
    assert least.matches[0].color_share < 0.1


def test_methods_are_compared_under_words(retriever):
    found = compare(retriever, retriever.query(toy_photo("red", "shoes", 99)), SearchOptions(words="blue", k=4))
    assert found.judged_by == ("type",)
    assert all(match.labels["color"] == "blue" for match in found.by_method["attribute_agreement"].result.matches)


def test_exports_say_what_was_asked_for(retriever):
    result = retriever.search(options=SearchOptions(words="blue shirt", color="#283cbe", k=2))
    shown = json.loads(to_json(result, retriever.bundle))
    assert shown["query"] == "blue shirt #283cbe"
    assert (shown["options"]["words"], shown["options"]["color"]) == ("blue shirt", "#283cbe")
    row = next(csv.DictReader(io.StringIO(to_csv(result, retriever.bundle))))
    assert (row["likeness"], row["method"]) == ("", "")
    assert float(row["color_share"]) == result.matches[0].color_share


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "at least one photo or id"),
        ({"words": "purple skirt"}, "got 'skirt'"),
        ({"words": "blue", "other_colors": True}, "a photo whose color is left out"),
        ({"words": "shirt", "weight": 0.7}, "a weight needs two labels"),
    ],
)
def test_what_words_cannot_do_is_refused(retriever, options, message):
    with pytest.raises(CbirError, match=message):
        retriever.search(options=SearchOptions(**options))


@pytest.mark.parametrize("options", [{"color": "reddish"}, {"color": 7}, {"words": None}])
def test_what_is_no_text_or_no_color_is_refused(options):
    with pytest.raises(CbirError, match="expected"):
        SearchOptions(**options)


def test_a_color_needs_no_learned_method(toy_bundle):
    bare = Retriever(dataclasses.replace(toy_bundle, models=Models()), ToyBackbone())
    assert bare.search(options=SearchOptions(color="red", k=3)).matches[0].labels["color"] == "red"
