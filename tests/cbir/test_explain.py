"""Why an item was found: exact sums over regions, probabilities, and pictures of them."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from cbir.bundle import load_bundle
from cbir.errors import CbirError, UnknownNameError
from cbir.explain import EXACT_WITHIN, explain
from cbir.features import extract
from cbir.features.backbone import load_backbone
from cbir.images import load_image
from cbir.search import Retriever, SearchOptions
from cbir.similarity import SIMILARITIES, Models
from tests.conftest import ToyBackbone, toy_photo

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def lite0():
    return load_backbone("efficientnet-lite0")


def test_regions_of_a_pooled_embedding_sum_to_the_dot_product(lite0):
    photo, other = toy_photo("red", "shirt", 1), toy_photo("blue", "shirt", 2)
    direction = lite0.embed([other])[0]
    values, _ = lite0.contributions(photo, direction)
    assert values.shape == (7, 7)
    np.testing.assert_allclose(values.sum(), lite0.embed([photo])[0] @ direction, rtol=1e-4)


def test_regions_are_where_they_are_in_the_photo(lite0):
    direction = lite0.embed([toy_photo("red", "shirt", 1)])[0]
    photo = Image.new("RGB", (448, 448), "white")
    empty, _ = lite0.contributions(photo, direction)
    photo.paste(toy_photo("red", "shirt", 1), (224, 0))
    values, _ = lite0.contributions(photo, direction)
    row, column = np.unravel_index((values - empty).argmax(), values.shape)
    assert row <= 3
    assert column >= 3


@pytest.mark.parametrize(
    ("size", "expected"),
    [((256, 256), (1 / 16, 1 / 16, 15 / 16, 15 / 16)), ((512, 256), (9 / 32, 1 / 16, 23 / 32, 15 / 16))],
)
def test_the_box_is_what_preprocessing_leaves(lite0, size, expected):
    assert lite0.contributions(Image.new("RGB", size), np.zeros(1280, np.float32))[1] == pytest.approx(expected)


def test_layers_behind_the_map_are_taken_for_linear_but_for_their_biases(vgg16_weights, tmp_path):
    from safetensors.torch import load_file, save_file

    state = load_file(vgg16_weights)
    state["pre_logits.fc2.bias"] += 1
    save_file(state, tmp_path / "biased.safetensors")
    photo = toy_photo("red", "shirt", 1)
    for name, path, is_exact in (
        ("vgg16-conv", vgg16_weights, True),
        ("vgg16", vgg16_weights, True),
        ("vgg16", tmp_path / "biased.safetensors", False),
    ):
        backbone = load_backbone(name, path)
        embedding = backbone.embed([photo])[0]
        values, _ = backbone.contributions(photo, embedding)
        assert values.shape == (7, 7)
        assert np.isclose(values.sum(), embedding @ embedding, rtol=1e-3) == is_exact, name


def test_the_embedded_bundle_explains_exactly(lite0):
    retriever = Retriever(load_bundle(), lite0)
    gallery = retriever.index.gallery
    query = load_image(gallery.thumbnails[0])
    found = retriever.search(query, SearchOptions(k=3)).matches[1]
    explained = explain(retriever, found.id, query)
    assert explained.likeness == pytest.approx(found.likeness, abs=1e-3)
    assert explained.is_exact
    maps = explained.query_map, explained.item_map
    sums = [float(heat.values.sum()) + heat.color for heat in maps]
    assert sums == [pytest.approx(found.likeness, abs=1e-3), pytest.approx(found.likeness, abs=EXACT_WITHIN)]


def test_evidence_is_what_attribute_agreement_scores(retriever):
    photo = toy_photo("blue", "pants", 99)
    for match in retriever.search(photo, SearchOptions("attribute_agreement", k=3)).matches:
        evidence = explain(retriever, match.id, photo).evidence
        assert evidence["type"].agreement * evidence["color"].agreement == pytest.approx(match.score, abs=1e-3)
        assert explain(retriever, match.id, photo).probability == pytest.approx(match.probability, abs=1e-6)
        assert (evidence["type"].query, evidence["color"].query) == ("pants", "blue")
        assert (evidence["type"].item, evidence["color"].item) == (match.labels["type"], match.labels["color"])
        assert 0.5 < evidence["type"].query_probability <= 1


def test_the_same_picture_leaves_no_doubt(retriever):
    explained = explain(retriever, "red_shirt/3.png", toy_photo("red", "shirt", 3))
    assert explained.is_same_picture
    assert explained.probability == 1
    assert all(evidence.agreement == 1 for evidence in explained.evidence.values())


def test_an_item_or_a_part_of_a_photo_can_be_the_query(retriever):
    by_id = explain(retriever, "red_shirt/4.png", query_id="red_shirt/3.png")
    by_photo = explain(retriever, "red_shirt/4.png", toy_photo("red", "shirt", 3))
    assert by_id.likeness == pytest.approx(by_photo.likeness, abs=1e-3)
    part = explain(retriever, "red_shirt/4.png", toy_photo("red", "shirt", 3), crop=(0, 0, 0.5, 0.5))
    assert part.likeness != pytest.approx(by_photo.likeness, abs=1e-2)
    assert part.query_map.image.size == (112, 112)


def test_what_makes_no_query_is_refused(retriever):
    for wrong in ({}, {"image": toy_photo("red", "shirt", 3), "query_id": "red_shirt/3.png"}):
        with pytest.raises(CbirError, match="and not both"):
            explain(retriever, "red_shirt/4.png", **wrong)
    with pytest.raises(CbirError, match="and not both"):
        explain(retriever, "red_shirt/4.png", query_id="red_shirt/3.png", crop=(0, 0, 1, 1))
    with pytest.raises(UnknownNameError, match="nobody"):
        explain(retriever, "nobody", query_id="red_shirt/3.png")


def test_without_feature_map_or_learned_method_the_rest_remains(monkeypatch, toy_bundle):
    from cbir.errors import BackboneError

    def refuse(*_):
        raise BackboneError("no map")

    monkeypatch.setattr(ToyBackbone, "contributions", refuse)
    plain = Retriever(dataclasses.replace(toy_bundle, models=Models()), ToyBackbone())
    explained = explain(plain, "red_shirt/4.png", query_id="red_shirt/3.png")
    assert explained.evidence == {}
    assert explained.query_map is explained.item_map is None
    assert 0.3 < explained.likeness < 1
    assert {m.name for m in plain.methods} == {name for name, m in SIMILARITIES.items() if not m.is_learned}


def test_features_of_the_query_are_those_of_a_search(retriever):
    photo = toy_photo("blue", "pants", 99)
    query, item = extract([photo], ToyBackbone()), retriever.index.gallery.features.take([5])
    likeness = retriever.bundle.models.likeness
    expected = float(likeness.codes(query)[0] @ likeness.codes(item)[0])
    assert explain(retriever, str(retriever.index.gallery.ids[5]), photo).likeness == pytest.approx(
        max(expected, 0), abs=1e-6
    )


@pytest.mark.parametrize("item", ["red_shirt/4.png", "blue_shirt/7.png", "white_pants/1.png"])
def test_regions_and_colors_sum_to_the_likeness_that_ranks(retriever, item):
    """Of the toy backbone, whose regions are its embedding; likeness is cut off at 0 only when it is shown."""
    photo, likeness = toy_photo("red", "shirt", 99), retriever.bundle.models.likeness
    explained = explain(retriever, item, photo)
    codes = [
        likeness.codes(f)[0]
        for f in (
            extract([photo], ToyBackbone()),
            retriever.index.gallery.features.take([retriever.index.gallery.row(item)]),
        )
    ]
    found = explained.query_map
    assert found.values.sum() + found.color == pytest.approx(codes[0] @ codes[1], abs=1e-3)
    assert explained.likeness == pytest.approx(max(codes[0] @ codes[1], 0), abs=1e-6)
    assert found.color != 0
