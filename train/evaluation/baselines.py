"""What a careless protocol reports, beside a careful one; and the most that any task-blind score could reach.

The published models were probably fitted on features of raw embeddings of pairs, and evaluated on pairs that were dealt
out at random, so that photos stand on both sides. Here the same models are evaluated in three ways. None of them is
used for anything else.

Legend: m pairs, d numbers in an embedding.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cbir.features import Features
from cbir.labels import LABELS
from cbir.report import Baselines, PairScores
from train.data.split import PAIRS_PER_TASK, Pairs, sample_pairs
from train.evaluation.metrics import pair_metrics

TEST_SHARE = 0.2  # of the pairs, dealt out at random
TREES = 50
NOTE = (
    "Models on raw embeddings, task-blind, fitted on equally many pairs each time. 'photos apart': fitted on pairs of "
    "train photos, evaluated on pairs of test photos. 'pairs at random': pairs of all photos dealt out at random, so "
    "that most photos of the test pairs were seen in other pairs. 'pairs fitted on': evaluated on the very pairs they "
    "were fitted on. Where a published figure lies far above the first and near or below the last, it can come from "
    "pairs that were (partly) fitted on; dealing pairs out at random explains only the step from the first to the "
    "second."
)
Describe = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _difference(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.abs(left - right)


def _side_by_side(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.concatenate([left, right], axis=1)


def _logistic_regression(seed: int) -> Any:  # noqa: ANN401 - scikit-learn has no common type of estimators
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))


def _random_forest(seed: int) -> Any:  # noqa: ANN401
    return RandomForestClassifier(TREES, random_state=seed)  # with more threads, sums would depend on who comes first


# What people read, how a pair is described, and the model.
MODELS: tuple[tuple[str, Describe, Callable[[int], Any]], ...] = (
    ("Logistic Regression on absolute differences", _difference, _logistic_regression),
    ("Logistic Regression on both embeddings side by side", _side_by_side, _logistic_regression),
    ("Random Forest on absolute differences", _difference, _random_forest),
)


def evaluate_baselines(
    features: Features, labels: Mapping[str, np.ndarray], is_test: np.ndarray, seed: int
) -> Baselines:
    """Evaluates naive models in three ways.

    Args:
        features: of all photos.
        labels: label columns of all photos.
        is_test: (photos,) bool, the careful split.
        seed: samples and deals out the pairs.
    """
    everywhere = _pooled_pairs(labels, np.ones(len(is_test), bool), seed)
    held_out = np.random.default_rng(seed).random(len(everywhere)) < TEST_SHARE
    apart_fit = _pooled_pairs(labels, ~is_test, seed)
    n_fitted = min(int((~held_out).sum()), len(apart_fit))
    apart_fit = _take(apart_fit, np.random.default_rng(seed).permutation(len(apart_fit))[:n_fitted])
    apart_test = _pooled_pairs(labels, is_test, seed)
    random_fit = _take(everywhere, np.random.default_rng(seed).permutation(np.flatnonzero(~held_out))[:n_fitted])
    random_test = _take(everywhere, np.flatnonzero(held_out))

    models = {}
    for name, describe, estimator in MODELS:
        (apart,) = _fit_and_score(estimator(seed), describe, features, apart_fit, [apart_test])
        at_random, fitted_on = _fit_and_score(
            estimator(seed), describe, features, random_fit, [random_test, random_fit]
        )
        models[name] = {"photos apart": apart, "pairs at random": at_random, "pairs fitted on": fitted_on}
    n_evaluated = {
        "photos apart": len(apart_test),
        "pairs at random": len(random_test),
        "pairs fitted on": n_fitted,
    }
    return Baselines(NOTE, n_fitted, n_evaluated, models)


def _fit_and_score(
    model: Any,  # noqa: ANN401
    describe: Describe,
    features: Features,
    fit_on: Pairs,
    evaluate_on: list[Pairs],
) -> list[PairScores]:
    model.fit(_described(describe, features, fit_on), fit_on.same)
    return [
        PairScores(**pair_metrics(model.predict_proba(_described(describe, features, pairs))[:, 1], pairs.same))
        for pairs in evaluate_on
    ]


def _described(describe: Describe, features: Features, pairs: Pairs) -> np.ndarray:
    return describe(features.embedding[pairs.left], features.embedding[pairs.right])


def _pooled_pairs(labels: Mapping[str, np.ndarray], chosen: np.ndarray, seed: int) -> Pairs:
    # Photos that do not take part lose their labels, and with them their pairs.
    return Pairs.concatenate(
        [sample_pairs(np.where(chosen, labels[name], ""), PAIRS_PER_TASK, seed) for name in LABELS]
    )


def _take(pairs: Pairs, rows: np.ndarray) -> Pairs:
    return Pairs(pairs.left[rows], pairs.right[rows], pairs.same[rows])


def task_blind_ceiling(labels: Mapping[str, np.ndarray], pairs: Pairs) -> PairScores:
    """The figures of a perfect score that knows both labels of both photos, but not which one is asked for.

    Its score is the share of positive pairs among the pairs that agree in the same labels, which no other function of
    the labels beats in Pearson's correlation.

    Args:
        labels: label columns of the photos; where one is unknown, it agrees with nothing.
        pairs: of both tasks, pooled.
    """
    agree = [(labels[n][pairs.left] == labels[n][pairs.right]) & (labels[n][pairs.left] != "") for n in LABELS]
    cell = np.stack(agree, axis=1) @ (2 ** np.arange(len(LABELS)))
    scores = np.array([pairs.same[cell == k].mean() if (cell == k).any() else 0.0 for k in range(2 ** len(LABELS))])
    return PairScores(**pair_metrics(scores[cell], pairs.same))
