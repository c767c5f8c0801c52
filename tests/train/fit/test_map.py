import numpy as np
import pytest

from cbir.features import extract
from tests.conftest import TOY_COLORS, TOY_SHAPES, ToyBackbone, toy_photo
from train.fit.map import fit_map


@pytest.fixture(scope="module")
def axes(toy_bundle):
    train = toy_bundle.gallery.splits == "train"
    return fit_map(toy_bundle.gallery.features.take(train), toy_bundle.attributes)


def test_photos_that_show_the_same_lie_side_by_side(toy_bundle, axes):
    places = axes.positions(toy_bundle.gallery.features, toy_bundle.attributes)
    labels = toy_bundle.gallery.labels
    names = np.char.add(labels["color"], labels["type"])
    centers = {name: places[names == name].mean(axis=0) for name in np.unique(names)}
    within = np.mean([np.linalg.norm(place - centers[name]) for place, name in zip(places, names, strict=True)])
    between = np.linalg.norm(places - places.mean(axis=0), axis=1).mean()
    assert within < between / 3


def test_a_query_from_outside_lies_by_its_like(toy_bundle, axes):
    attributes, gallery = toy_bundle.attributes, toy_bundle.gallery
    places = axes.positions(gallery.features, attributes)
    for color in TOY_COLORS:
        for type_ in TOY_SHAPES:
            query = axes.positions(extract([toy_photo(color, type_, 99)], ToyBackbone()), attributes)[0]
            distances = np.linalg.norm(places - query, axis=1)
            like = (gallery.labels["color"] == color) & (gallery.labels["type"] == type_)
            assert distances[like].mean() < distances[~like].mean() / 2


def test_the_axes_are_repeatable_and_their_signs_fixed(toy_bundle, axes):
    train = toy_bundle.gallery.splits == "train"
    again = fit_map(toy_bundle.gallery.features.take(train), toy_bundle.attributes)
    np.testing.assert_array_equal(again.axes, axes.axes)
    assert (axes.axes.max(axis=1) == np.abs(axes.axes).max(axis=1)).all()
