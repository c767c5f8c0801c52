"""Photos of clothes are told from other pictures, and the threshold does what it says."""

import numpy as np
import pytest

from cbir.features import Features
from train.fit.familiarity import REJECTED, fit_familiarity, threshold

D = 40


def features(rows):
    return Features(np.asarray(rows, np.float32), np.zeros((len(rows), 1), np.float32))


def clothes(n, seed):
    """Photos that differ along 5 of 40 axes, and a little along all."""
    rng = np.random.default_rng(seed)
    rows = 0.05 * rng.normal(size=(n, D))
    rows[:, :5] += rng.normal(size=(n, 5))
    rows[:, 5] += 2
    return features(rows)


def others(n, seed):
    return features(np.random.default_rng([seed, 1]).normal(size=(n, D)))


@pytest.fixture(scope="module")
def model():
    return fit_familiarity(clothes(300, 0), others(2000, 0), seed=0)


def test_familiarity_is_the_distance_from_the_principal_axes(model, monkeypatch):
    from sklearn.decomposition import PCA

    monkeypatch.setattr("train.fit.familiarity.AXES", 7)
    fitted = fit_familiarity(clothes(300, 0), others(200, 0), seed=0)
    unit = clothes(300, 0).embedding
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    pca = PCA(7, svd_solver="full").fit(unit)
    new = clothes(20, 5)
    rows = new.embedding / np.linalg.norm(new.embedding, axis=1, keepdims=True)
    residual = rows - pca.inverse_transform(pca.transform(rows))
    np.testing.assert_allclose(fitted.score(new), 1 - np.linalg.norm(residual, axis=1), atol=1e-5)


def test_the_threshold_accepts_clothes_and_rejects_others(model):
    assert np.mean(model.score(clothes(400, 9)) >= model.threshold) >= 0.93
    assert np.mean(model.score(others(400, 9)) < model.threshold) >= 0.97


def test_the_threshold_is_the_lowest_that_rejects_others_but_never_too_high_for_clothes():
    values = np.linspace(0, 1, 101)
    assert threshold(values, accepts_from=2.0) == pytest.approx(REJECTED)
    assert threshold(values, accepts_from=0.5) == 0.5


def test_clothes_are_scored_by_axes_that_were_fitted_without_them(monkeypatch):
    # As many axes as photos fit all that were seen exactly, and nothing else.
    monkeypatch.setattr("train.fit.familiarity.AXES", 30)
    few = others(31, 3)
    model = fit_familiarity(few, others(50, 4), seed=0)
    assert model.score(few).min() > 0.99
    assert model.accepts_from < 0.8


def test_fitting_is_repeatable(model):
    again = fit_familiarity(clothes(300, 0), others(2000, 0), seed=0)
    np.testing.assert_array_equal(again.axes, model.axes)
    np.testing.assert_array_equal(again.mean, model.mean)
    assert (again.threshold, again.accepts_from) == (model.threshold, model.accepts_from)
