import numpy as np
import pytest

from cbir.labels import TASKS
from cbir.similarity.pairs import pair_features
from train.data.split import near_duplicate_groups, sample_pairs, split_by_group


def labels(n=300, unknown=30):
    column = np.random.default_rng(1).choice(["dress", "pants", "shirt"], n, p=[0.6, 0.3, 0.1])
    column[:unknown] = ""
    return column


def test_pairs_are_half_positive_distinct_and_labelled_right():
    column = labels()
    pairs = sample_pairs(column, 1000, seed=0)
    assert len(pairs) == 1000
    assert pairs.same.sum() == 500
    assert ((column[pairs.left] == column[pairs.right]) == pairs.same).all()
    assert (pairs.left != pairs.right).all()
    assert (column[pairs.left] != "").all()
    assert (column[pairs.right] != "").all()
    assert len({frozenset(p) for p in zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)}) == 1000


def test_pairs_repeat_with_the_seed_and_differ_without():
    column = labels()
    one, same, other = (sample_pairs(column, 200, seed) for seed in (3, 3, 4))
    assert (one.left == same.left).all()
    assert (one.right == same.right).all()
    assert (one.left != other.left).any()


def test_few_photos_give_fewer_pairs_but_stay_balanced():
    pairs = sample_pairs(np.array(["a", "a", "b"]), 100, seed=0)
    assert pairs.same.tolist() == [True, False]  # one positive pair exists, and one negative is kept beside it


def test_no_labels_give_no_pairs():
    assert len(sample_pairs(np.array(["", "", ""]), 10, seed=0)) == 0


def test_pair_features_are_symmetric():
    a, b = np.random.default_rng(0).normal(size=(2, 5, 7))
    assert (pair_features(a, b) == pair_features(b, a)).all()
    assert pair_features(np.array([[1.0, 2.0]]), np.array([[3.0, -1.0]])).tolist() == [[4, 9, 3, -2]]


def test_near_duplicates_share_a_group_and_a_side():
    rng = np.random.default_rng(0)
    base = rng.normal(size=(50, 32)).astype(np.float32)
    embeddings = np.concatenate([base, base * 3, base + 0.001])  # scaled and nearly equal copies
    groups = near_duplicate_groups(embeddings)
    assert len(np.unique(groups)) == 50
    is_test = split_by_group(groups, 0.2, seed=0)
    assert is_test.sum() == 30
    assert (is_test[:50] == is_test[50:100]).all()
    assert (is_test[:50] == is_test[100:]).all()
    assert (split_by_group(groups, 0.2, seed=0) == is_test).all()
    assert (split_by_group(groups, 0.2, seed=1) != is_test).any()


@pytest.mark.parametrize(
    ("task", "expected"), [("type", [1, 1, 0, 0]), ("color", [1, 0, 1, 0]), ("both", [1, 0, 0, 0])]
)
def test_relevance(task, expected):
    query = {"type": np.array(["shirt"]), "color": np.array(["red"])}
    gallery = {"type": np.array(["shirt", "shirt", "pants", ""]), "color": np.array(["red", "blue", "red", ""])}
    assert TASKS[task].relevance(query, gallery).astype(int).tolist() == [expected]


def test_an_unknown_label_is_relevant_to_nothing():
    unknown = {"type": np.array([""]), "color": np.array([""])}
    assert not TASKS["type"].relevance(unknown, unknown).any()
