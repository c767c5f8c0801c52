import dataclasses

import numpy as np
import pytest

from cbir.labels import LABELS
from train.fit.attributes import fit_attributes


@pytest.fixture(scope="module")
def photos(toy_bundle):
    return toy_bundle.gallery.features


@pytest.fixture
def labels(toy_bundle):
    return {name: column.copy() for name, column in toy_bundle.gallery.labels.items()}


def fitted(photos, labels):
    return fit_attributes(photos, labels, 0, np.zeros(len(photos), bool))


def test_unseen_posteriors_come_from_models_that_did_not_see_the_photo(photos, labels):
    """One photo with a wrong label: a model that saw it would believe the label more than one that did not."""
    row = int(np.flatnonzero(labels["type"] == "shoes")[0])
    labels["type"][row] = "pants"
    found = fitted(photos, labels)
    pants = found.model.classes("type").index("pants")
    assert found.unseen[row, pants] < found.model.posteriors(photos.take([row]))["type"][0, pants]
    np.testing.assert_allclose(found.unseen.sum(axis=1), len(LABELS), atol=1e-5)


def test_temperatures_make_unseen_labels_as_probable_as_possible(photos, labels):
    """Half of the labels are dealt out at random: a model that is sure of them would be wrong every other time."""
    rng = np.random.default_rng(0)
    wrong = rng.random(len(photos)) < 0.5
    labels["type"][wrong] = rng.permutation(labels["type"][wrong])
    found = fitted(photos, labels)
    classes = np.array(found.model.classes("type"))
    rows, true = np.arange(len(photos)), np.searchsorted(classes, labels["type"])

    def loss(power):
        posteriors = found.unseen[:, : len(classes)] ** power
        return -np.log(posteriors[rows, true] / posteriors.sum(axis=1)).mean()

    assert loss(1) <= min(loss(0.8), loss(1.25)) + 1e-6


def test_a_class_that_a_fold_lacks_does_not_change_how_sure_the_others_are(photos, labels):
    """Nobody who has not seen the class could know it: that is no sign of being too sure."""
    labels["color"][0] = "teal"
    without = {**labels, "color": np.where(labels["color"] == "teal", "", labels["color"])}
    with_teal, without_teal = (fitted(photos, columns).temperatures["color"] for columns in (labels, without))
    assert with_teal == pytest.approx(without_teal, rel=0.2)


def test_unknown_labels_are_left_out_of_fitting(photos, labels):
    labels["color"][::2] = ""
    assert fitted(photos, labels).model.classes("color") == ("blue", "red", "white")


def test_two_classes_are_enough(photos, labels):
    rows = labels["color"] != "white"
    two = {name: column[rows] for name, column in labels.items()}
    posteriors = fitted(photos.take(rows), two).model.posteriors(photos.take(rows))["color"]
    assert (posteriors.argmax(axis=1) == (two["color"] == "red")).mean() > 0.95


def test_what_a_color_network_learned_from_calibrates_nothing(photos, labels):
    """Photos whose learned features give their label away: they are trusted as on photos that do not."""
    rng = np.random.default_rng(0)
    tuned = np.arange(len(photos)) % 4 != 0
    colors = np.unique(labels["color"])
    learned = np.eye(len(colors), dtype=np.float32)[np.searchsorted(colors, labels["color"])]
    learned[~tuned] = rng.permutation(learned[~tuned])  # of others they tell nothing
    features = dataclasses.replace(photos, learned=learned)
    careful, naive = fit_attributes(features, labels, 0, tuned), fitted(features, labels)
    others = features.take(~tuned)
    spread = [np.ptp(found.model.posteriors(others)["color"]) for found in (careful, naive)]
    assert spread[0] < 0.5 * spread[1]
