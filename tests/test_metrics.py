import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from cbir.metrics import pair_metrics, retrieval_metrics


def test_pair_metrics_match_a_worked_example():
    # scores 1..4, labels 0 0 1 1: covariance 2, deviations sqrt(5) and 1
    metrics = pair_metrics(np.array([1.0, 2, 3, 4]), np.array([False, False, True, True]))
    assert metrics["pearson"] == pytest.approx(2 / math.sqrt(5))
    assert metrics["spearman"] == pytest.approx(2 / math.sqrt(5))


def test_constant_scores_have_no_correlation():
    assert math.isnan(pair_metrics(np.ones(4), np.array([True, False, True, False]))["pearson"])


def test_average_precision_matches_scikit_learn():
    rng = np.random.default_rng(0)
    scores, relevance = rng.normal(size=(20, 50)), rng.random((20, 50)) < 0.2
    expected = [average_precision_score(r, s) for r, s in zip(relevance, scores, strict=True)]
    assert retrieval_metrics(scores, relevance)["map"] == pytest.approx(np.mean(expected))


def test_precision_and_skipped_queries_match_a_worked_example():
    scores = np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3], [1, 2, 3]])
    relevance = np.array([[True, False, True], [True, False, False], [False, False, False]])
    metrics = retrieval_metrics(scores, relevance)
    assert metrics["precision@1"] == 0.5
    assert metrics["map"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 3) / 2)
    assert (metrics["n_queries"], metrics["n_skipped"]) == (2, 1)
