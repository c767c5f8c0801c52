import dataclasses

import numpy as np
import pytest
from PIL import Image

from cbir.errors import BundleError, CbirError, ImageError, UnknownNameError
from cbir.images import crop_image
from cbir.ranking import top_k
from cbir.search import Retriever, SearchOptions
from cbir.similarity import SIMILARITIES, Models
from tests.conftest import ToyBackbone, png, toy_photo
from train.evaluation.not_clothes import not_clothes


def test_top_k_breaks_ties_by_id():
    scores = np.float32([0.5, 0.9, 0.5, 0.9])
    assert top_k(scores, np.array([2, 1, 0, 3]), 4).tolist() == [1, 3, 2, 0]
    assert top_k(scores, np.array([2, 1, 0, 3]), 2).tolist() == [1, 3]
    assert top_k(np.float32([1, -np.inf]), np.array([0, 1]), 5).tolist() == [0]


@pytest.mark.parametrize("k", [1, 7, 100, 299, 300, 400])
def test_top_k_is_the_whole_order_cut_off(k):
    rng = np.random.default_rng(k)
    scores = rng.integers(0, 20, 300).astype(np.float32)  # many ties
    scores[rng.random(300) < 0.2] = -np.inf
    id_order = rng.permutation(300)
    whole = sorted(np.flatnonzero(np.isfinite(scores)).tolist(), key=lambda row: (-scores[row], id_order[row]))
    assert top_k(scores, id_order, k).tolist() == whole[:k]


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


def test_photos_of_one_query_are_read_one_after_another(toy_bundle, monkeypatch):
    at_once = []
    embed = ToyBackbone.embed
    monkeypatch.setattr(ToyBackbone, "embed", lambda self, images: at_once.append(len(images)) or embed(self, images))
    query = Retriever(toy_bundle, ToyBackbone()).query([toy_photo("red", "shirt", n) for n in range(3)], crop=None)
    assert len(query.features) == 3
    assert at_once == [1, 1, 1]


def test_an_item_never_answers_itself(retriever):
    id = "red_shirt/3.png"
    result = retriever.search_by_id(id, SearchOptions(k=1000))
    assert result.query_id == id
    assert len(result.matches) == len(retriever.index.gallery) - 1
    assert id not in {m.id for m in result.matches}


def test_searching_by_id_or_by_its_photo_agrees(retriever):
    by_id = retriever.search_by_id("red_shirt/3.png", SearchOptions("cosine", k=20))
    by_photo = retriever.search(toy_photo("red", "shirt", 3), SearchOptions("cosine", k=21))
    assert [m.id for m in by_photo.matches if m.id != "red_shirt/3.png"] == [m.id for m in by_id.matches]


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
    bare = Retriever(dataclasses.replace(toy_bundle, models=Models()), ToyBackbone())
    assert bare.search_by_id("red_shirt/0.png").method == "cosine"  # without being told which
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


def ids(result):
    return [match.id for match in result.matches]


def shown(result, label):
    return {match.labels[label] for match in result.matches}


def test_filters_apply_before_ranking(retriever):
    everything = retriever.search_by_id("red_shirt/3.png", SearchOptions(k=1000))
    few = retriever.search_by_id("red_shirt/3.png", SearchOptions(k=9, types=("pants", "shoes"), colors=("white",)))
    assert len(few.matches) == 9  # though the best 9 of all are red shirts
    fitting = [m for m in everything.matches if m.labels["type"] != "shirt" and m.labels["color"] == "white"]
    assert ids(few) == [m.id for m in fitting[:9]]
    assert [m.score for m in few.matches] == [m.score for m in fitting[:9]]


def test_facets_count_what_a_filter_would_leave(retriever):
    facets = retriever.facets(SearchOptions(types=("shirt",), colors=("red", "white")))
    assert facets == {"type": {"pants": 24, "shirt": 24, "shoes": 24}, "color": {"blue": 12, "red": 12, "white": 12}}
    result = retriever.search(toy_photo("blue", "pants", 99), SearchOptions(k=1000, types=("shirt",), colors=("red",)))
    assert len(result.matches) == facets["color"]["red"]


@pytest.mark.parametrize("method", ["agreement_and_likeness", "logistic_regression", "random_forest"])
def test_the_weight_moves_from_type_to_color(retriever, method):
    photo = toy_photo("blue", "pants", 99)

    def score(**options):
        return np.array([m.score for m in sorted(search(**options).matches, key=lambda m: m.id)])

    def search(**options):
        return retriever.search(photo, SearchOptions(method, k=1000, **options))

    type_score, color_score = score(task="type"), score(task="color")
    assert score(weight=0) == pytest.approx(type_score**2, rel=1e-5)
    assert score(weight=1) == pytest.approx(color_score**2, rel=1e-5)
    assert score(weight=0.25) == pytest.approx(type_score**1.5 * color_score**0.5, rel=1e-4)
    assert ids(search(weight=0.5)) == ids(search())


