import json

import numpy as np
import pytest

from cbir.features import extract
from cbir.map import fit_map, map_positions
from tests.conftest import TOY_COLORS, TOY_SHAPES, ToyBackbone, toy_photo


@pytest.fixture(scope="module")
def axes(toy_bundle):
    train = toy_bundle.gallery.splits == "train"
    return fit_map(toy_bundle.gallery.features.take(train), toy_bundle.models["attribute_agreement"])


def test_photos_that_show_the_same_lie_side_by_side(toy_bundle, axes):
    places = map_positions(toy_bundle.gallery.features, toy_bundle.models["attribute_agreement"], axes)
    labels = toy_bundle.gallery.labels
    names = np.char.add(labels["color"], labels["type"])
    centers = {name: places[names == name].mean(axis=0) for name in np.unique(names)}
    within = np.mean([np.linalg.norm(place - centers[name]) for place, name in zip(places, names, strict=True)])
    between = np.linalg.norm(places - places.mean(axis=0), axis=1).mean()
    assert within < between / 3


def test_a_query_from_outside_lies_by_its_like(toy_bundle, axes):
    model, gallery = toy_bundle.models["attribute_agreement"], toy_bundle.gallery
    places = map_positions(gallery.features, model, axes)
    for color in TOY_COLORS:
        for type_ in TOY_SHAPES:
            query = map_positions(extract([toy_photo(color, type_, 99)], ToyBackbone()), model, axes)[0]
            distances = np.linalg.norm(places - query, axis=1)
            like = (gallery.labels["color"] == color) & (gallery.labels["type"] == type_)
            assert distances[like].mean() < distances[~like].mean() / 2


def test_the_axes_are_repeatable_json(toy_bundle, axes):
    train = toy_bundle.gallery.splits == "train"
    again = fit_map(toy_bundle.gallery.features.take(train), toy_bundle.models["attribute_agreement"])
    assert json.loads(json.dumps(axes)) == again
    signs = np.array(axes["axes"])
    assert (signs.max(axis=1) == np.abs(signs).max(axis=1)).all()
