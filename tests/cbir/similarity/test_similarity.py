"""The contract that every method keeps, and references for each."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.metrics.pairwise import cosine_similarity

from cbir.labels import TASKS
from cbir.similarity import SIMILARITIES

METHODS = [pytest.param(method, id=name) for name, method in SIMILARITIES.items()]
EVERY_TASK = list(TASKS.values())


@pytest.fixture(scope="module")
def photos(toy_bundle):
    return toy_bundle.gallery.features


def score(toy_bundle, method, queries, gallery, task):
    return method.score(queries, gallery, toy_bundle.models.of(method), task)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", EVERY_TASK, ids=TASKS)
class TestContract:
    def test_scores_have_shape_and_are_finite(self, toy_bundle, photos, method, task):
        scores = score(toy_bundle, method, photos.take(slice(5)), photos, task)
        assert scores.shape == (5, len(photos))
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()
        assert np.ptp(scores) > 0

    def test_learned_scores_are_probabilities(self, toy_bundle, photos, method, task):
        scores = score(toy_bundle, method, photos, photos, task)
        assert not method.is_learned or (scores.min() >= 0 and scores.max() <= 1)

    def test_scores_are_symmetric(self, toy_bundle, photos, method, task):
        some = photos.take(slice(0, 40))
        scores = score(toy_bundle, method, some, some, task)
        np.testing.assert_allclose(scores, scores.T, atol=1e-5)

    def test_chunks_and_row_order_change_nothing(self, toy_bundle, photos, method, task):
        # A forest has steps, so that a score is the same in every bit or may be another one.
        close = {"rtol": 0, "atol": 0 if method.name == "random_forest" else 1e-5}
        queries = photos.take(slice(0, 12))
        whole = score(toy_bundle, method, queries, photos, task)
        order = np.random.default_rng(0).permutation(len(photos))
        np.testing.assert_allclose(
            score(toy_bundle, method, queries, photos.take(order), task), whole[:, order], **close
        )
        parts = [score(toy_bundle, method, queries, photos.take(slice(s, s + 17)), task) for s in range(0, 108, 17)]
        np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, **close)
        alone = [score(toy_bundle, method, queries.take(slice(r, r + 1)), photos, task) for r in range(12)]
        np.testing.assert_allclose(np.concatenate(alone), whole, **close)

    def test_matching_photos_score_higher(self, toy_bundle, photos, method, task):
        gallery = toy_bundle.gallery
        scores = score(toy_bundle, method, photos, photos, task)
        relevance = task.relevance(gallery.labels, gallery.labels)
        others = ~np.eye(len(gallery), dtype=bool)
        # The toy embedding sees shapes and not hues: methods that see nothing else are only asked about the type.
        if task is TASKS["type"] or (method.is_learned and not method.is_on_pairs):
            assert scores[relevance & others].mean() > scores[~relevance].mean() + (0.03 if method.is_learned else 0)


def test_cosine_matches_scikit_learn(toy_bundle, photos):
    expected = cosine_similarity(photos.embedding)
    np.testing.assert_allclose(
        score(toy_bundle, SIMILARITIES["cosine"], photos, photos, TASKS["type"]), expected, atol=1e-5
    )


def test_inverse_euclidean_matches_scipy(toy_bundle, photos):
    expected = 1 / (1 + cdist(photos.embedding, photos.embedding))
    scores = score(toy_bundle, SIMILARITIES["inverse_euclidean"], photos, photos, TASKS["type"])
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_a_blank_embedding_does_not_break_cosine(photos):
    blank = dataclasses.replace(photos.take([0]), embedding=np.zeros((1, photos.embedding.shape[1]), np.float32))
    assert (SIMILARITIES["cosine"].score(blank, photos, None, TASKS["type"]) == 0).all()
