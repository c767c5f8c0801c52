"""The published methods that are fitted on labelled pairs of photos: Logistic Regression and Random Forest.

They see the two embeddings and nothing else: unit vectors a and b, of which a pair has the features (a - b)^2 and a b.
Each is fitted for every label, and on the pairs of all labels at once, not told which label is asked for. Fitted by
`train.fit.pairs`.

Legend: n photos, q queries, g gallery items, m pairs, d numbers in an embedding, t tasks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
from scipy.special import expit

from cbir.features import Features
from cbir.graphs import Trees, open_forest
from cbir.labels import BLIND, LABELS, Task
from cbir.similarity.codes import Codes, by_row, lengths, single, weighed
from cbir.similarity.forest import BLOCK, asked_columns, lay_out, score_few, score_items
from cbir.similarity.products import inner_products
from cbir.storage import Keys, Shape

FEW = 64  # items up to which a forest is walked item by item
MAX_NUMBERS = 2**28  # laid out for forests: 1 GB


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

    @cached_property
    def columns(self) -> np.ndarray:
        """What the forests of all tasks ask about, see `asked_columns`."""
        return asked_columns([open_forest(graph) for graph in self.by_task.values()])


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

    unit_queries, columns = single(q) / q_lengths[:, None], list(model.by_task)
    names = _names(task)
    directions = np.concatenate([unit_queries * model.by_task[name].product for name in names])
    together = inner_products(directions, x).reshape(len(names), len(q), len(x)) / x_lengths
    by_name = {}
    for name, product in zip(names, together, strict=True):
        alone = q_alone[:, columns.index(name), None] + x_alone[:, columns.index(name)]
        by_name[name] = expit(alone + product + model.by_task[name].offset)
    return _of_task(by_name, task, color_weight)


def encode_random_forest(features: Features, model: PairForest) -> Codes:
    """Embeddings (n, d), their lengths (n,), and what forests ask about, laid out for them (n, c), see `lay_out`.

    Where that would take too much memory, it is (n, 0), and laid out part by part in each comparison.
    """
    embedding = features.embedding
    length = lengths(embedding)
    columns = model.columns
    if FEW < len(embedding) <= MAX_NUMBERS // len(columns):
        return embedding, length, lay_out(embedding, length, columns)
    return embedding, length, np.empty((len(embedding), 0), np.int32)


def compare_random_forest(
    queries: Codes, gallery: Codes, model: PairForest, task: Task, color_weight: float
) -> np.ndarray:
    """Probability that a pair matches: (q, g) float32."""
    (q, q_lengths, _), (x, x_lengths, table) = queries, gallery
    columns = model.columns
    unit_queries = single(q) / q_lengths[:, None]
    few = single(x) / x_lengths[:, None] if len(x) <= FEW else None

    def score(forest: Trees, query: np.ndarray) -> np.ndarray:
        if few is not None:
            return score_few(forest, query, few)
        if table.shape[1]:
            return score_items(forest, query, table.T, columns)
        starts = range(0, len(x), BLOCK)
        parts = (lay_out(x[start : start + BLOCK], x_lengths[start : start + BLOCK], columns) for start in starts)
        return np.concatenate([score_items(forest, query, part.T, columns) for part in parts])

    forests = {name: open_forest(model.by_task[name]) for name in _names(task)}
    by_name = {name: np.stack([score(forest, query) for query in unit_queries]) for name, forest in forests.items()}
    # The mean of many ones may exceed 1 by a rounding error.
    return np.minimum(_of_task(by_name, task, color_weight), 1)


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


def _names(task: Task) -> list[str]:
    """The models that a task takes."""
    return [task.name] if task.is_blind else list(task.labels)


def _of_task(scores: Mapping[str, np.ndarray], task: Task, color_weight: float) -> np.ndarray:
    """The score of a task by the models that are fitted for it."""
    return scores[task.name] if task.is_blind else weighed(scores, color_weight)
