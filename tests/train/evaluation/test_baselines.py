"""Baselines: the careless protocols do what they say, and the ceiling is one."""

import numpy as np
import pytest

from cbir.features import Features
from cbir.labels import BLIND, TASKS
from cbir.report import PairScores
from cbir.similarity import SIMILARITIES
from train.data.split import Pairs, sample_pairs
from train.evaluation import baselines
from train.evaluation.baselines import evaluate_baselines, task_blind_ceiling
from train.evaluation.metrics import pair_metrics
from train.evaluation.scoring import score_pairs
from train.fit.pairs import PairTraining, fit_logistic_regression, fit_random_forest


def test_the_ceiling_is_perfect_where_the_task_can_be_told():
    labels = {"type": np.array(["a", "a", "b", "b"]), "color": np.array(["r", "s", "r", "s"])}
    # Both pairs of same type differ in color, and so on: the cells are pure.
    by_type = Pairs(np.array([0, 1]), np.array([1, 2]), np.array([True, False]))
    assert task_blind_ceiling(labels, by_type).pearson == pytest.approx(1)
    # The pair (0, 1) is positive by type, negative by color: its best score is a half.
    pooled = Pairs(np.array([0, 0, 0]), np.array([1, 1, 3]), np.array([True, False, False]))
    expected = PairScores(**pair_metrics(np.array([0.5, 0.5, 0]), pooled.same))
    assert task_blind_ceiling(labels, pooled) == expected


def evaluated(embedding, labels, is_test, fitters, monkeypatch):
    """Served models are those that the fitters make of pairs of the other photos."""
    monkeypatch.setattr(baselines, "FITTERS", fitters)
    monkeypatch.setattr(baselines, "FIT_PAIRS", 800)
    features = Features(embedding, np.zeros((len(embedding), 1), np.float32))
    sides = []
    for chosen in (~is_test, is_test):
        columns = [np.where(chosen, labels[name], "") for name in labels]
        sides.append(Pairs.concatenate([sample_pairs(column, 800, 0) for column in columns]))
    fit_on, pairs = sides
    scores = {}
    for name, fit in fitters.items():
        model = fit(PairTraining(embedding, {BLIND: fit_on}, 0))
        codes = SIMILARITIES[name].encode(features, model)
        scores[name] = score_pairs(SIMILARITIES[name], codes, model, TASKS[BLIND], pairs)
    return evaluate_baselines(features, labels, scores, pairs, seed=0)


def test_careless_protocols_flatter_models_that_know_nothing(monkeypatch):
    """Random embeddings tell nothing about labels: what is then found was memorised."""
    rng = np.random.default_rng(0)
    n = 60
    labels = {"type": rng.choice(["a", "b"], n), "color": rng.choice(["r", "s"], n)}
    embedding = rng.normal(size=(n, 30)).astype(np.float32)
    found = evaluated(embedding, labels, np.arange(n) % 3 == 0, {"random_forest": fit_random_forest}, monkeypatch)
    forest = found.models["Random Forest on pairs"]
    assert abs(forest["photos apart"].pearson) < 0.2
    assert forest["pairs fitted on"].pearson > 0.6
    assert forest["pairs fitted on"].pearson > forest["pairs at random"].pearson


def test_a_fifth_of_the_pairs_is_kept_from_the_model_that_they_evaluate(monkeypatch):
    fitted = []

    def fit(training):
        fitted.append(training.pairs[BLIND])
        return fit_logistic_regression(training)

    n = 80
    labels = {"type": np.array(["a", "b"] * 40), "color": np.array(["r", "r", "s", "s"] * 20)}
    embedding = np.random.default_rng(0).normal(size=(n, 5)).astype(np.float32)
    found = evaluated(embedding, labels, np.arange(n) < 30, {"logistic_regression": fit}, monkeypatch)
    apart, at_random = fitted
    assert min(apart.left.min(), apart.right.min()) >= 30
    assert at_random.left.min() < 30
    assert found.n_fitted == found.n_evaluated["pairs fitted on"] == len(at_random)
    share = found.n_evaluated["pairs at random"] / (found.n_evaluated["pairs at random"] + found.n_fitted)
    assert share == pytest.approx(0.2, abs=0.03)
