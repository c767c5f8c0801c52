"""The published methods that are fitted on labelled pairs of photos: Logistic Regression and Random Forest.

They see the two embeddings and nothing else: unit vectors a and b, of which a pair has the features (a - b)^2 and a b.
Each is fitted for every label, and on the pairs of all labels at once, not told which label is asked for. Fitted by
`train.fit.pairs`.

Legend: n photos, q queries, g gallery items, m pairs, d numbers in an embedding, t tasks.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.special import expit

from cbir.features import Features
from cbir.graphs import open_forest
from cbir.labels import BLIND, LABELS, Task
from cbir.similarity.codes import Codes, by_row, lengths, single, weighed
from cbir.storage import Keys, Shape

FOREST_CHUNK = 4096  # pairs scored at a time: bounds memory


@dataclass(frozen=True)
class PairWeights:
    """Logistic Regression on [(a - b)^2, a b], folded into an inner product.

    With weights u on the squared differences and v on the products, the logit of a pair is
    sum u (a^2 + b^2) + (v - 2u) a b + c = f(a) + f(b) + sum w a b + c, where w = v - 2u and f(a) = sum u a^2: one
    matrix product scores a whole gallery.

    Attributes:
        squared: (d,) float32, u.
        product: (d,) float32, w.
        offset: (1,) float32, c.
    """

    squared: Annotated[np.ndarray, Shape("d")]
    product: Annotated[np.ndarray, Shape("d")]
    offset: Annotated[np.ndarray, Shape(1)]


@dataclass(frozen=True)
class PairRegression:
    """Model of Logistic Regression on pairs.

    Attributes:
        by_task: for each label and `BLIND`.
    """

    by_task: Annotated[Mapping[str, PairWeights], Keys(*LABELS, BLIND)]


@dataclass(frozen=True)
class PairForest:
    """Model of Random Forest on pairs.

    Attributes:
        by_task: for each label and `BLIND` an ONNX graph: "X" (m, 2d) float32 -> "probabilities" (m, 2).
    """

    by_task: Annotated[Mapping[str, bytes], Keys(*LABELS, BLIND)]


def encode_logistic_regression(features: Features, model: PairRegression) -> Codes:
    """Embeddings (n, d), their lengths (n,), and what a photo adds to a logit by itself, by task (n, t)."""
    embedding = features.embedding
    length = lengths(embedding)
    squared = np.stack([weights.squared for weights in model.by_task.values()], axis=1)
    alone = by_row(lambda rows: np.square(rows) @ squared, embedding)
    return embedding, length, alone / np.square(length)[:, None]


def compare_logistic_regression(
    queries: Codes, gallery: Codes, model: PairRegression, task: Task, color_weight: float
) -> np.ndarray:
    """Probability that a pair matches: (q, g) float32."""
    (q, q_lengths, q_alone), (x, x_lengths, x_alone) = queries, gallery

    def probability(name: str) -> np.ndarray:
        weights, column = model.by_task[name], list(model.by_task).index(name)
        together = (q / q_lengths[:, None] * weights.product) @ single(x).T / x_lengths
        return expit(q_alone[:, column, None] + x_alone[:, column] + together + weights.offset)

    return _of_task(probability, task, color_weight)


def encode_random_forest(features: Features, model: PairForest) -> Codes:
    """Embeddings (n, d) and their lengths (n,)."""
    return features.embedding, lengths(features.embedding)


def compare_random_forest(
    queries: Codes, gallery: Codes, model: PairForest, task: Task, color_weight: float
) -> np.ndarray:
    """Probability that a pair matches: (q, g) float32."""
    (q, q_lengths), (x, x_lengths) = queries, gallery
    names = [task.name] if task.is_blind else list(task.labels)
    sessions = {name: open_forest(model.by_task[name]) for name in names}
    scores = {name: np.empty((len(q), len(x)), np.float32) for name in names}
    for start in range(0, len(x), FOREST_CHUNK):
        part = slice(start, start + FOREST_CHUNK)
        right = x[part] / x_lengths[part, None]
        for row, left in enumerate(q / q_lengths[:, None]):
            pairs = pair_features(left[None], right)
            for name, session in sessions.items():
                scores[name][row, part] = session.run(["probabilities"], {"X": pairs})[0][:, 1]
    # The mean of many ones may exceed 1 by a rounding error.
    return np.minimum(_of_task(scores.__getitem__, task, color_weight), 1)


def pair_features(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Symmetric features of pairs of unit embeddings: squared differences, then products.

    Concatenated vectors would let a linear model see each photo alone but never the pair; these two make a linear
    model an inner product (see `PairWeights`).

    Args:
        left: (m, d), or (1, d) for one photo in all pairs.
        right: (m, d).

    Returns:
        (m, 2d), equal when left and right change places.
    """
    return np.concatenate([(left - right) ** 2, left * right], axis=1)


def _of_task(score: Callable[[str], np.ndarray], task: Task, color_weight: float) -> np.ndarray:
    """The score of a task by the models that are fitted for it."""
    if task.is_blind:
        return score(task.name)
    return weighed({label: score(label) for label in task.labels}, color_weight)
