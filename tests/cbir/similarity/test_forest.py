"""Walking forests by intervals gives the scores of the features written down."""

import errno

import numpy as np
import pytest
from numba.core import caching, config
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier

from cbir.graphs import open_forest
from cbir.similarity import forest
from cbir.similarity.forest import asked_columns, ordered, score_items
from cbir.similarity.walk import LEAST, MOST, intervals

D, ITEMS = 12, 700


def pair_features(a, items):
    return np.concatenate([(items - a) ** 2, items * a], axis=1)


@pytest.fixture(scope="module", params=["signed", "not negative"])
def case(request):
    rng = np.random.default_rng(0)
    items = rng.normal(size=(ITEMS, D)).astype(np.float32)
    if request.param == "not negative":
        items = np.maximum(items, 0)  # as after a ReLU: half of the numbers are zero
    left, right = items[rng.integers(0, ITEMS, (2, 3000))]
    x = np.concatenate([(left - right) ** 2, left * right], axis=1)
    same = x[:, :D].sum(axis=1) - x[:, D:].sum(axis=1) + rng.normal(size=3000) > np.median(x[:, :D].sum(axis=1))
    model = RandomForestClassifier(10, max_leaf_nodes=64, random_state=0).fit(x, same)
    return items, model, open_forest(to_onnx(model, x[:1], options={"zipmap": False}).SerializeToString())


def test_scores_are_those_of_predict_proba(case):
    items, model, trees = case
    columns = asked_columns([trees])
    table = ordered(items[:, columns].T)
    for query in (*items[:5], np.zeros(D, np.float32), -items[7]):
        expected = model.predict_proba(pair_features(query, items))[:, 1]
        np.testing.assert_allclose(score_items(trees, query, table, columns), expected, atol=1e-6)


def test_a_number_at_a_threshold_goes_where_the_feature_goes(case):
    """Items whose feature, worked out in single precision, is a threshold or next to it."""
    items, model, trees = case
    query = np.abs(items[3]) + np.float32(0.1)
    nodes = np.flatnonzero(trees.left >= 0)
    odd = np.repeat(items[:1], 10 * len(nodes), axis=0)
    for number, node in enumerate(nodes):
        place, threshold = trees.feature[node] % D, trees.threshold[node]
        a = query[place]
        edge = threshold / a if trees.feature[node] >= D else a - np.sqrt(max(threshold, 0))
        near = np.array([edge], np.float32)
        for step in range(5):
            odd[10 * number + step, place] = near[0]
            near = np.nextafter(near, np.float32(np.inf))
            odd[10 * number + 5 + step, place] = 2 * a - near[0]
    columns = asked_columns([trees])
    expected = model.predict_proba(pair_features(query, odd))[:, 1]
    np.testing.assert_allclose(score_items(trees, query, ordered(odd[:, columns].T), columns), expected, atol=1e-6)


def test_scores_do_not_depend_on_blocks_or_on_other_items(case, monkeypatch):
    items, _, trees = case
    columns = asked_columns([trees])
    table = ordered(items[:, columns].T)
    whole = score_items(trees, items[0], table, columns)
    monkeypatch.setattr(forest, "LEAST_BLOCK", 64)
    monkeypatch.setattr(forest, "BLOCK", 64)
    np.testing.assert_array_equal(score_items(trees, items[0], table, columns), whole)
    np.testing.assert_array_equal(score_items(trees, items[0], table[:, 5:6], columns), whole[5:6])


def test_intervals_end_where_the_answer_changes():
    """Of numbers of every size, with products and squares that underflow or overflow: the ends go left, beyond not."""
    rng = np.random.default_rng(0)
    n = 20_000
    sizes = np.float32(10) ** rng.integers(-44, 38, (2, n)).astype(np.float32)
    a, threshold = (rng.choice(np.array([-1, 0, 1, 1.7], np.float32), (2, n)) * sizes).astype(np.float32)
    feature = np.concatenate([np.arange(n // 2), n + np.arange(n // 2, n)]).astype(np.int32)
    first, last = intervals(a, feature, threshold, np.zeros(n, np.int32))
    some = first <= last
    assert 1000 < some.sum() < n - 1000

    def goes_left(keys):
        b = ordered(keys.view(np.float32)).view(np.float32)  # which is its own inverse
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            number = np.where(feature < n, np.square(a - b), a * b)
        return number <= threshold

    assert goes_left(first)[some].all()
    assert goes_left(last)[some].all()
    before, after = some & (first > LEAST), some & (last < MOST)
    assert before.any()
    assert after.any()
    assert not goes_left(first - 1)[before].any()
    assert not goes_left(last + 1)[after].any()
    for keys in (np.full(n, LEAST), np.full(n, MOST), ordered(a), ordered(np.zeros(n))):
        assert not goes_left(keys)[~some].any()


def test_order_is_kept():
    numbers = np.array([-np.inf, -3.5, -1e-40, -0.0, 0.0, 1e-40, 2, np.inf], np.float32)
    assert (np.diff(ordered(numbers).astype(np.int64)) > 0).all()


def test_compiled_code_is_made_again_where_what_is_kept_cannot_be_used(tmp_path, monkeypatch):
    from cbir.similarity.walk import compiled

    def add(a, b):
        return a + b

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path))
    assert compiled(add)(1, 2) == 3
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*.nb?")}
    assert len(kept) == 2
    for damage in (lambda data: b"", lambda data: data[:20], lambda data: data[::-1]):
        for path, data in kept.items():
            path.write_bytes(damage(data))
        assert compiled(add)(1, 2) == 3
        assert all(path.read_bytes() != damage(data) for path, data in kept.items())  # written again
    for path in kept:
        path.unlink()
    monkeypatch.setattr(caching.IndexDataCacheFile, "save", fail)
    assert compiled(add)(1, 2) == 3
    monkeypatch.setattr(caching._CacheLocator, "ensure_cache_path", fail)
    assert compiled(add)(1, 2) == 3
