"""The contract that every method keeps, and references for each."""

import dataclasses

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.preprocessing import StandardScaler

from cbir.errors import UnknownNameError
from cbir.labels import LABELS, TASKS
from cbir.similarity import BLIND, PAIR_C, SIMILARITIES, Model, TrainingSet, attribute_posteriors, similarity
from cbir.similarity.pairs import pair_features
from train.fit import FIT_PAIRS, fit_methods, sample_pairs

METHODS = [pytest.param(method, id=name) for name, method in SIMILARITIES.items()]
EVERY_TASK = [*TASKS.values(), None]


@pytest.fixture(scope="module")
def photos(toy_bundle):
    return toy_bundle.gallery.features


def score(toy_bundle, method, queries, gallery, task):
    return method.score(queries, gallery, toy_bundle.models.get(method.name, Model()), task)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("task", EVERY_TASK, ids=str)
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
        def assert_same(scores, expected):
            # The last bit of a code depends on the shape of the matrix product, and may send it down another branch
            # of one tree of a forest: rare and small there, nowhere else.
            if method.name == "random_forest":
                assert np.abs(scores - expected).max() < 0.05
                assert (np.abs(scores - expected) > 1e-5).mean() < 0.01
            else:
                np.testing.assert_allclose(scores, expected, atol=1e-5)

        queries = photos.take(slice(0, 12))
        whole = score(toy_bundle, method, queries, photos, task)
        order = np.random.default_rng(0).permutation(len(photos))
        assert_same(score(toy_bundle, method, queries, photos.take(order), task), whole[:, order])
        parts = [score(toy_bundle, method, queries, photos.take(slice(s, s + 17)), task) for s in range(0, 108, 17)]
        assert_same(np.concatenate(parts, axis=1), whole)
        alone = [score(toy_bundle, method, queries.take(slice(r, r + 1)), photos, task) for r in range(12)]
        assert_same(np.concatenate(alone), whole)

    def test_matching_photos_score_higher(self, toy_bundle, photos, method, task):
        gallery = toy_bundle.gallery
        scores = score(toy_bundle, method, photos, photos, task)
        relevance = (task or TASKS["type"]).relevance(gallery.labels, gallery.labels)
        others = ~np.eye(len(gallery), dtype=bool)
        # The toy embedding sees shapes and not hues: geometric methods are only asked about the type.
        if method.is_learned or task is TASKS["type"]:
            assert scores[relevance & others].mean() > scores[~relevance].mean() + (0.03 if method.is_learned else 0)


@pytest.mark.parametrize("method", [m for m in SIMILARITIES.values() if m.fit], ids=lambda m: m.name)
def test_fitting_again_gives_the_same(toy_bundle, photos, method):
    gallery = toy_bundle.gallery
    train = gallery.splits == "train"
    labels = {name: gallery.labels[name][train] for name in LABELS}
    pairs = {name: sample_pairs(labels[name], FIT_PAIRS, 0) for name in LABELS}
    model = method.fit(TrainingSet(photos.take(train), labels, pairs, 0, np.zeros(train.sum(), bool)))
    for task in EVERY_TASK:
        again = method.score(photos.take(slice(3)), photos, model, task)
        np.testing.assert_allclose(again, score(toy_bundle, method, photos.take(slice(3)), photos, task), atol=1e-5)


def test_cosine_matches_scikit_learn(toy_bundle, photos):
    expected = cosine_similarity(photos.embedding)
    np.testing.assert_allclose(score(toy_bundle, similarity("cosine"), photos, photos, None), expected, atol=1e-5)


def test_inverse_euclidean_matches_scipy(toy_bundle, photos):
    expected = 1 / (1 + cdist(photos.embedding, photos.embedding))
    scores = score(toy_bundle, similarity("inverse_euclidean"), photos, photos, None)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_a_blank_embedding_does_not_break_cosine(photos):
    blank = dataclasses.replace(photos.take([0]), embedding=np.zeros((1, photos.embedding.shape[1]), np.float32))
    assert (similarity("cosine").score(blank, photos, Model(), None) == 0).all()


