"""What the thresholds of "no confident match" let pass and hold back."""

import numpy as np
import pytest

from cbir.familiarity import Familiarity
from cbir.features import Features
from cbir.similarity import Models
from train.evaluation.familiarity import TopMatches, evaluate_familiarity, score_thresholds
from train.evaluation.not_clothes import KINDS, not_clothes
from train.evaluation.scoring import Rankings, Side, Split

NEAR, FAR = [1.0, 0.0], [0.0, 1.0]  # familiarity 1 and 0


def features(rows):
    return Features(np.array(rows, np.float32), np.zeros((len(rows), 1), np.float32))


def test_shares_match_a_worked_example():
    """Of five photos two are unfamiliar; the pictures of one kind are like the photos."""
    model = Familiarity(np.zeros(2, np.float32), np.array([[1, 0]], np.float32), threshold=0.5, accepts_from=0.6)
    test = Side(np.arange(5).astype(str), features([NEAR, NEAR, NEAR, FAR, FAR]), {})
    pictures = {
        "fit": {"noise": features([FAR] * 20), "lookalike": features([NEAR] * 20)},
        "evaluate": {"noise": features([FAR, FAR, FAR]), "lookalike": features([NEAR])},
    }
    found = evaluate_familiarity(model, Models(), Split(test, test, {}), {}, pictures, seed=0)
    assert (found.threshold, found.least_score, found.n_test, found.n_not_clothes) == (0.5, 0.5, 5, 4)
    assert found.accepts_clothes == 0.6
    assert found.rejects_not_clothes == 0.75
    assert found.kinds == {"noise": 1, "lookalike": 0}
    # Without noise the threshold is set on look-alikes, as high as allowed; without these on noise, at 0.
    assert found.unseen_kinds == {"noise": 1, "lookalike": 0}
    assert sum(found.histogram.clothes) == 5
    assert sum(found.histogram.not_clothes) == 4


def test_thresholds_of_the_score_match_a_worked_example():
    matches = TopMatches(
        np.array([0.9, 0.4, 0.8, 0.9, 0.3], np.float32), np.array([True, False, True, False, False]), np.arange(5)
    )
    is_unfamiliar = np.array([False, False, False, True, True])
    foreign, is_foreign_unfamiliar = np.array([0.1, 0.2, 0.3, 0.7]), np.array([True, True, True, False])
    found = score_thresholds(matches, foreign, is_unfamiliar, is_foreign_unfamiliar, seed=0)
    even, together = found.score_even, found.together
    assert (even.threshold, even.passes, even.rejects_right, even.rejects_not_clothes) == (0.5, 0.6, 0, 0.75)
    assert even.rejects_wrong == pytest.approx(2 / 3)
    assert (together.threshold, together.passes, together.rejects_right) == (None, 0.4, 0)
    assert (together.rejects_wrong, together.rejects_not_clothes) == (1, 0.75)


def test_the_score_of_95_per_cent_is_evaluated_on_the_other_half():
    scores = np.random.default_rng(0).random(2000).astype(np.float32)
    matches = TopMatches(scores, np.ones(2000, bool), np.arange(2000))
    none = np.zeros(2000, bool)
    found = score_thresholds(matches, np.array([0.0]), none, np.array([False]), seed=0).score_95
    assert found.threshold == pytest.approx(0.05, abs=0.02)
    assert found.passes == pytest.approx(0.95, abs=0.02)
    assert found.passes != 0.95  # as it would be on the half that it was set on


def test_queries_that_cannot_be_answered_have_no_best_match():
    by_query = {"map": np.array([0.5, np.nan, 1]), "precision_at_1": np.array([0.0, np.nan, 1])}
    found = TopMatches.of(Rankings(by_query, np.zeros((3, 1), int), np.array([[0.1], [0.2], [0.3]])))
    assert found.rows.tolist() == [0, 2]
    assert found.scores.tolist() == [0.1, 0.3]
    assert found.is_right.tolist() == [False, True]


def test_the_report_counts_what_the_bundle_would_hold_back(toy_bundle):
    found, bundle = toy_bundle.report.familiarity, toy_bundle
    test = bundle.gallery.features.take(bundle.gallery.splits == "test")
    accepted = np.mean(bundle.familiarity.score(test) >= bundle.familiarity.threshold)
    assert found.accepts_clothes == pytest.approx(accepted, abs=1e-4)
    assert set(found.methods) == {method.name for method in bundle.methods if method.is_learned}


def test_pictures_without_clothes_are_repeatable_and_differ():
    first, again, other = not_clothes(2, 0), not_clothes(2, 0), not_clothes(2, 1)
    assert list(first) == list(KINDS)
    for kind, images in first.items():
        assert all(image.mode == "RGB" and image.size == (256, 256) for image in images)
        assert [image.tobytes() for image in images] == [image.tobytes() for image in again[kind]]
        assert images[0].tobytes() != images[1].tobytes()
        assert images[0].tobytes() != other[kind][0].tobytes()
