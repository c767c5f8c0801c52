"""Fits the methods that learn from labelled pairs of photos.

Legend: n photos, m pairs, p classes of all labels, d numbers in an embedding.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from cbir.features import Features, unit
from cbir.similarity.attributes import AttributeModel, log_odds
from cbir.similarity.likeness import AttributesAndLikeness, EvidenceWeights
from cbir.similarity.pairs import PairForest, PairRegression, PairWeights, pair_inputs
from train.data.split import Pairs

C = 0.1  # inverse strength of the penalty
FOREST_TREES = 50
FOREST_LEAVES = 128  # per tree: keeps a forest under 2 MB and a search quick


@dataclass(frozen=True)
class PairTraining:
    """What methods on pairs are fitted on: photos of the train side only.

    Attributes:
        features: of n photos.
        attributes: fitted on these photos.
        unseen: (n, p) float32, posteriors by models that did not see the photo.
        pairs: for each of `LABELS` and `POOLED`.
        seed: makes fitting repeatable.
    """

    features: Features
    attributes: AttributeModel
    unseen: np.ndarray
    pairs: Mapping[str, Pairs]
    seed: int


def fit_attributes_and_likeness(training: PairTraining) -> AttributesAndLikeness:
    """Logistic Regression on few numbers of a pair: probability and log-odds that each label agrees, and cosine.

    The log-odds suit a pair of one task; of pairs of all tasks at once, the probability says more.
    """
    unseen, embedding = training.unseen, unit(training.features.embedding)
    by_task = {}
    for task, pairs in training.pairs.items():
        agreement = training.attributes.agreement_of_pairs(unseen[pairs.left], unseen[pairs.right])
        cosine = (embedding[pairs.left] * embedding[pairs.right]).sum(axis=1, keepdims=True)
        x = np.concatenate([agreement, log_odds(agreement), cosine], axis=1).astype(np.float64)
        regression = LogisticRegression(C=C, max_iter=1000).fit(x, pairs.same)
        weights, offset = regression.coef_[0].astype(np.float32), regression.intercept_.astype(np.float32)
        by_task[task] = EvidenceWeights(weights, offset)
    return AttributesAndLikeness(training.attributes, by_task)


def fit_logistic_regression(training: PairTraining) -> PairRegression:
    """Logistic Regression on what `pair_inputs` gives, folded: see `PairWeights`."""
    unseen, by_task = training.unseen.astype(np.float64), {}
    for task, pairs in training.pairs.items():
        x = pair_inputs(unseen[pairs.left], unseen[pairs.right], training.attributes)
        scaler = StandardScaler().fit(x)
        regression = LogisticRegression(C=C, max_iter=1000).fit(scaler.transform(x), pairs.same)
        weights = regression.coef_[0] / scaler.scale_
        squared, product, agreement = np.split(weights, [unseen.shape[1], 2 * unseen.shape[1]])
        by_task[task] = PairWeights(
            squared=squared.astype(np.float32),
            product=(product - 2 * squared).astype(np.float32),
            agreement=agreement.astype(np.float32),
            offset=np.array([regression.intercept_[0] - weights @ scaler.mean_], np.float32),
        )
    return PairRegression(training.attributes, by_task)


def fit_random_forest(training: PairTraining) -> PairForest:
    """Random Forest on what `pair_inputs` gives, as ONNX."""
    unseen, by_task = training.unseen, {}
    for task, pairs in training.pairs.items():
        x = pair_inputs(unseen[pairs.left], unseen[pairs.right], training.attributes)
        forest = RandomForestClassifier(
            FOREST_TREES, max_leaf_nodes=FOREST_LEAVES, min_samples_leaf=20, n_jobs=-1, random_state=training.seed
        ).fit(x, pairs.same)
        by_task[task] = to_onnx(forest, x[:1], options={"zipmap": False}).SerializeToString()
    return PairForest(training.attributes, by_task)
