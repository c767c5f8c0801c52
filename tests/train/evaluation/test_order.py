"""The order inside a class."""

import numpy as np
import pytest

from cbir.errors import DataError
from cbir.labels import LABELS
from cbir.similarity import SIMILARITIES
from train.evaluation.order import evaluate_order, ndcg, read_traits
from train.evaluation.resamples import Resamples
from train.evaluation.scoring import split_gallery


def test_ndcg_matches_a_worked_example():
    ids = np.array(["a", "b", "c"])
    # Found: 1, 2, 0; best: 2, 1, 0.
    expected = (1 + 2 / np.log2(3)) / (2 + 1 / np.log2(3))
    assert ndcg(np.array([0.9, 0.5, 0.1]), np.array([1, 2, 0]), ids) == pytest.approx(expected)
    assert ndcg(np.array([0.5, 0.9, 0.1]), np.array([1, 2, 0]), ids) == pytest.approx(1)
    assert np.isnan(ndcg(np.array([0.5, 0.9]), np.array([1, 1]), ids[:2]))  # nothing to find
    tied = ndcg(np.array([0.5, 0.5]), np.array([0, 1]), np.array(["b", "a"]))
    assert tied == pytest.approx(1)  # by id, as in a search


def test_only_the_photos_of_the_class_are_ranked(toy_bundle):
    """A trait that says how bright the photo's ground is, which the class does not: cosine against a score by hand."""
    gallery = toy_bundle.gallery
    split = split_gallery(gallery, 0)
    traits = [{"odd": np.array([str(int(id[-5]) % 2) for id in side.ids])} for side in (split.test, split.train)]
    resamples = Resamples.of(split.test.features, 10, 0)
    found = evaluate_order(toy_bundle.models, split, *traits, resamples)
    scores = SIMILARITIES["cosine"].score(split.test.features, split.train.features, None, None)
    values = []
    for row in range(len(split.test)):
        same = np.logical_and.reduce([split.train.labels[n] == split.test.labels[n][row] for n in LABELS])
        gains = (traits[1]["odd"][same] == traits[0]["odd"][row]).astype(int)
        values.append(ndcg(scores[row, same], gains, split.train.ids[same]))
    assert found.methods["cosine"].value == pytest.approx(np.nanmean(values))
    assert found.n_queries == np.sum(~np.isnan(values)) > 0
    assert found.traits == ("odd",)
    assert set(found.methods) == set(SIMILARITIES)
    assert 0 < found.likeness.value <= 1


def test_traits_come_from_a_csv_file(tmp_path):
    path = tmp_path / "traits.csv"
    path.write_text("file_name,cut,heel\na.jpg,polo,\nb.jpg,pump,high\n")
    found = read_traits(path, np.array(["b.jpg", "c.jpg", "a.jpg"]))
    assert {name: column.tolist() for name, column in found.items()} == {
        "cut": ["pump", "", "polo"],
        "heel": ["high", "", ""],
    }


@pytest.mark.parametrize("text", ["", "name,cut\na.jpg,polo\n", "file_name\na.jpg\n", "file_name,cut\nz.jpg,polo\n"])
def test_a_file_without_traits_is_refused(tmp_path, text):
    (tmp_path / "traits.csv").write_text(text)
    with pytest.raises(DataError, match=r"traits\.csv"):
        read_traits(tmp_path / "traits.csv", np.array(["a.jpg"]))
