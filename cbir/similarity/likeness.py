"""How alike two photos look, learned from random views of photos; and the default method, which ranks by it and labels.

The likeness is a cosine after a linear projection of all features. The projection is the linear discriminant analysis
of photos, each a class of its own: it keeps what tells photos apart, and drops what also differs between views of one
photo, such as light, framing and quality (Fisher, The use of multiple measurements in taxonomic problems, 1936; for
whitening by what differs within a class, Hatch and Stolcke, Generalized linear kernels for one-versus-all
classification, 2006). Fitted by `train.fit.likeness`.

Legend: n photos, q queries, g gallery items, x numbers of all parts of the features, k axes.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np

from cbir.features import NEAR_DUPLICATE, Features, unit
from cbir.labels import Task
from cbir.progress import in_parts
from cbir.similarity.attributes import (
    AttributeModel,
    Scaler,
    agreement_by_label,
    encode_posteriors,
    scaled_parts,
)
from cbir.similarity.codes import ROWS, Codes, lengths, single, weighed
from cbir.similarity.geometric import compare_cosine
from cbir.similarity.products import inner_products
from cbir.storage import Shape

MANY = 200_000  # photos from which codes take half the memory: a likeness then differs by less than .0001
SAME_PICTURE = 0.95  # least likeness of two photos that show the same picture
STEEPNESS = 16.0  # of the step from other garments to the same one, along the likeness
FLOOR = 0.03  # of the probability that labels agree: sure matches tie, and the likeness orders them
LIKENESS_WEIGHT = 0.1  # of the likeness in the logarithm of a label's score


@dataclass(frozen=True)
class Likeness:
    """Tells how alike two photos look.

    Attributes:
        embedding: scaler of unit embeddings.
        color: scaler of color descriptors.
        learned: scaler of what the color network gives, as unit vectors.
        projection: (x, k) float16.
        even: the likeness from which two photos more probably show the same garment than not.
    """

    embedding: Scaler
    color: Scaler
    learned: Scaler
    projection: Annotated[np.ndarray, Shape("x", "k")]
    even: float

    def __post_init__(self) -> None:
        """Raises ValueError where the projection is not for these scalers."""
        x = sum(len(scaler.mean) for scaler in (self.embedding, self.color, self.learned))
        if self.projection.shape[0] != x:
            raise ValueError(f"expected a projection of {x} numbers, got {self.projection.shape[0]}")

    def codes(self, features: Features) -> np.ndarray:
        """Unit vectors whose inner product is the likeness: (n, k) float32; of many photos float16."""
        codes = np.empty((len(features), self.projection.shape[1]), np.float16 if len(features) >= MANY else np.float32)
        for rows in in_parts(len(features), ROWS, "working out the likeness"):  # bounds memory
            parts = scaled_parts(features.take(rows), self.embedding, self.color, self.learned)
            codes[rows] = unit(parts @ self._projection)
        return codes

    @cached_property
    def _projection(self) -> np.ndarray:
        return self.projection.astype(np.float32)

    def terms(self, photo: Features, other: Features) -> "LikenessTerms":
        """The likeness of two photos as a sum that is linear in the embedding of the first."""
        parts = scaled_parts(photo, self.embedding, self.color, self.learned)[0]
        direction = self._projection @ self.codes(other)[0] / (np.linalg.norm(parts @ self._projection) or 1.0)
        n = photo.embedding.shape[1]
        of_embedding = direction[:n] / self.embedding.scale
        return LikenessTerms(
            of_embedding / lengths(photo.embedding),
            -float(of_embedding @ self.embedding.mean),
            float(parts[n:] @ direction[n:]),
        )


@dataclass(frozen=True)
class LikenessTerms:
    """The terms of a likeness, from the side of one photo.

    Attributes:
        direction: (d,) float32; its inner product with the raw embedding is what that adds.
        constant: to be added: what the mean embedding would add the other way round.
        color: what color descriptor and color network add.
    """

    direction: np.ndarray
    constant: float
    color: float


@dataclass(frozen=True)
class AgreementAndLikeness:
    """What the default method takes."""

    attributes: AttributeModel
    likeness: Likeness


def encode_agreement_and_likeness(features: Features, model: AgreementAndLikeness) -> Codes:
    """Posteriors of all labels (n, p), and codes of the likeness (n, k)."""
    return *encode_posteriors(features, model.attributes), model.likeness.codes(features)


def compare_agreement_and_likeness(
    queries: Codes, gallery: Codes, model: AgreementAndLikeness, task: Task, color_weight: float
) -> np.ndarray:
    """Either both show the very garment, or else their labels agree; among equals, the more alike is closer.

    With s how probably both show the same garment, and A how probably a label agrees, the score of a label is
    (s + (1 - s) A) e^(w (likeness - 1)). It is from 0 to 1, and 1 for the same photo.

    Returns:
        (q, g) float32.
    """
    likeness = inner_products(single(queries[-1]), gallery[-1])
    same = 1 / (1 + np.exp(-STEEPNESS * (likeness - model.likeness.even)))
    agreement = agreement_by_label(queries[:1], gallery[:1], model.attributes, task.labels)
    if task.is_blind:
        agreement = {task.name: np.mean(list(agreement.values()), axis=0)}
    order = np.exp(LIKENESS_WEIGHT * (likeness - 1))
    by_label = {name: (same + (1 - same) * (a + FLOOR) / (1 + FLOOR)) * order for name, a in agreement.items()}
    return weighed(by_label, color_weight)


@dataclass(frozen=True)
class MatchFigures:
    """What is said of matches, whatever ranked them, each (k,).

    Attributes:
        probability: that both photos agree in the labels of a task; nan where that cannot be told.
        likeness: from 0 to 1.
        is_same_picture: bool.
    """

    probability: np.ndarray
    likeness: np.ndarray
    is_same_picture: np.ndarray


def match_figures(photo: Codes, items: Codes, model: object, task: Task) -> MatchFigures:
    """Figures of matches of one photo.

    Args:
        photo: codes of the default method, of one photo; those of cosine where there is no model.
        items: likewise, of k items.
        model: of the default method; None in a bundle without learned methods.
        task: what should agree.
    """
    if not isinstance(model, AgreementAndLikeness):
        cosine = compare_cosine(photo, items, None, task, 0.5)[0]
        return MatchFigures(np.full(len(cosine), np.nan), np.clip(cosine, 0, 1), cosine >= NEAR_DUPLICATE)
    likeness = inner_products(single(photo[-1]), items[-1])[0]
    is_same_picture = likeness >= SAME_PICTURE
    agreement = agreement_by_label(photo[:1], items[:1], model.attributes, task.labels)
    probability = np.clip(task.probability(agreement)[0], 0, 1)
    return MatchFigures(np.where(is_same_picture, 1, probability), np.clip(likeness, 0, 1), is_same_picture)
