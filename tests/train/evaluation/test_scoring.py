"""Scoring: every method, pair and query, whatever the order and number of photos."""

from dataclasses import replace

import numpy as np
import pytest

from cbir.errors import DataError
from cbir.labels import RETRIEVAL_TASKS, TASKS
from cbir.similarity import SIMILARITIES
from train.data.split import Pairs
from train.evaluation import scoring
from train.evaluation.metrics import query_metrics
from train.evaluation.scoring import Side, rank, score_all, score_pairs, split_gallery


@pytest.fixture(scope="module")
def split(toy_bundle):
    return split_gallery(toy_bundle.gallery, 0)


def test_the_two_sides_share_no_photo(split, toy_bundle):
    gallery = toy_bundle.gallery
    assert {gallery.splits[gallery.row(id)] for id in split.test.ids} == {"test"}
    assert {gallery.splits[gallery.row(id)] for id in split.train.ids} == {"train"}
    assert len(split.test) + len(split.train) == len(gallery)
    assert list(split.pairs) == ["any", "type", "color"]
    assert len(split.pairs["any"]) == len(split.pairs["type"]) + len(split.pairs["color"])


def test_evaluation_needs_two_sides(toy_bundle):
    gallery = replace(toy_bundle.gallery, splits=np.full(len(toy_bundle.gallery), "train"))
    with pytest.raises(DataError, match="train and test photos, got 108 and 0"):
        split_gallery(gallery, 0)


@pytest.mark.parametrize("column", ["any", "type", "color"])
def test_pairs_are_scored_as_a_search_scores_them(split, toy_bundle, column):
    method = SIMILARITIES["random_forest"]
    model, pairs = toy_bundle.models.of(method), split.pairs[column]
    codes = method.encode(split.test.features, model)
    rows = np.random.default_rng(0).permutation(len(pairs))[:40]
    few = Pairs(pairs.left[rows], pairs.right[rows], pairs.same[rows])
    expected = method.score(split.test.features, split.test.features, model, TASKS[column])[few.left, few.right]
    np.testing.assert_allclose(score_pairs(method, codes, model, TASKS[column], few), expected, rtol=1e-6)


@pytest.mark.parametrize("name", SIMILARITIES)
def test_rankings_are_those_of_all_scores_at_once(split, toy_bundle, name, monkeypatch):
    monkeypatch.setattr(scoring, "QUERIES_AT_A_TIME", 4)
    method = SIMILARITIES[name]
    model = toy_bundle.models.of(method)
    queries, items = method.encode(split.test.features, model), method.encode(split.train.features, model)
    rankings = rank(method, model, (queries, split.test), (items, split.train))
    assert set(rankings) == set(RETRIEVAL_TASKS)
    for task, found in rankings.items():
        scores = method.score(split.test.features, split.train.features, model, TASKS[task])
        order = np.array([np.lexsort((split.train.ids, -row)) for row in scores])
        relevance = TASKS[task].relevance(split.test.labels, split.train.labels)
        expected = query_metrics(np.take_along_axis(relevance, order, axis=1))
        np.testing.assert_allclose(found.by_query["map"], expected["map"], rtol=1e-3)  # near ties
        np.testing.assert_allclose(found.scores[:, 0], scores.max(axis=1), rtol=1e-5)


def test_rankings_do_not_depend_on_the_order_of_the_gallery(split):
    """Even where all scores are equal: then the ids decide, not the rows."""
    constant = replace(SIMILARITIES["cosine"], compare=lambda a, b, *_: np.zeros((len(a[0]), len(b[0]))))
    order = np.random.default_rng(0).permutation(len(split.train))
    shuffled = Side(
        split.train.ids[order],
        split.train.features.take(order),
        {name: column[order] for name, column in split.train.labels.items()},
    )
    asking = (np.zeros((len(split.test), 1)),), split.test
    first, second = (
        rank(constant, None, asking, ((np.zeros((len(s), 1)),), s))["type"] for s in (split.train, shuffled)
    )
    np.testing.assert_array_equal(first.by_query["map"], second.by_query["map"])
    assert split.train.ids[first.items].tolist() == shuffled.ids[second.items].tolist()


def test_every_method_is_scored(split, toy_bundle):
    scores = score_all(toy_bundle.models, split)
    assert list(scores) == [method.name for method in toy_bundle.methods]
    for found in scores.values():
        assert {column: len(values) for column, values in found.pairs.items()} == {
            column: len(pairs) for column, pairs in split.pairs.items()
        }
        assert all(rankings.is_answerable.all() for rankings in found.rankings.values())