def test_the_inner_product_is_the_logistic_regression_on_pair_features(toy_bundle, photos):
    """The folded weights give what scikit-learn gives on the pair features themselves."""
    method, gallery = similarity("logistic_regression"), toy_bundle.gallery
    train = gallery.splits == "train"
    labels = {name: gallery.labels[name][train] for name in LABELS}
    pairs = {name: sample_pairs(labels[name], FIT_PAIRS, 0) for name in LABELS}
    training = TrainingSet(photos.take(train), labels, pairs, 0, np.zeros(train.sum(), bool))
    model = method.fit(training)
    codes, pairs = training.out_of_fold_posteriors.astype(np.float64), pairs["type"]
    # It shares the attribute model: the same codes for the same photos.
    agreement = similarity("attribute_agreement")
    np.testing.assert_array_equal(method.encode(photos, model), agreement.encode(photos, training.attributes))

    def inputs(left, right):
        columns = [
            slice(0, len(model.settings["classes"]["type"])),
            slice(len(model.settings["classes"]["type"]), None),
        ]
        agreement = [np.clip((left[:, part] * right[:, part]).sum(axis=1), 1e-4, 1 - 1e-4) for part in columns]
        odds = [probability / (1 - probability) for probability in agreement]
        return np.column_stack([pair_features(left, right), *np.log(odds)])

    x = inputs(codes[pairs.left], codes[pairs.right])
    scaler = StandardScaler().fit(x)
    reference = LogisticRegression(C=PAIR_C, max_iter=1000).fit(scaler.transform(x), pairs.same)
    test = method.encode(photos.take(~train), model)
    left, right = (part.ravel() for part in np.indices((len(test), len(test))))
    expected = reference.predict_proba(scaler.transform(inputs(test[left], test[right])))[:, 1]
    np.testing.assert_allclose(method.compare(test, test, model, "type").ravel(), expected, atol=1e-3)


def test_attribute_agreement_is_the_probability_of_equal_labels(toy_bundle, photos):
    method = similarity("attribute_agreement")
    model = toy_bundle.models[method.name]
    posteriors = attribute_posteriors(photos, model)
    for label in LABELS:
        np.testing.assert_allclose(posteriors[label].sum(axis=1), 1, atol=1e-5)
        assert posteriors[label].shape[1] == len(model.settings["classes"][label])
    by_label = {name: posteriors[name] @ posteriors[name].T for name in LABELS}
    np.testing.assert_allclose(method.score(photos, photos, model, TASKS["color"]), by_label["color"], atol=1e-5)
    both = by_label["type"] * by_label["color"]
    np.testing.assert_allclose(method.score(photos, photos, model, TASKS["both"]), both, atol=1e-5)


def test_out_of_fold_posteriors_come_from_models_that_did_not_see_the_photo(toy_bundle, photos):
    """One photo with a wrong label: a model that saw it would believe the label more than one that did not."""
    gallery = toy_bundle.gallery
    labels = {name: column.copy() for name, column in gallery.labels.items()}
    row = int(np.flatnonzero(labels["type"] == "shoes")[0])
    labels["type"][row] = "pants"
    pairs = {name: sample_pairs(labels[name], 100, 0) for name in LABELS}
    training = TrainingSet(photos, labels, pairs, 0, np.zeros(len(photos), bool))
    pants = training.attributes.settings["classes"]["type"].index("pants")
    seen = attribute_posteriors(photos.take(slice(row, row + 1)), training.attributes)["type"][0, pants]
    assert training.out_of_fold_posteriors[row, pants] < seen
    np.testing.assert_allclose(training.out_of_fold_posteriors.sum(axis=1), len(LABELS), atol=1e-5)


