import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from cbir.labels import BLIND, TASKS
from cbir.similarity import SIMILARITIES
from cbir.similarity.pairs import pair_features
from train.data.split import sample_pairs
from train.fit import pairs as fitting
from train.fit.pairs import PairTraining, fit_logistic_regression, fit_random_forest


@pytest.fixture(scope="module")
def training(toy_bundle):
    photos, labels = toy_bundle.gallery.features, toy_bundle.gallery.labels["type"]
    return PairTraining(photos.embedding, {BLIND: sample_pairs(labels, 1_000, 0)}, 0)


@pytest.fixture(scope="module")
def unit(training):
    return training.embedding / np.linalg.norm(training.embedding, axis=1, keepdims=True)


def reference(model, unit, training, scaler=None):
    """What scikit-learn finds on the pair features themselves: fitted, and as scores of all photos with each other."""
    pairs = training.pairs[BLIND]
    x = pair_features(unit[pairs.left], unit[pairs.right])
    scale = scaler.fit(x).transform if scaler else lambda x: x
    model.fit(scale(x), pairs.same)
    n = len(unit)
    left, right = (part.ravel() for part in np.indices((n, n)))
    return model.predict_proba(scale(pair_features(unit[left], unit[right])))[:, 1].reshape(n, n)


def test_features_by_column_are_the_features(training, unit):
    pairs = training.pairs[BLIND]
    assert len(pairs) > fitting.PAIRS_AT_A_TIME
    features, by_column = training.features(pairs), training.features(pairs, "F")
    np.testing.assert_array_equal(by_column, features)
    np.testing.assert_allclose(features, pair_features(unit[pairs.left], unit[pairs.right]), atol=1e-6)
    assert by_column.flags.f_contiguous


def test_pair_features_are_symmetric_and_of_both_embeddings_alone(training):
    left, right = np.array([[0.6, 0.8]]), np.array([[1.0, 0.0]])
    np.testing.assert_allclose(pair_features(left, right), [[0.16, 0.64, 0.6, 0.0]], atol=1e-9)
    np.testing.assert_array_equal(pair_features(left, right), pair_features(right, left))
    assert set(vars(training)) == {"embedding", "pairs", "seed"}  # neither labels nor color features


def test_the_folded_form_is_the_logistic_regression_on_normalised_pair_features(toy_bundle, training, unit):
    method = SIMILARITIES["logistic_regression"]
    codes = method.encode(toy_bundle.gallery.features, model := fit_logistic_regression(training))
    expected = reference(LogisticRegression(C=fitting.C, max_iter=1000), unit, training, StandardScaler())
    np.testing.assert_allclose(method.compare(codes, codes, model, TASKS[BLIND], 0.5), expected, atol=1e-3)
    assert np.ptp(expected) > 0.3


def test_the_stored_forest_is_the_random_forest_on_pair_features(toy_bundle, training, unit):
    method = SIMILARITIES["random_forest"]
    codes = method.encode(toy_bundle.gallery.features, model := fit_random_forest(training))
    forest = RandomForestClassifier(
        fitting.FOREST_TREES,
        max_leaf_nodes=fitting.FOREST_LEAVES,
        min_samples_leaf=fitting.LEAST_LEAF,
        random_state=0,
    )
    expected = reference(forest, unit, training)
    np.testing.assert_allclose(method.compare(codes, codes, model, TASKS[BLIND], 0.5), expected, atol=1e-5)


def test_embeddings_of_a_gallery_are_not_copied(toy_bundle):
    photos = toy_bundle.gallery.features
    for name in ("cosine", "inverse_euclidean", "logistic_regression", "random_forest"):
        method = SIMILARITIES[name]
        assert method.encode(photos, toy_bundle.models.of(method))[0] is photos.embedding
