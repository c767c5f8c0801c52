"""Edited copies find the photo that they were made of, or not."""

import numpy as np
import pytest
from PIL import Image

from cbir.features import Features
from cbir.labels import TASKS
from cbir.similarity import SIMILARITIES
from tests.conftest import ToyBackbone, toy_photo
from train.evaluation.garments import EDITS, Copies, evaluate_garments, extract_copies
from train.fit import views


@pytest.fixture(scope="module")
def copies(toy_gallery):
    return extract_copies(toy_gallery, ToyBackbone(), seed=0)


def test_copies_are_of_test_photos(copies, toy_gallery):
    assert len(EDITS) >= 8
    assert len(copies.rows) == 8 == len(set(copies.rows))
    assert set(toy_gallery.splits[copies.rows]) == {"test"}
    assert {len(features) for features in copies.by_edit.values()} == {8}


@pytest.mark.parametrize("edit", EDITS)
def test_every_edit_changes_a_photo_and_says_how(edit):
    photo = toy_photo("red", "shirt", 0).resize((224, 160))
    changed = EDITS[edit](photo)
    assert changed.mode == "RGB"
    expected = {"half the size": (112, 80), "cropped to 75 %": (168, 120), "on a larger canvas": (336, 240)}
    assert changed.size == expected.get(edit, (224, 160))
    assert changed.size != photo.size or changed.tobytes() != photo.tobytes()


def test_ranks_match_those_of_a_search(toy_bundle, copies):
    """Cosine, by hand: the share of copies that are the closest to their own photo."""
    gallery = toy_bundle.gallery
    found = evaluate_garments(toy_bundle.models, gallery, copies, replicates=20, seed=0)
    method, first, reciprocal = SIMILARITIES["cosine"], {}, []
    for edit, features in copies.by_edit.items():
        scores = method.score(features, gallery.features, None, TASKS["both"])
        order = np.array([np.lexsort((gallery.ids, -row)) for row in scores])
        ranks = 1 + np.argmax(order == copies.rows[:, None], axis=1)
        first[edit] = np.mean(ranks == 1)
        reciprocal.append(1 / ranks)
        assert found.methods["cosine"][edit].recall_at_1.value == pytest.approx(first[edit])
    mean = found.methods["cosine"]["mean"]
    assert mean.recall_at_1.value == pytest.approx(np.mean(list(first.values())))
    assert mean.mrr.value == pytest.approx(np.mean(reciprocal))
    assert mean.recall_at_1.low <= mean.recall_at_1.value <= mean.recall_at_1.high
    assert (found.n_photos, found.n_searched, found.edits) == (8, 108, tuple(EDITS))
    assert set(found.methods) == set(SIMILARITIES)


def test_the_photo_itself_is_always_found(toy_bundle):
    """By what ranks pictures; attribute agreement is the same for many."""
    rows = np.arange(0, 108, 9)
    copies = Copies(rows, {"none": toy_bundle.gallery.features.take(rows)})
    found = evaluate_garments(toy_bundle.models, toy_bundle.gallery, copies, replicates=5, seed=0)
    for by_edit in (found.likeness, found.methods["agreement_and_likeness"], found.methods["cosine"]):
        assert by_edit["mean"].recall_at_1.value == 1


def test_no_view_is_as_strong_as_a_copy(monkeypatch):
    """What the likeness is fitted on leaves room around the strengths that it is evaluated by."""
    drawn = {name: [] for name in views.GAPS}
    outside = views._outside

    def record(gap, draw):
        drawn[gap].append(outside(gap, draw))
        return drawn[gap][-1]

    monkeypatch.setattr(views, "_outside", record)
    photo, rng = toy_photo("red", "shirt", 0).resize((32, 32)), np.random.default_rng(0)
    for _ in range(300):
        views.random_view(photo, rng)
    evaluated = {"window": 0.75, "turn": 8, "exposure": 1.25, "warmth": 1.15 / 0.8}
    for name, value in evaluated.items():
        low, high = views.GAPS[name]
        assert low < value < high
        assert len(drawn[name]) > 100
        assert not any(low <= found <= high for found in drawn[name])
    assert max(drawn["window"]) < 1.45


def test_views_are_repeatable_and_know_their_photo(toy_gallery):
    photos = toy_gallery.thumbnails[:6]
    first, again, other = (views.extract_views(photos, ToyBackbone(), seed) for seed in (0, 0, 1))
    assert first.rows.tolist() == [row for row in range(6) for _ in range(views.VIEWS)]
    np.testing.assert_array_equal(first.features.embedding, again.features.embedding)
    assert not np.array_equal(first.features.embedding, other.features.embedding)
    assert isinstance(first.features, Features)
    assert isinstance(views.random_view(Image.new("RGB", (3, 5)), np.random.default_rng(0)), Image.Image)
