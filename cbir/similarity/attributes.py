"""What a photo shows, and how probably two photos show the same.

One multinomial Logistic Regression per label gives the probability of each class: of the type from the embedding, of
the color also from the color descriptor and, where there is one, the color network. Two photos agree in a label with
the probability sum_c p_c p'_c. Fitted by `train.fit.attributes`.

Legend: n photos, q queries, g gallery items, k classes of a label, p classes of all labels, x numbers of all parts of
the features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.special import logit, softmax

from cbir.features import Features, unit
from cbir.labels import LABELS, POOLED
from cbir.storage import Keys, Shape

AGREEMENT_FLOOR = 1e-4  # of the probability that two photos agree, or differ: some labels are wrong


@dataclass(frozen=True)
class Scaler:
    """Brings one part of the features to mean 0 and to a common variance.

    Attributes:
        mean: (x,) float32.
        scale: (x,) float32, or (1,) for one scale of all columns.
    """

    mean: Annotated[np.ndarray, Shape("x")]
    scale: Annotated[np.ndarray, Shape("1|x")]

    def __post_init__(self) -> None:
        """Raises ValueError where a scale is not positive."""
        if not (self.scale > 0).all():
            raise ValueError("expected positive scales")

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """(n, x) -> (n, x)."""
        return (values - self.mean) / self.scale


@dataclass(frozen=True)
class LabelModel:
    """Multinomial Logistic Regression of one label.

    Attributes:
        classes: k names, in alphabetical order.
        weights: (k, x) float32.
        offset: (k,) float32.
    """

    classes: Annotated[tuple[str, ...], Shape("k")]
    weights: Annotated[np.ndarray, Shape("k", "x")]
    offset: Annotated[np.ndarray, Shape("k")]

    def __post_init__(self) -> None:
        """Raises ValueError where classes are not as described."""
        if not self.classes or "" in self.classes or list(self.classes) != sorted(set(self.classes)):
            raise ValueError(f"expected classes in alphabetical order, each once, got {', '.join(self.classes)[:80]!r}")


@dataclass(frozen=True)
class AttributeModel:
    """Tells type and color of a photo.

    Attributes:
        embedding: scaler of unit embeddings.
        color: scaler of color descriptors.
        learned: scaler of what the color network gives, as unit vectors.
        by_label: a model for each of `LABELS`.
    """

    embedding: Scaler
    color: Scaler
    learned: Scaler
    by_label: Annotated[Mapping[str, LabelModel], Keys(*LABELS)]

    def __post_init__(self) -> None:
        """Raises ValueError where weights are not for these scalers."""
        x = sum(len(scaler.mean) for scaler in (self.embedding, self.color, self.learned))
        for label, model in self.by_label.items():
            if model.weights.shape[1] != x:
                raise ValueError(f"expected {x} weights for a {label}, got {model.weights.shape[1]}")

    def classes(self, label: str) -> tuple[str, ...]:
        """The classes of a label, in the order of its posteriors."""
        return self.by_label[label].classes

    def posteriors(self, features: Features) -> dict[str, np.ndarray]:
        """Probability of each class.

        Returns:
            For each of `LABELS` (n, k) float32, rows summing to 1, columns as in `classes`.
        """
        x = scaled_parts(features, self.embedding, self.color, self.learned)
        return {
            label: softmax(x @ model.weights.T + model.offset, axis=1)
            for label, model in ((label, self.by_label[label]) for label in LABELS)
        }

    def columns(self, label: str) -> slice:
        """Where the posteriors of a label stand among those of all labels."""
        sizes = [len(self.classes(name)) for name in LABELS]
        start = sum(sizes[: LABELS.index(label)])
        return slice(start, start + len(self.classes(label)))

    def agreement_of_pairs(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Probability that both photos of m pairs show the same: posteriors (m, p) twice -> (m, labels)."""
        columns = [self.columns(label) for label in LABELS]
        return np.stack([(left[:, part] * right[:, part]).sum(axis=1) for part in columns], axis=1)


def scaled_parts(features: Features, embedding: Scaler, color: Scaler, learned: Scaler) -> np.ndarray:
    """What models of attributes see of photos: (n, x) float32, the parts side by side."""
    parts = [embedding(unit(features.embedding)), color(features.color), learned(unit(features.learned))]
    return np.concatenate(parts, axis=1).astype(np.float32)


def encode_posteriors(features: Features, model: AttributeModel) -> np.ndarray:
    """Posteriors of all labels side by side: (n, p) float32."""
    return np.concatenate(list(model.posteriors(features).values()), axis=1)


def compare_agreement(queries: np.ndarray, gallery: np.ndarray, model: AttributeModel, task: str) -> np.ndarray:
    """Probability that both show the same class of a label; for `POOLED` its mean over labels: (q, g) float32."""
    if task == POOLED:
        return np.mean([compare_agreement(queries, gallery, model, label) for label in LABELS], axis=0)
    columns = model.columns(task)
    return queries[:, columns] @ gallery[:, columns].T


def log_odds(agreement: np.ndarray) -> np.ndarray:
    """Log-odds of a probability that photos agree.

    Half of the pairs that models on pairs are fitted on are positive, far more than among photos at random, so that the
    probability of agreement itself is too low for them; its log-odds are off by a constant, which a linear model learns
    (Platt, Probabilistic outputs for support vector machines, 1999).
    """
    return logit(np.clip(agreement, AGREEMENT_FLOOR, 1 - AGREEMENT_FLOOR))
