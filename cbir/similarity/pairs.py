"""Methods fitted on labelled pairs of photos: Logistic Regression and Random Forest.

Their inputs are class probabilities: from raw embeddings a pair model would have to rediscover the labels. Fitted by
`train.fit.pairs`.

Legend: q queries, g gallery items, m pairs, p classes of all labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.special import expit

from cbir.features import Features
from cbir.graphs import open_forest
from cbir.labels import LABELS, POOLED
from cbir.similarity.attributes import AttributeModel, compare_agreement, encode_posteriors, log_odds
from cbir.storage import Keys, Shape

FOREST_CHUNK = 20_000  # pairs scored at a time: bounds memory


@dataclass(frozen=True)
class PairWeights:
    """Logistic Regression on [(a - b)^2, a b, log-odds of agreement], the first two folded into an inner product.

    With weights u on the squared differences and v on the products, their part of the logit of a pair is
    sum u (a^2 + b^2) + (v - 2u) a b + c = f(a) + f(b) + sum w a b + c, where w = v - 2u and f(a) = sum u a^2: one
    matrix product scores a whole gallery.

    Attributes:
        squared: (p,) float32, u.
        product: (p,) float32, w.
        agreement: a float32 weight for each of `LABELS`.
        offset: (1,) float32, c.
    """

    squared: Annotated[np.ndarray, Shape("p")]
    product: Annotated[np.ndarray, Shape("p")]
    agreement: Annotated[np.ndarray, Shape(len(LABELS))]
    offset: Annotated[np.ndarray, Shape(1)]


@dataclass(frozen=True)
class PairRegression:
    """Model of Logistic Regression on pairs.

    Attributes:
        attributes: tells type and color.
        by_task: for each of `LABELS` and `POOLED`.
    """

    attributes: AttributeModel
    by_task: Annotated[Mapping[str, PairWeights], Keys(*LABELS, POOLED)]


@dataclass(frozen=True)
class PairForest:
    """Model of Random Forest on pairs.

    Attributes:
        attributes: tells type and color.
        by_task: for each of `LABELS` and `POOLED` an ONNX graph: "X" (m, 2p + labels) float32 ->
            "probabilities" (m, 2).
    """

    attributes: AttributeModel
    by_task: Annotated[Mapping[str, bytes], Keys(*LABELS, POOLED)]


def pair_inputs(left: np.ndarray, right: np.ndarray, attributes: AttributeModel) -> np.ndarray:
    """What both models see of m pairs: posteriors (m, p) twice -> (m, 2p + labels)."""
    odds = log_odds(attributes.agreement_of_pairs(left, right))
    return np.concatenate([pair_features(left, right), odds], axis=1)


def encode_pair_posteriors(features: Features, model: PairRegression | PairForest) -> np.ndarray:
    """Posteriors of all labels side by side: (n, p) float32."""
    return encode_posteriors(features, model.attributes)


def compare_logistic_regression(
    queries: np.ndarray, gallery: np.ndarray, model: PairRegression, task: str
) -> np.ndarray:
    """Probability that a pair matches: (q, p) and (g, p) -> (q, g) float32."""
    weights = model.by_task[task]
    alone = (queries**2 @ weights.squared)[:, None] + (gallery**2 @ weights.squared)[None]
    logits = alone + (queries * weights.product) @ gallery.T + weights.offset
    for weight, label in zip(weights.agreement, LABELS, strict=True):
        logits = logits + weight * log_odds(compare_agreement(queries, gallery, model.attributes, label))
    return expit(logits).astype(np.float32)


def compare_random_forest(queries: np.ndarray, gallery: np.ndarray, model: PairForest, task: str) -> np.ndarray:
    """Probability that a pair matches: (q, p) and (g, p) -> (q, g) float32."""
    session = open_forest(model.by_task[task])
    scores = np.empty((len(queries), len(gallery)), np.float32)
    for row, query in enumerate(queries):
        for start in range(0, len(gallery), FOREST_CHUNK):
            part = gallery[start : start + FOREST_CHUNK]
            x = pair_inputs(np.broadcast_to(query, part.shape), part, model.attributes)
            scores[row, start : start + FOREST_CHUNK] = session.run(["probabilities"], {"X": x})[0][:, 1]
    return np.minimum(scores, 1)  # the mean of many ones may exceed it by a rounding error


def pair_features(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Symmetric features of pairs: squared differences, then products.

    Concatenated vectors would let a linear model see each photo alone but never the pair; these two make a linear
    model an inner product (see `cbir.similarity`).

    Args:
        left: (m, p).
        right: (m, p).

    Returns:
        (m, 2p), equal when left and right change places.
    """
    return np.concatenate([(left - right) ** 2, left * right], axis=1)
