"""When to say "no confident match".

Scores alone cannot tell: a photo of a lion has a type and a color as sure as a shirt has, since class probabilities
must go somewhere. So two questions are asked. Is the photo *familiar*, i.e. does its embedding lie near the axes along
which photos of clothes differ? (Residual of principal components: Jackson and Mudholkar, Control procedures for
residuals, Technometrics 1979; for networks Wang et al., ViM, CVPR 2022.) And does a learned method, whose scores are
probabilities, find its best match more probable than not? Fitted by `train.fit.familiarity`.

Legend: n photos, d numbers in an embedding, k axes.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from cbir.features import Features, unit
from cbir.storage import Shape

EVEN = 0.5  # a best match below this probability is more probably wrong than right


@dataclass(frozen=True)
class Familiarity:
    """Tells photos of clothes from other pictures.

    Attributes:
        mean: (d,) float32, of unit embeddings.
        axes: (k, d) float32, orthonormal.
        threshold: a photo of less familiarity shows no clothes.
        accepts_from: the highest threshold that would have accepted enough photos of clothes.
    """

    mean: Annotated[np.ndarray, Shape("d")]
    axes: Annotated[np.ndarray, Shape("k", "d")]
    threshold: float
    accepts_from: float

    def score(self, features: Features) -> np.ndarray:
        """How near photos lie to those that it was fitted on: (n,) float32, at most 1, larger is nearer."""
        return axes_score(features, self.mean, self.axes)


def axes_score(features: Features, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """1 minus the distance of unit embeddings from the space of some axes: (n,) float32."""
    centred = unit(features.embedding) - mean
    return 1 - np.linalg.norm(centred - (centred @ axes.T) @ axes, axis=1)
