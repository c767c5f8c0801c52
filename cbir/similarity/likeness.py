"""Agreement of attributes together with general likeness, in proportions learned from pairs of photos.

Fitted by `train.fit.pairs`.

Legend: n photos, q queries, g gallery items, p classes of all labels, d numbers in an embedding, l labels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.special import expit

from cbir.features import Features, unit
from cbir.labels import LABELS, POOLED
from cbir.similarity.attributes import AttributeModel, compare_agreement, encode_posteriors, log_odds
from cbir.storage import Keys, Shape


@dataclass(frozen=True)
class EvidenceWeights:
    """Logistic Regression on what speaks for a match.

    Attributes:
        weights: (2 l + 1,) float32: of the probability that each label agrees, of its log-odds, and of the cosine.
        offset: (1,) float32.
    """

    weights: Annotated[np.ndarray, Shape(2 * len(LABELS) + 1)]
    offset: Annotated[np.ndarray, Shape(1)]


@dataclass(frozen=True)
class AttributesAndLikeness:
    """The method's model.

    Attributes:
        attributes: tells type and color.
        by_task: for each of `LABELS` and `POOLED`.
    """

    attributes: AttributeModel
    by_task: Annotated[Mapping[str, EvidenceWeights], Keys(*LABELS, POOLED)]


def encode_attributes_and_likeness(features: Features, model: AttributesAndLikeness) -> np.ndarray:
    """Posteriors and unit embedding: (n, p + d) float32."""
    return np.concatenate([encode_posteriors(features, model.attributes), unit(features.embedding)], axis=1)


def compare_attributes_and_likeness(
    queries: np.ndarray, gallery: np.ndarray, model: AttributesAndLikeness, task: str
) -> np.ndarray:
    """Probability that a pair matches: (q, p + d) and (g, p + d) -> (q, g) float32."""
    regression = model.by_task[task]
    n_posteriors = model.attributes.columns(LABELS[-1]).stop
    cosine = queries[:, n_posteriors:] @ gallery[:, n_posteriors:].T
    agreement = [compare_agreement(queries, gallery, model.attributes, label) for label in LABELS]
    evidence = [*agreement, *map(log_odds, agreement), cosine]
    logits = sum(weight * part for weight, part in zip(regression.weights, evidence, strict=True)) + regression.offset
    return expit(logits).astype(np.float32)
