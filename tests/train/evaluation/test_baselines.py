"""Baselines: the careless protocols do what they say, and the ceiling is one."""

import numpy as np
import pytest

from cbir.features import Features
from cbir.report import PairScores
from train.data.split import Pairs
from train.evaluation import baselines
from train.evaluation.baselines import evaluate_baselines, task_blind_ceiling
from train.evaluation.metrics import pair_metrics


def test_the_ceiling_is_perfect_where_the_task_can_be_told():
    labels = {"type": np.array(["a", "a", "b", "b"]), "color": np.array(["r", "s", "r", "s"])}
    # Both pairs of same type differ in color, and so on: the cells are pure.
    by_type = Pairs(np.array([0, 1]), np.array([1, 2]), np.array([True, False]))
    assert task_blind_ceiling(labels, by_type).pearson == pytest.approx(1)
    # The pair (0, 1) is positive by type, negative by color: its best score is a half.
    pooled = Pairs(np.array([0, 0, 0]), np.array([1, 1, 3]), np.array([True, False, False]))
    expected = PairScores(**pair_metrics(np.array([0.5, 0.5, 0]), pooled.same))
    assert task_blind_ceiling(labels, pooled) == expected


def test_careless_protocols_flatter_models_that_know_nothing(monkeypatch):
    """Random embeddings tell nothing about labels: what is then found was memorised."""
    monkeypatch.setattr(baselines, "TREES", 30)
    rng = np.random.default_rng(0)
    n = 60
    features = Features(rng.normal(size=(n, 30)).astype(np.float32), np.zeros((n, 1), np.float32))
    labels = {"type": rng.choice(["a", "b"], n), "color": rng.choice(["r", "s"], n)}
    found = evaluate_baselines(features, labels, np.arange(n) % 3 == 0, seed=0)
    forest = found.models["Random Forest on absolute differences"]
    assert abs(forest["photos apart"].pearson) < 0.2
    assert forest["pairs fitted on"].pearson > 0.7
    assert forest["pairs fitted on"].pearson > forest["pairs at random"].pearson


def test_pairs_stand_apart_where_they_should(monkeypatch):
    fitted = []

    class Spy:
        def fit(self, x, y):
            fitted.append((x, len(y)))
            return self

        def predict_proba(self, x):
            fitted.append((x, None))
            return np.random.default_rng(0).random((len(x), 2))

    monkeypatch.setattr(
        baselines, "MODELS", (("spy", lambda a, b: np.concatenate([a, b], axis=1), lambda seed: Spy()),)
    )
    n = 40
    features = Features(np.arange(n, dtype=np.float32)[:, None], np.zeros((n, 1), np.float32))
    labels = {"type": np.array(["a", "b"] * 20), "color": np.array(["r", "r", "s", "s"] * 10)}
    found = evaluate_baselines(features, labels, np.arange(n) < 15, seed=0)
    (apart, k), (test, _), (random_fit, m), (random_test, _), (again, _) = fitted
    assert apart.min() >= 15 > test.max()
    assert set(random_fit.ravel()) & set(random_test.ravel())
    assert k == m == found.n_fitted
    assert (again == random_fit).all()
    # Of both tasks together 20 % are kept for evaluation, and no pair of one task is fitted on and evaluated.
    assert len(random_test) / (len(random_test) + len(random_fit)) >= 0.1
