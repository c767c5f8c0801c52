"""What every fitted method keeps; each fitter has its own test file."""

import dataclasses

import numpy as np
import pytest

from cbir.labels import LABELS, POOLED, TASKS
from cbir.similarity import SIMILARITIES
from cbir.similarity.attributes import AttributeModel
from train.fit import FITTERS, fit_methods


@pytest.fixture(scope="module")
def photos(toy_bundle):
    return toy_bundle.gallery.features


def test_every_learned_method_is_fitted(toy_bundle):
    learned = {name for name, method in SIMILARITIES.items() if method.is_learned}
    assert set(FITTERS) == {name for name in learned if SIMILARITIES[name].model_type is not AttributeModel}
    assert {method.name for method in toy_bundle.methods} == set(SIMILARITIES)
    for name in FITTERS:
        assert isinstance(toy_bundle.models.by_method[name], SIMILARITIES[name].model_type)


def test_all_methods_share_one_attribute_model(toy_bundle):
    assert all(model.attributes is toy_bundle.attributes for model in toy_bundle.models.by_method.values())


def test_methods_on_pairs_are_fitted_for_each_task_and_pooled(toy_bundle):
    for model in toy_bundle.models.by_method.values():
        assert set(model.by_task) == {*LABELS, POOLED}


def test_fitting_again_gives_the_same(toy_bundle, photos):
    gallery, queries = toy_bundle.gallery, photos.take(slice(3))
    train = gallery.splits == "train"
    models = fit_methods(photos.take(train), {name: gallery.labels[name][train] for name in LABELS}, seed=0)
    for method in models.methods:
        for task in (*TASKS.values(), None):
            scores = [method.score(queries, photos, found.of(method), task) for found in (models, toy_bundle.models)]
            np.testing.assert_allclose(*scores, atol=1e-5)


def test_what_a_color_network_learned_from_calibrates_nothing(toy_bundle, photos):
    """Photos whose learned features give their label away: methods on pairs trust them as on photos that do not."""
    gallery = toy_bundle.gallery
    rng = np.random.default_rng(0)
    tuned = np.arange(len(photos)) % 4 != 0
    colors = np.unique(gallery.labels["color"])
    learned = np.eye(len(colors), dtype=np.float32)[np.searchsorted(colors, gallery.labels["color"])]
    learned[~tuned] = rng.permutation(learned[~tuned])  # of others they tell nothing
    features = dataclasses.replace(photos, learned=learned)
    careful, naive = fit_methods(features, gallery.labels, 0, tuned), fit_methods(features, gallery.labels, 0)
    others, method = features.take(~tuned), SIMILARITIES["logistic_regression"]
    spread = [np.ptp(method.score(others, others, found.of(method), TASKS["color"])) for found in (careful, naive)]
    assert spread[0] < 0.5 * spread[1]
