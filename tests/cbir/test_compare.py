"""The same query under every method: rankings agree as defined, matches are judged by labels."""

from itertools import pairwise

import pytest

from cbir.compare import compare, overlap, rank_biased_overlap
from cbir.errors import CbirError
from cbir.search import SearchOptions
from tests.conftest import toy_photo


def test_overlap_is_the_share_in_common():
    assert overlap("abcd", "badc") == 1
    assert overlap("abcd", "abxy") == 0.5
    assert overlap("ab", "abcd") == 0.5
    assert overlap("", "") == 1
    assert overlap("", "a") == 0


def test_rank_biased_overlap_of_a_worked_example():
    # Depths 1, 2, 3: the lists share 0, 2 and 2 items.
    p = 0.9
    expected = (1 - p) * (0 / 1 + 2 / 2 * p + 2 / 3 * p**2) + 2 / 3 * p**3
    assert rank_biased_overlap("abc", "bax") == pytest.approx(expected)


def test_rank_biased_overlap_has_its_limits():
    assert rank_biased_overlap("abcde", "abcde") == pytest.approx(1)
    assert rank_biased_overlap("abc", "xyz") == 0
    assert rank_biased_overlap("", "") == 1
    assert rank_biased_overlap("", "abc") == 0
    assert rank_biased_overlap("abc", "abxyz") == rank_biased_overlap("abxyz", "abc")
    assert rank_biased_overlap("ab", "abcd") == pytest.approx(1)  # the shorter one agrees as far as it goes


def test_rank_biased_overlap_falls_as_a_difference_comes_earlier():
    values = [rank_biased_overlap("abcdef", "abcdef"[:i] + "x" + "abcdef"[i + 1 :]) for i in (5, 4, 3, 2, 1, 0)]
    assert all(left > right for left, right in pairwise(values))


def test_an_item_is_compared_by_its_known_labels(retriever):
    found = compare(retriever, retriever.query([], ids=["red_shirt/3.png"]), SearchOptions(k=10))
    assert list(found.by_method) == [method.name for method in retriever.methods]
    assert found.is_certain
    for name, matches in found.by_method.items():
        expected = retriever.search_by_id("red_shirt/3.png", SearchOptions(name, k=10))
        assert [m.id for m in matches.result.matches] == [m.id for m in expected.matches]
        right = [m.labels == {"type": "shirt", "color": "red"} for m in expected.matches]
        assert matches.agrees == right
        assert matches.precision == pytest.approx(sum(right) / 10)
        assert matches.n_judged == 10
    ids = {name: [m.id for m in matches.result.matches] for name, matches in found.by_method.items()}
    for agreement in found.agreements:
        left, right = (ids[name] for name in agreement.methods)
        assert agreement.overlap == len(set(left) & set(right)) / 10
        assert agreement.rbo == rank_biased_overlap(left, right)


def test_a_photo_is_judged_by_what_it_most_probably_shows(retriever):
    found = compare(retriever, retriever.query(toy_photo("blue", "pants", 99)), SearchOptions(task="type", k=4))
    assert not found.is_certain
    assert found.judged_by == ("type",)
    assert found.labels.values["type"].tolist() == ["pants"]
    assert found.by_method["attribute_agreement"].precision == 1


def test_a_weight_goes_to_the_methods_that_can_weigh(retriever):
    query = retriever.query([], ids=["red_shirt/3.png"])
    found = compare(retriever, query, SearchOptions(k=10, weight=0.9))
    assert found.by_method["cosine"].result.options.weight is None
    assert found.by_method["random_forest"].result.options.weight == 0.9
    with pytest.raises(CbirError, match="unknown color"):
        compare(retriever, query, SearchOptions(colors=("mauve",)))
