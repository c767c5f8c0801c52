"""Fits the published methods that learn from labelled pairs of photos: see `cbir.similarity.pairs`.

Legend: n photos, m pairs, d numbers in an embedding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from sklearn.utils.parallel import Parallel, delayed

from cbir.features import unit
from cbir.progress import in_parts
from cbir.similarity.pairs import PairForest, PairRegression, PairWeights, pair_features
from train.data.split import Pairs

C = 3e-4  # inverse strength of the penalty
FOREST_TREES = 50
FOREST_LEAVES = 256  # per tree: keeps a forest at about 1 MB and a search quick
LEAST_LEAF = 5  # pairs in a leaf
PAIRS_AT_A_TIME = 256  # whose features are worked out: few enough for the processor's cache


@dataclass(frozen=True)
class PairTraining:
    """What methods on pairs are fitted on: photos of the train side only.

    Attributes:
        embedding: (n, d) float32, of the photos.
        pairs: for each of `LABELS` and `BLIND`.
        seed: makes fitting repeatable.
    """

    embedding: np.ndarray
    pairs: Mapping[str, Pairs]
    seed: int

    def features(self, pairs: Pairs, order: Literal["C", "F"] = "C") -> np.ndarray:
        """What both methods see of m pairs: (m, 2d) float32, in memory row by row, or column by column."""
        vectors = unit(self.embedding)
        found = np.empty((len(pairs), 2 * vectors.shape[1]), np.float32, order)
        for part in in_parts(len(pairs), PAIRS_AT_A_TIME, "working out features of pairs"):
            found[part] = pair_features(vectors[pairs.left[part]], vectors[pairs.right[part]])
        return found


def fit_logistic_regression(training: PairTraining) -> PairRegression:
    """Logistic Regression on normalised pair features, folded: see `PairWeights`."""

    def fit(pairs: Pairs) -> PairWeights:
        scaler = StandardScaler(copy=False)
        x = scaler.fit_transform(training.features(pairs))
        regression = LogisticRegression(C=C, max_iter=1000).fit(x, pairs.same)
        weights = regression.coef_[0] / scaler.scale_
        squared, product = np.split(weights, 2)
        return PairWeights(
            squared=squared.astype(np.float32),
            product=(product - 2 * squared).astype(np.float32),
            offset=np.array([regression.intercept_[0] - weights @ scaler.mean_], np.float32),
        )

    found = Parallel(n_jobs=-1, prefer="threads")(delayed(fit)(pairs) for pairs in training.pairs.values())
    return PairRegression(dict(zip(training.pairs, found, strict=True)))


def fit_random_forest(training: PairTraining) -> PairForest:
    """Random Forest on pair features, as ONNX."""
    by_task = {}
    for task, pairs in training.pairs.items():
        x = training.features(pairs, "F")  # trees look at one column at a time
        forest = RandomForestClassifier(
            FOREST_TREES,
            max_leaf_nodes=FOREST_LEAVES,
            min_samples_leaf=LEAST_LEAF,
            n_jobs=-1,
            random_state=training.seed,
        ).fit(x, pairs.same)
        by_task[task] = to_onnx(forest, x[:1], options={"zipmap": False}).SerializeToString()
    return PairForest(by_task)