def test_other_colors_keep_the_type(retriever):
    for query in ("red_shirt/3.png", None):
        options = SearchOptions("attribute_agreement", k=20, other_colors=True)
        if query:
            result = retriever.search_by_id(query, options)
        else:  # the color of an upload is what the photo shows
            result = retriever.search(toy_photo("red", "shirt", 99), options)
        assert shown(result, "type") == {"shirt"}
        assert shown(result, "color") == {"blue", "white"}
        assert result.task == "type"


def test_least_similar_is_the_other_end(retriever):
    closest = retriever.search_by_id("red_shirt/3.png", SearchOptions("cosine", k=1000))
    farthest = retriever.search_by_id("red_shirt/3.png", SearchOptions("cosine", k=5, least_similar=True))
    assert ids(farthest) == ids(closest)[::-1][:5]
    assert [m.rank for m in farthest.matches] == [1, 2, 3, 4, 5]


def test_near_duplicates_are_hidden(toy_bundle):
    gallery = toy_bundle.gallery
    rows = np.concatenate([np.arange(len(gallery)), [3, 3, 40]])  # the same photos under other ids
    twins = dataclasses.replace(
        gallery,
        ids=np.concatenate([gallery.ids, ["twin/1", "twin/2", "twin/3"]]),
        labels={name: values[rows] for name, values in gallery.labels.items()},
        features=gallery.features.take(rows),
        thumbnails=[gallery.thumbnails[row] for row in rows],
        splits=gallery.splits[rows],
    )
    retriever = Retriever(dataclasses.replace(toy_bundle, gallery=twins), ToyBackbone())
    codes = gallery.features.embedding / np.linalg.norm(gallery.features.embedding, axis=1, keepdims=True)
    options = SearchOptions("cosine", k=1000, hide_near_duplicates=True)
    query = str(gallery.ids[3])
    assert {"twin/1", "twin/2"} <= set(ids(retriever.search_by_id(query, SearchOptions("cosine", k=1000))))
    kept = ids(retriever.search_by_id(query, options))
    assert not {"twin/1", "twin/2"} & set(kept)
    place = {id: row for row, id in enumerate(gallery.ids)} | {"twin/3": 40}
    kept_codes = codes[[3] + [place[id] for id in kept]]
    similar = kept_codes @ kept_codes.T - np.eye(len(kept_codes))
    assert similar.max() < 0.97
    few = retriever.search_by_id(query, dataclasses.replace(options, k=4))
    assert ids(few) == kept[:4]


def test_several_photos_are_scored_by_their_mean(retriever):
    photos = [toy_photo("red", "shirt", 99), toy_photo("red", "shoes", 98)]
    options = SearchOptions("cosine", k=1000)
    one, other = ({m.id: m.score for m in retriever.search(photo, options).matches} for photo in photos)
    together = retriever.search(photos, options)
    assert {m.id: m.score for m in together.matches} == pytest.approx({id: (one[id] + other[id]) / 2 for id in one})
    assert together.query_id is None
    mixed = retriever.search(photos[0], options, ids=["blue_pants/2.png"])
    assert len(mixed.matches) == len(retriever.index.gallery) - 1
    assert "blue_pants/2.png" not in ids(mixed)


def test_a_crop_searches_with_that_part(retriever):
    photo = toy_photo("red", "shirt", 99)
    pair = Image.new("RGB", (2 * photo.width, photo.height))
    pair.paste(toy_photo("blue", "pants", 99), (0, 0))
    pair.paste(photo, (photo.width, 0))
    options = SearchOptions("cosine", k=10)
    cropped = retriever.search(pair, options, crop=(0.5, 0, 1, 1))
    assert cropped.matches == retriever.search(photo, options).matches
    assert cropped.matches != retriever.search(pair, options).matches
    with_another = retriever.search([pair, photo], options, crop=(0.5, 0, 1, 1))  # which is taken whole
    assert with_another.matches == cropped.matches


@pytest.mark.parametrize(
    "crop", [(0, 0, 1), (0, 0, 0, 1), (0.5, 0, 0.2, 1), (0, -0.1, 1, 1), (0, 0, 1.1, 1), ("0", 0, 1, 1), "0011", 5]
)
def test_a_crop_that_is_not_a_valid_box_is_refused(retriever, crop):
    with pytest.raises(ImageError, match="expected a crop as left, top, right, bottom"):
        retriever.search(toy_photo("red", "shirt", 1), crop=crop)


