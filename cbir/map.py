"""A map of a gallery: photos that show the same lie side by side.

The first two principal components of the log-probabilities of types and colors. They are fitted once, on train photos
(`train.fit.map`); a bundle keeps them, so that any photo, also a query from outside, has its place.

Legend: n photos, p classes of all labels.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from cbir.features import Features
from cbir.similarity.attributes import AttributeModel, encode_posteriors
from cbir.storage import Shape

LEAST_PROBABILITY = 1e-4  # below, a class is ruled out, and how far hardly matters


@dataclass(frozen=True)
class GalleryMap:
    """Two axes.

    Attributes:
        mean: (p,) float32, of log-probabilities.
        axes: (2, p) float32.
    """

    mean: Annotated[np.ndarray, Shape("p")]
    axes: Annotated[np.ndarray, Shape(2, "p")]

    def positions(self, features: Features, attributes: AttributeModel) -> np.ndarray:
        """Places of n photos: (n, 2) float64, in natural logarithms of probability."""
        return (log_posteriors(features, attributes) - self.mean) @ self.axes.T


def log_posteriors(features: Features, attributes: AttributeModel) -> np.ndarray:
    """Log-probabilities of all classes, floored: (n, p) float64."""
    return np.log(encode_posteriors(features, attributes)[0].astype(np.float64) + LEAST_PROBABILITY)
