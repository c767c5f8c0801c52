"""Products and distances with half-precision items are those of single precision."""

import numpy as np
import pytest

from cbir.similarity import products
from cbir.similarity.products import inner_products, squared_distances

D = 70


@pytest.fixture(scope="module")
def items():
    return np.random.default_rng(0).normal(size=(300, D)).astype(np.float16)


def naive(queries, items):
    return queries.astype(np.float64) @ items.T.astype(np.float64)


@pytest.mark.parametrize("n", [1, 3, 20])
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e5])
def test_inner_products_with_any_query(items, n, scale):
    queries = (np.random.default_rng(1).normal(size=(n, D)) * scale).astype(np.float32)
    queries[0, :5] *= 1e-5  # numbers of very different sizes
    expected = naive(queries, items)
    got = inner_products(queries, items)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-6 * np.abs(expected).max())
    np.testing.assert_allclose(inner_products(queries, items.astype(np.float32)), expected, atol=1e-5 * scale)


def test_zeros_are_no_trouble(items):
    assert (inner_products(np.zeros((1, D), np.float32), items) == 0).all()


def test_distances_of_equal_and_nearly_equal_vectors_are_exact(items):
    queries = items[:2].astype(np.float32)
    squares = np.square(items.astype(np.float32)).sum(axis=1)
    for some in (items, items.astype(np.float32)):
        squared = squared_distances(queries, some, squares[:2], squares)
        assert squared[0, 0] == squared[1, 1] == 0
        expected = np.square(queries[:, None].astype(np.float64) - items[None].astype(np.float64)).sum(axis=2)
        np.testing.assert_allclose(squared, expected, rtol=1e-5)
    beside = queries[:1] + np.float32(1e-5)
    for some in (items, items.astype(np.float32)):
        squared = squared_distances(beside, some, np.square(beside).sum(axis=1), squares)
        np.testing.assert_allclose(np.sqrt(squared[0, 0]), 1e-5 * np.sqrt(D), rtol=0.01)


def test_numbers_come_from_two_rows_alone(items, monkeypatch):
    queries = items[:1].astype(np.float32) / 3
    whole = inner_products(queries, items)
    np.testing.assert_array_equal(inner_products(queries, items[7:9]), whole[:, 7:9])
    monkeypatch.setattr(products, "MANY", 1)  # several threads
    np.testing.assert_array_equal(inner_products(queries, items), whole)


def test_items_may_stay_in_a_file(items, tmp_path):
    np.save(tmp_path / "x.npy", items)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(
        inner_products(items[:1].astype(np.float32), mapped), inner_products(items[:1].astype(np.float32), items)
    )