def test_the_smallest_crop_is_one_pixel(retriever):
    assert crop_image(toy_photo("red", "shirt", 1), (0.5, 0.5, 0.5001, 0.5001)).size == (1, 1)


def test_a_weight_needs_a_method_that_scores_labels(retriever):
    with pytest.raises(CbirError, match="Cosine does not tell type from color"):
        retriever.search_by_id("red_shirt/3.png", SearchOptions("cosine", weight=0.5))


def test_nothing_to_search_with_is_refused(retriever):
    with pytest.raises(CbirError, match="at least one photo or id"):
        retriever.search([])
    with pytest.raises(CbirError, match="expected a photo to crop"):
        retriever.search([], ids=["red_shirt/3.png"], crop=(0, 0, 1, 1))


@pytest.mark.parametrize("method", SIMILARITIES)
def test_a_photo_of_clothes_gets_confident_matches_and_a_gradient_does_not(retriever, method):
    photo, none = toy_photo("red", "shirt", 99), not_clothes(1, seed=5)["gradient"][0]
    options = SearchOptions(method, "type")  # the toy embedding, which some methods see alone, tells no colors
    assert retriever.search(photo, options).is_confident
    assert not retriever.search(none, options).is_confident
    # One photo that is none spoils the search.
    assert not retriever.search([photo, none], options).is_confident


def test_a_best_match_that_is_more_probably_wrong_is_not_confident(retriever):
    options = SearchOptions("attribute_agreement", "color", colors=("blue",))
    result = retriever.search_by_id("red_shirt/3.png", options)
    assert result.matches[0].probability < 0.5
    assert not result.is_confident
    # Whatever the method; of the least similar none is expected to match.
    assert not retriever.search_by_id("red_shirt/3.png", dataclasses.replace(options, method="cosine")).is_confident
    assert retriever.search_by_id("red_shirt/3.png", dataclasses.replace(options, least_similar=True)).is_confident


@pytest.mark.parametrize("method", SIMILARITIES)
def test_a_match_tells_probability_and_likeness_whatever_the_method(retriever, method):
    result = retriever.search(toy_photo("blue", "pants", 99), SearchOptions(method, k=108))
    agreement = retriever.search(toy_photo("blue", "pants", 99), SearchOptions("attribute_agreement", k=108))
    scores = {match.id: match.score for match in agreement.matches}
    for match in result.matches:
        assert match.probability == pytest.approx(scores[match.id], abs=1e-6)
        assert 0 <= match.likeness <= 1
        assert not match.is_same_picture


def test_the_same_picture_is_marked_and_surely_agrees(retriever):
    same, *others = retriever.search(toy_photo("white", "shoes", 3), SearchOptions("cosine")).matches
    assert same.id == "white_shoes/3.png"
    assert same.is_same_picture
    assert (same.probability, same.likeness) == (1, pytest.approx(1, abs=1e-3))
    assert not any(match.is_same_picture for match in others)


def test_figures_of_several_photos_are_means(retriever):
    photos, options = [toy_photo("red", "shirt", 99), toy_photo("blue", "pants", 99)], SearchOptions("cosine", k=108)
    one, other = ({m.id: m for m in retriever.search(photo, options).matches} for photo in photos)
    for match in retriever.search(photos, options).matches:
        for figure in ("probability", "likeness"):
            mean = (getattr(one[match.id], figure) + getattr(other[match.id], figure)) / 2
            assert getattr(match, figure) == pytest.approx(mean)


def test_a_bundle_without_learned_methods_tells_no_probability(toy_bundle):
    retriever = Retriever(dataclasses.replace(toy_bundle, models=Models()), ToyBackbone())
    result = retriever.search_by_id("red_shirt/3.png")
    assert result.is_confident
    assert all(match.probability is None and 0 <= match.likeness <= 1 for match in result.matches)


def test_without_familiarity_only_the_probability_counts(toy_bundle):
    picture, options = not_clothes(1, seed=5)["gradient"][0], SearchOptions("cosine", "type")
    result = Retriever(dataclasses.replace(toy_bundle, familiarity=None), ToyBackbone()).search(picture, options)
    assert result.is_confident == (result.matches[0].probability >= 0.5)
    plain = dataclasses.replace(toy_bundle, familiarity=None, models=Models())
    assert Retriever(plain, ToyBackbone()).search(picture, options).is_confident
