"""What the thresholds of "no confident match" let pass and hold back."""

import numpy as np
import pytest

from cbir.familiarity import Familiarity
from cbir.features import Features
from cbir.labels import RETRIEVAL_TASKS, TASKS
from cbir.options import SearchOptions
from cbir.similarity import Models
from train.evaluation.familiarity import best_probabilities, evaluate_familiarity, shares
from train.evaluation.not_clothes import KINDS, not_clothes
from train.evaluation.scoring import Side, Split

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
    found = evaluate_familiarity(model, Models(), Split(test, test, {}), {}, pictures)
    assert (found.threshold, found.least_probability, found.n_test, found.n_not_clothes) == (0.5, 0.5, 5, 4)
    assert found.accepts_clothes == 0.6
    assert found.rejects_not_clothes == 0.75
    assert found.kinds == {"noise": 1, "lookalike": 0}
    # Without noise the threshold is set on look-alikes, as high as allowed; without these on noise, at 0.
    assert found.unseen_kinds == {"noise": 1, "lookalike": 0}
    assert sum(found.histogram.clothes) == 5
    assert sum(found.histogram.not_clothes) == 4


def test_shares_of_what_is_held_back_match_a_worked_example():
    is_right = np.array([True, False, True, False, False])
    found = shares(np.array([False, True, False, False, True]), is_right, np.array([True, True, True, False]))
    assert (found.passes, found.rejects_right, found.rejects_not_clothes) == (0.6, 0, 0.75)
    assert found.rejects_wrong == pytest.approx(2 / 3)


def test_the_probability_of_matches_is_that_of_a_search(toy_bundle, retriever):
    """The report evaluates the very figures that the page shows."""
    gallery, models = toy_bundle.gallery, toy_bundle.models
    train = gallery.splits == "train"
    rows = np.flatnonzero(~train)[:5]
    queries, searched, task = gallery.features.take(rows), gallery.features.take(train), TASKS["both"]
    ids = gallery.ids[train].tolist()
    for query, probable in zip(rows, best_probabilities(models, queries, searched, task), strict=True):
        result = retriever.search_by_id(str(gallery.ids[query]), SearchOptions(k=len(gallery)))
        best = next(match for match in result.matches if match.id in ids)
        assert probable == pytest.approx(best.probability, abs=1e-5)


def test_the_report_counts_what_the_bundle_would_hold_back(toy_bundle):
    found, bundle = toy_bundle.report.familiarity, toy_bundle
    test = bundle.gallery.features.take(bundle.gallery.splits == "test")
    accepted = np.mean(bundle.familiarity.score(test) >= bundle.familiarity.threshold)
    assert found.accepts_clothes == pytest.approx(accepted, abs=1e-4)
    assert set(found.confidence) == set(RETRIEVAL_TASKS)
    both = found.confidence["both"]
    assert both.right == pytest.approx(
        bundle.report.methods[bundle.default_method].retrieval["both"].precision_at_10.value
    )
    assert sum(both.reliability.n_pairs) == 10 * len(test)


def test_pictures_without_clothes_are_repeatable_and_differ():
    first, again, other = not_clothes(2, 0), not_clothes(2, 0), not_clothes(2, 1)
    assert list(first) == list(KINDS)
    for kind, images in first.items():
        assert all(image.mode == "RGB" and image.size == (256, 256) for image in images)
        assert [image.tobytes() for image in images] == [image.tobytes() for image in again[kind]]
        assert images[0].tobytes() != images[1].tobytes()
        assert images[0].tobytes() != other[kind][0].tobytes()
