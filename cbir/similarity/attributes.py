"""What a photo shows, and how probably two photos show the same.

One multinomial Logistic Regression per label gives the probability of each class: of the type from the embedding, of
the color also from the color descriptor and, where there is one, the color network. Two photos agree in a label with
the probability sum_c p_c p'_c. Fitted by `train.fit.attributes`.

Legend: n photos, q queries, g gallery items, k classes of a label, p classes of all labels, x numbers of all parts of
the features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from scipy.special import softmax

from cbir.features import Features, unit
from cbir.labels import LABELS, Task
from cbir.progress import in_parts
from cbir.similarity.codes import ROWS, Codes, weighed
from cbir.storage import Keys, Shape


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
        parts = []
        for rows in in_parts(len(features), ROWS, "telling types and colors"):  # bounds memory
            x = scaled_parts(features.take(rows), self.embedding, self.color, self.learned)
            models = (self.by_label[label] for label in LABELS)
            parts.append([softmax(x @ model.weights.T + model.offset, axis=1) for model in models])
        return {label: np.concatenate([part[number] for part in parts]) for number, label in enumerate(LABELS)}

    def columns(self, label: str) -> slice:
        """Where the posteriors of a label stand among those of all labels."""
        sizes = [len(self.classes(name)) for name in LABELS]
        start = sum(sizes[: LABELS.index(label)])
        return slice(start, start + len(self.classes(label)))


def scaled_parts(features: Features, embedding: Scaler, color: Scaler, learned: Scaler) -> np.ndarray:
    """What models of attributes see of photos: (n, x) float32, the parts side by side."""
    parts = [embedding(unit(features.embedding)), color(features.color), learned(unit(features.learned))]
    return np.concatenate(parts, axis=1).astype(np.float32)


def encode_posteriors(features: Features, model: AttributeModel) -> Codes:
    """Posteriors of all labels side by side: (n, p) float32."""
    return (np.concatenate(list(model.posteriors(features).values()), axis=1),)


def agreement_by_label(
    queries: Codes, gallery: Codes, model: AttributeModel, labels: Sequence[str]
) -> dict[str, np.ndarray]:
    """Probability that both photos show the same class of a label: for each label (q, g) float32."""
    (of_queries,), (of_gallery,) = queries, gallery
    columns = {label: model.columns(label) for label in labels}
    return {label: of_queries[:, part] @ of_gallery[:, part].T for label, part in columns.items()}


def compare_agreement(
    queries: Codes, gallery: Codes, model: AttributeModel, task: Task, color_weight: float
) -> np.ndarray:
    """Probability that the labels of the task agree; for the task that is not told, its mean over labels: (q, g)."""
    agreement = agreement_by_label(queries, gallery, model, task.labels)
    if task.is_blind:
        return np.mean(list(agreement.values()), axis=0)
    return weighed(agreement, color_weight)