def test_temperatures_make_unseen_labels_as_probable_as_possible(toy_bundle, photos):
    """Half of the labels are dealt out at random: a model that is sure of them would be wrong every other time."""
    rng = np.random.default_rng(0)
    labels = {name: column.copy() for name, column in toy_bundle.gallery.labels.items()}
    wrong = rng.random(len(photos)) < 0.5
    labels["type"][wrong] = rng.permutation(labels["type"][wrong])
    pairs = {name: sample_pairs(labels[name], 100, 0) for name in LABELS}
    training = TrainingSet(photos, labels, pairs, 0, np.zeros(len(photos), bool))
    classes = np.array(training.attributes.settings["classes"]["type"])
    rows, true = np.arange(len(photos)), np.searchsorted(classes, labels["type"])

    def loss(power):
        posteriors = training.out_of_fold_posteriors[:, : len(classes)] ** power
        return -np.log(posteriors[rows, true] / posteriors.sum(axis=1)).mean()

    assert loss(1) <= min(loss(0.8), loss(1.25)) + 1e-6


def test_a_class_that_a_fold_lacks_does_not_change_how_sure_the_others_are(toy_bundle, photos):
    """Nobody who has not seen the class could know it: that is no sign of being too sure."""
    labels = {name: column.copy() for name, column in toy_bundle.gallery.labels.items()}
    labels["color"][0] = "teal"

    def temperature(labels):
        pairs = {name: sample_pairs(labels[name], 100, 0) for name in LABELS}
        return TrainingSet(photos, labels, pairs, 0, np.zeros(len(photos), bool))._temperatures["color"]

    without = {**labels, "color": np.where(labels["color"] == "teal", "", labels["color"])}
    assert temperature(labels) == pytest.approx(temperature(without), rel=0.2)


def test_what_a_color_network_learned_from_calibrates_nothing(toy_bundle, photos):
    """Photos whose learned features give their label away: methods on pairs trust them as on photos that do not."""
    gallery = toy_bundle.gallery
    rng = np.random.default_rng(0)
    tuned = np.arange(len(photos)) % 4 != 0
    colors = np.unique(gallery.labels["color"])
    learned = np.eye(len(colors), dtype=np.float32)[np.searchsorted(colors, gallery.labels["color"])]
    learned[~tuned] = rng.permutation(learned[~tuned])  # of others they tell nothing
    features = dataclasses.replace(photos, learned=learned)
    models = fit_methods(features, gallery.labels, 0, tuned)
    naive = fit_methods(features, gallery.labels, 0)
    others = features.take(~tuned)
    method = SIMILARITIES["logistic_regression"]
    spread = [np.ptp(method.score(others, others, m[method.name], TASKS["color"])) for m in (models, naive)]
    assert spread[0] < 0.5 * spread[1]


def test_unknown_labels_are_left_out_of_fitting(toy_bundle, photos):
    gallery = toy_bundle.gallery
    labels = {
        "type": gallery.labels["type"],
        "color": np.where(np.arange(len(gallery)) % 2, "", gallery.labels["color"]),
    }
    models = fit_methods(photos, labels, seed=0)
    assert models["attribute_agreement"].settings["classes"]["color"] == ["blue", "red", "white"]


def test_two_classes_are_enough(toy_bundle, photos):
    gallery = toy_bundle.gallery
    rows = gallery.labels["color"] != "white"
    models = fit_methods(photos.take(rows), {k: v[rows] for k, v in gallery.labels.items()}, seed=0)
    posteriors = attribute_posteriors(photos.take(rows), models["attribute_agreement"])["color"]
    assert (posteriors.argmax(axis=1) == (gallery.labels["color"][rows] == "red")).mean() > 0.95


def test_an_unknown_method_is_named_with_the_known_ones():
    with pytest.raises(UnknownNameError, match=r"unknown method 'cosin': expected one of .*cosine"):
        similarity("cosin")


def test_every_learned_method_has_a_task_blind_model(toy_bundle):
    for name in ("logistic_regression", "random_forest"):
        model = toy_bundle.models[name]
        keys = {key.removeprefix("pairs.").split(".")[0] for key in [*model.arrays, *model.graphs]}
        assert {BLIND, *LABELS} <= keys
