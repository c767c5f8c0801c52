"""Similarity methods: how each scores two photos.

Each method is one entry of `SIMILARITIES`. It *encodes* a photo once, into the numbers it compares, and *compares*
codes; a gallery is encoded when it is loaded, so that a search costs one encoding and one comparison. Scores are
larger for closer photos. How methods are fitted is in `train.fit`.

Legend: n photos, q queries, g gallery items.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cbir.features import Features
from cbir.labels import Task
from cbir.similarity.attributes import AttributeModel, compare_agreement, encode_posteriors
from cbir.similarity.codes import Codes
from cbir.similarity.geometric import compare_cosine, compare_inverse_euclidean, encode_cosine, encode_euclidean
from cbir.similarity.likeness import (
    AgreementAndLikeness,
    Likeness,
    compare_agreement_and_likeness,
    encode_agreement_and_likeness,
)
from cbir.similarity.pairs import (
    PairForest,
    PairRegression,
    compare_logistic_regression,
    compare_random_forest,
    encode_logistic_regression,
    encode_random_forest,
)

EVEN_WEIGHT = 0.5  # of the color against the type: both count alike


@dataclass(frozen=True)
class Similarity:
    """One method.

    Attributes:
        name: what `--method` and the endpoints take.
        title: what people read.
        explanation: one line for people.
        encode: features of n photos, and the method's model -> codes.
        compare: codes of q and of g photos, the model, a task, and the weight of the color against the type (0 to 1, a
            half weighs both alike) -> (q, g) float32 scores.
        model_type: of the fitted model that both take; None where there is nothing to learn.
        is_probability: whether its score is the probability that a pair matches.
    """

    name: str
    title: str
    explanation: str
    encode: Callable[[Features, Any], Codes]
    compare: Callable[[Codes, Codes, Any, Task, float], np.ndarray]
    model_type: type | None = None
    is_probability: bool = False

    @property
    def is_learned(self) -> bool:
        """Whether it needs a fitted model; its scores are then from 0 to 1, and it tells type from color."""
        return self.model_type is not None

    @property
    def is_on_pairs(self) -> bool:
        """Whether it is fitted on pairs of photos, and has a model of its own."""
        return self.model_type in (PairRegression, PairForest)

    def score(
        self, queries: Features, gallery: Features, model: object, task: Task, color_weight: float = EVEN_WEIGHT
    ) -> np.ndarray:
        """Scores every query against every gallery item.

        Args:
            queries: features of q photos.
            gallery: features of g photos.
            model: of `model_type`; ignored by methods that learn nothing.
            task: what should match.
            color_weight: see `compare`.

        Returns:
            (q, g) float32, finite, larger is closer, each score independent of the other rows.
        """
        return self.compare(self.encode(queries, model), self.encode(gallery, model), model, task, color_weight)


SIMILARITIES: dict[str, Similarity] = {
    method.name: method
    for method in (
        Similarity(
            "agreement_and_likeness",
            "Agreement and likeness",
            "Same type and color first, or the very same garment, and among those the most alike.",
            encode_agreement_and_likeness,
            compare_agreement_and_likeness,
            AgreementAndLikeness,
        ),
        Similarity(
            "attribute_agreement",
            "Attribute agreement",
            "How probable it is that both photos show the same type and color, by what each photo shows.",
            encode_posteriors,
            compare_agreement,
            AttributeModel,
            is_probability=True,
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
            "A linear model of the two photos' embeddings, fitted on pairs of photos that match or do not.",
            encode_logistic_regression,
            compare_logistic_regression,
            PairRegression,
            is_probability=True,
        ),
        Similarity(
            "random_forest",
            "Random Forest on pairs",
            "Decision trees over the two photos' embeddings, fitted on pairs of photos that match or do not.",
            encode_random_forest,
            compare_random_forest,
            PairForest,
            is_probability=True,
        ),
    )
}
DEFAULT_METHOD = "agreement_and_likeness"


@dataclass(frozen=True)
class Models:
    """What methods learned.

    Attributes:
        attributes: tells type and color, and is the model of attribute agreement. None where no method was fitted.
        likeness: tells how alike photos look. None likewise.
        by_method: the models of the methods on pairs, by name.
    """

    attributes: AttributeModel | None = None
    likeness: Likeness | None = None
    by_method: Mapping[str, object] = field(default_factory=dict)

    def of(self, method: Similarity) -> object:
        """The model of a method; None where it has none."""
        if method.model_type is AgreementAndLikeness:
            if self.attributes is None or self.likeness is None:
                return None
            return AgreementAndLikeness(self.attributes, self.likeness)
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

    @property
    def telling(self) -> Similarity:
        """The method whose codes `match_figures` takes."""
        default = SIMILARITIES[DEFAULT_METHOD]
        return SIMILARITIES["cosine"] if self.of(default) is None else default
