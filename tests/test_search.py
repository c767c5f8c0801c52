import dataclasses

import numpy as np
import pytest

from cbir.errors import BundleError, CbirError, ImageError, UnknownNameError
from cbir.search import Retriever, SearchOptions, top_k
from cbir.similarity import SIMILARITIES
from tests.conftest import ToyBackbone, png, toy_photo


def test_top_k_breaks_ties_by_id():
    scores = np.float32([0.5, 0.9, 0.5, 0.9])
    assert top_k(scores, np.array([2, 1, 0, 3]), 4).tolist() == [1, 3, 2, 0]
    assert top_k(scores, np.array([2, 1, 0, 3]), 2).tolist() == [1, 3]
    assert top_k(np.float32([1, -np.inf]), np.array([0, 1]), 5).tolist() == [0]


@pytest.mark.parametrize("method", SIMILARITIES)
def test_every_method_finds_the_shape(retriever, method):
    result = retriever.search(png(toy_photo("blue", "pants", 99)), SearchOptions(method, "type", 10))
    assert [m.rank for m in result.matches] == list(range(1, 11))
    assert [m.labels["type"] for m in result.matches].count("pants") >= 9
    scores = [m.score for m in result.matches]
    assert scores == sorted(scores, reverse=True)
    assert result.seconds > 0
    assert result.query_id is None


def test_both_labels_can_be_asked_for(retriever):
    result = retriever.search(toy_photo("white", "shoes", 99), SearchOptions("attribute_agreement", k=8))
    assert all(m.labels == {"color": "white", "type": "shoes"} for m in result.matches)


def test_an_item_never_answers_itself(retriever):
    id = "red_shirt/3.png"
    result = retriever.search_by_id(id, SearchOptions(k=1000))
    assert result.query_id == id
    assert len(result.matches) == len(retriever.gallery) - 1
    assert id not in {m.id for m in result.matches}


def test_searching_by_id_or_by_its_photo_agrees(retriever):
    by_id = retriever.search_by_id("red_shirt/3.png", SearchOptions("cosine", k=20))
    by_photo = retriever.search(toy_photo("red", "shirt", 3), SearchOptions("cosine", k=21))
    assert [m.id for m in by_photo.matches if m.id != "red_shirt/3.png"] == [m.id for m in by_id.matches]


@pytest.mark.parametrize("k", [0, -3, 2.5, "7", None, True])
def test_a_wrong_k_is_refused(k):
    with pytest.raises(CbirError, match="number of results of at least 1"):
        SearchOptions(k=k)


def test_unknown_names_are_refused(retriever):
    for options in ({"method": "nothing"}, {"task": "nothing"}, {"types": ["nothing"]}, {"colors": ["red", "nothing"]}):
        with pytest.raises(UnknownNameError, match="'nothing'"):
            retriever.search_by_id("red_shirt/3.png", SearchOptions(**options))
    with pytest.raises(UnknownNameError, match="'nothing'"):
        retriever.search_by_id("nothing")


def test_a_bad_photo_is_refused_and_the_next_is_served(retriever):
    with pytest.raises(ImageError):
        retriever.search(b"not a photo")
    assert retriever.search(toy_photo("red", "shirt", 1)).matches


def test_methods_without_a_model_are_not_offered(toy_bundle):
    bare = Retriever(dataclasses.replace(toy_bundle, models={}), ToyBackbone())
    assert [m.name for m in bare.methods] == ["cosine", "inverse_euclidean"]
    with pytest.raises(UnknownNameError):
        bare.search_by_id("red_shirt/3.png", SearchOptions("random_forest"))


def test_another_backbone_is_refused(toy_bundle):
    other = ToyBackbone()
    other.fingerprint = "0" * 64
    with pytest.raises(BundleError, match="made with toy"):
        Retriever(toy_bundle, other)


def test_random_ids_repeat_with_the_seed(toy_bundle):
    gallery = toy_bundle.gallery
    assert gallery.random_id(5) == gallery.random_id(5)
    assert len({gallery.random_id(seed) for seed in range(50)}) > 20
