"""What every fitted method keeps; each fitter has its own test file."""

import numpy as np
import pytest

from cbir.labels import BLIND, LABELS, TASKS
from cbir.similarity import SIMILARITIES
from train.fit import FITTERS, fit_methods


@pytest.fixture(scope="module")
def photos(toy_bundle):
    return toy_bundle.gallery.features


def test_every_learned_method_is_fitted(toy_bundle):
    learned = {name for name, method in SIMILARITIES.items() if method.is_learned}
    assert set(FITTERS) == {name for name in learned if SIMILARITIES[name].is_on_pairs}
    assert {method.name for method in toy_bundle.methods} == set(SIMILARITIES)
    for name in FITTERS:
        assert isinstance(toy_bundle.models.by_method[name], SIMILARITIES[name].model_type)


def test_the_default_takes_the_attribute_model_and_the_likeness_of_the_bundle(toy_bundle):
    model = toy_bundle.models.of(SIMILARITIES[toy_bundle.default_method])
    assert model.attributes is toy_bundle.attributes
    assert model.likeness is toy_bundle.models.likeness


def test_methods_on_pairs_are_fitted_for_each_task_and_pooled(toy_bundle):
    for model in toy_bundle.models.by_method.values():
        assert set(model.by_task) == {*LABELS, BLIND}


def test_fitting_again_gives_the_same(toy_bundle, toy_views, photos):
    gallery, queries = toy_bundle.gallery, photos.take(slice(3))
    train = gallery.splits == "train"
    labels = {name: gallery.labels[name][train] for name in LABELS}
    models = fit_methods(photos.take(train), labels, toy_views, seed=0)
    for method in models.methods:
        for task in TASKS.values():
            scores = [method.score(queries, photos, found.of(method), task) for found in (models, toy_bundle.models)]
            np.testing.assert_allclose(*scores, atol=1e-5)
