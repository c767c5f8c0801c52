"""Similarity methods: how each scores two photos.

Each method is one entry of `SIMILARITIES`. It *encodes* a photo once, into the numbers it compares, and *compares*
codes; a gallery is encoded when it is loaded, so that a search costs one encoding and one comparison. Scores are
larger for closer photos. Those of learned methods are probabilities. How they are fitted is in `train.fit`.

Legend: n photos, q queries, g gallery items, p numbers in a code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cbir.features import Features
from cbir.labels import LABELS, POOLED, Task
from cbir.similarity.attributes import AttributeModel, compare_agreement, encode_posteriors
from cbir.similarity.geometric import compare_cosine, compare_inverse_euclidean, encode_cosine, encode_euclidean
from cbir.similarity.likeness import (
    AttributesAndLikeness,
    compare_attributes_and_likeness,
    encode_attributes_and_likeness,
)
from cbir.similarity.pairs import (
    PairForest,
    PairRegression,
    compare_logistic_regression,
    compare_random_forest,
    encode_pair_posteriors,
)


@dataclass(frozen=True)
class Similarity:
    """One method.

    Attributes:
        name: what `--method` and the endpoints take.
        title: what people read.
        explanation: one line for people.
        encode: features of n photos, and the method's model -> (n, p) float32 codes.
        compare: codes (q, p) and (g, p), the model, and a label or `POOLED` -> (q, g) float32 scores.
        model_type: of the fitted model that both take; None where there is nothing to learn.
    """

    name: str
    title: str
    explanation: str
    encode: Callable[[Features, Any], np.ndarray]
    compare: Callable[[np.ndarray, np.ndarray, Any, str], np.ndarray]
    model_type: type | None = None

    @property
    def is_learned(self) -> bool:
        """Whether it needs a fitted model; its scores are then probabilities."""
        return self.model_type is not None

    def score_codes(
        self, queries: np.ndarray, gallery: np.ndarray, model: object, task: Task | None, color_weight: float = 0.5
    ) -> np.ndarray:
        """Scores encoded photos: see `score`.

        Where a learned method scores type and color, its score is type^(2 (1 - w)) * color^(2 w), w being
        `color_weight`, 0 to 1: a half gives the product of both, 0 ranks by the type alone, 1 by the color alone.
        """
        if not self.is_learned or task is None:
            return self.compare(queries, gallery, model, POOLED)
        by_label = [self.compare(queries, gallery, model, label) for label in task.labels]
        if task.labels == LABELS:
            by_label = [by_label[0] ** (2 - 2 * color_weight), by_label[1] ** (2 * color_weight)]
        # Labels are close to independent given the photos: all agree with the product of their probabilities.
        return np.multiply.reduce(by_label)

    def score(self, queries: Features, gallery: Features, model: object, task: Task | None) -> np.ndarray:
        """Scores every query against every gallery item.

        Args:
            queries: features of q photos.
            gallery: features of g photos.
            model: of `model_type`; ignored by methods that learn nothing.
            task: what should match; None for the pooled score of the published protocol.

        Returns:
            (q, g) float32, finite, larger is closer, each score independent of the other rows.
        """
        return self.score_codes(self.encode(queries, model), self.encode(gallery, model), model, task)


SIMILARITIES: dict[str, Similarity] = {
    method.name: method
    for method in (
        Similarity(
            "attributes_and_likeness",
            "Attributes and likeness",
            "Attribute agreement together with general likeness, in the proportions that pairs of photos taught it.",
            encode_attributes_and_likeness,
            compare_attributes_and_likeness,
            AttributesAndLikeness,
        ),
        Similarity(
            "attribute_agreement",
            "Attribute agreement",
            "How probable it is that both photos show the same type and color, by what each photo shows.",
            encode_posteriors,
            compare_agreement,
            AttributeModel,
        ),
        Similarity(
            "cosine",
            "Cosine",
            "The angle between the two photos' embeddings: general likeness, nothing learned from clothes.",
            encode_cosine,
            compare_cosine,
        ),
        Similarity(
            "inverse_euclidean",
            "Inverse Euclidean distance",
            "1 / (1 + distance) of the two photos' embeddings: general likeness, nothing learned from clothes.",
            encode_euclidean,
            compare_inverse_euclidean,
        ),
        Similarity(
            "logistic_regression",
            "Logistic Regression on pairs",
            "A linear model of pairs of photos that learned which pairs match.",
            encode_pair_posteriors,
            compare_logistic_regression,
            PairRegression,
        ),
        Similarity(
            "random_forest",
            "Random Forest on pairs",
            "Decision trees over pairs of photos that learned which pairs match.",
            encode_pair_posteriors,
            compare_random_forest,
            PairForest,
        ),
    )
}
DEFAULT_METHOD = "attributes_and_likeness"


@dataclass(frozen=True)
class Models:
    """What methods learned.

    Attributes:
        attributes: tells type and color, and is the model of attribute agreement; other models hold the same object.
            None where no method was fitted.
        by_method: the models of the other learned methods, by name.
    """

    attributes: AttributeModel | None = None
    by_method: Mapping[str, object] = field(default_factory=dict)

    def of(self, method: Similarity) -> object:
        """The model of a method; None where it has none."""
        return self.attributes if method.model_type is AttributeModel else self.by_method.get(method.name)

    @property
    def methods(self) -> list[Similarity]:
        """The methods that these models can score with, in the registry's order."""
        return [method for method in SIMILARITIES.values() if not method.is_learned or self.of(method) is not None]

    @property
    def default_method(self) -> str:
        """The name of the method to take where none is asked for."""
        names = [method.name for method in self.methods]
        return DEFAULT_METHOD if DEFAULT_METHOD in names else names[0]
