"""The likeness: blind to what differs between views of a photo, and the default method on top of it."""

import numpy as np
import pytest

from cbir.features import Features
from cbir.labels import TASKS
from cbir.similarity import SIMILARITIES
from cbir.similarity.likeness import FLOOR, LIKENESS_WEIGHT, SAME_PICTURE, STEEPNESS
from train.fit.likeness import fit_likeness
from train.fit.views import Views


def features(embedding):
    return Features(embedding.astype(np.float32), np.zeros((len(embedding), 2), np.float32))


@pytest.fixture(scope="module")
def world():
    """Ten directions tell photos apart; ten others, larger, differ from view to view."""
    rng = np.random.default_rng(0)

    def views_of(own):
        return np.concatenate([own + 0.05 * rng.normal(size=own.shape), 4 * rng.normal(size=own.shape)], axis=1)

    own = rng.normal(size=(300, 10))
    photos, rows = views_of(own), np.repeat(np.arange(200), 2)
    labels = {"type": rng.choice(["a", "b"], 300), "color": rng.choice(["r", "s"], 300)}
    likeness = fit_likeness(features(photos), labels, Views(features(views_of(own[rows])), rows), 0)
    return likeness, photos[200:], views_of(own[200:]), {name: column[200:] for name, column in labels.items()}


def test_a_view_is_alike_to_its_photo_where_cosine_is_lost(world):
    likeness, photos, views, _ = world
    codes, seen = likeness.codes(features(photos)), likeness.codes(features(views))
    assert (np.argmax(seen @ codes.T, axis=1) == np.arange(100)).mean() > 0.7
    unit, other = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (photos, views))
    assert (np.argmax(other @ unit.T, axis=1) == np.arange(100)).mean() < 0.4


def test_codes_are_unit_vectors_and_the_same_photo_is_alike_by_1(world):
    likeness, photos, _, _ = world
    codes = likeness.codes(features(photos))
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, atol=1e-5)
    assert ((codes * codes).sum(axis=1) > SAME_PICTURE).all()
    found = codes @ codes.T
    assert (found[~np.eye(100, dtype=bool)] < SAME_PICTURE).all()


def test_few_photos_are_evenly_alike_to_one_of_other_labels(world):
    likeness, photos, _, labels = world
    codes = likeness.codes(features(photos))
    differ = np.logical_or.reduce([column[:, None] != column for column in labels.values()])
    nearest = np.where(differ, codes @ codes.T, -1).max(axis=1)
    assert (nearest > likeness.even).mean() < 0.3


def test_terms_add_up_to_the_likeness(toy_bundle):
    likeness, photos = toy_bundle.models.likeness, toy_bundle.gallery.features
    codes = likeness.codes(photos)
    for query, item in ((0, 5), (3, 60), (7, 7)):
        terms = likeness.terms(photos.take([query]), photos.take([item]))
        found = photos.embedding[query] @ terms.direction + terms.constant + terms.color
        assert found == pytest.approx(codes[query] @ codes[item], abs=1e-4)


def test_the_default_method_is_the_formula_that_it_documents(toy_bundle):
    method, photos = SIMILARITIES["agreement_and_likeness"], toy_bundle.gallery.features
    model = toy_bundle.models.of(method)
    codes = model.likeness.codes(photos)
    likeness = codes @ codes.T
    same = 1 / (1 + np.exp(-STEEPNESS * (likeness - model.likeness.even)))
    posteriors = model.attributes.posteriors(photos)
    factors = [
        same + (1 - same) * (posteriors[name] @ posteriors[name].T + FLOOR) / (1 + FLOOR) for name in ("type", "color")
    ]
    order = np.exp(LIKENESS_WEIGHT * (likeness - 1))
    for task, weight, expected in (
        ("both", 0.5, factors[0] * factors[1]),
        ("both", 0.0, factors[0] ** 2),
        ("both", 0.75, factors[0] ** 0.5 * factors[1] ** 1.5),
        ("color", 0.5, factors[1] / order),
    ):
        found = method.score(photos, photos, model, TASKS[task], weight)
        np.testing.assert_allclose(found, expected * order**2, atol=1e-4)


def test_sure_matches_are_ordered_by_likeness(toy_bundle):
    """Attribute agreement ties, or nearly so, where labels are sure; the default then goes by likeness."""
    method, photos = SIMILARITIES["agreement_and_likeness"], toy_bundle.gallery.features
    model = toy_bundle.models.of(method)
    scores = method.score(photos, photos, model, TASKS["both"])
    codes = model.likeness.codes(photos)
    same = TASKS["both"].relevance(toy_bundle.gallery.labels, toy_bundle.gallery.labels)
    agreement = []
    for row in range(len(photos)):
        items = np.flatnonzero(same[row])
        likeness = codes[row] @ codes[items].T
        agreement.append(
            np.corrcoef(np.argsort(np.argsort(scores[row, items])), np.argsort(np.argsort(likeness)))[0, 1]
        )
    assert np.mean(agreement) > 0.9
    assert (scores.argmax(axis=1) == np.arange(len(photos))).all()
