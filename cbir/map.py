"""A map of a gallery: photos that show the same lie side by side.

The first two principal components of the log-probabilities of types and colors. They are fitted once, at training, on
train photos; a bundle keeps them, so that any photo, also a query from outside, has its place.

Legend: n photos, p classes of all labels.
"""

from typing import Any

import numpy as np

from cbir.features import Features
from cbir.similarity import Model, attribute_posteriors

LEAST_PROBABILITY = 1e-4  # below, a class is ruled out, and how far hardly matters


def fit_map(features: Features, model: Model) -> dict[str, Any]:
    """Fits the two axes.

    Args:
        features: of n photos of the train side.
        model: any learned method's, see `cbir.similarity.attribute_posteriors`.

    Returns:
        "mean" (p numbers) and "axes" (2 x p numbers), for `map_positions`, as JSON. Their signs are fixed: the largest
        number of an axis is positive.
    """
    x = _log_posteriors(features, model)
    mean = x.mean(axis=0)
    axes = np.linalg.svd(x - mean, full_matrices=False)[2][:2]
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    return {"mean": mean.round(5).tolist(), "axes": axes.round(5).tolist()}


def map_positions(features: Features, model: Model, axes: dict[str, Any]) -> np.ndarray:
    """Places of n photos: (n, 2) float64, in natural logarithms of probability."""
    return (_log_posteriors(features, model) - np.array(axes["mean"])) @ np.array(axes["axes"]).T


def _log_posteriors(features: Features, model: Model) -> np.ndarray:
    posteriors = np.concatenate(list(attribute_posteriors(features, model).values()), axis=1)
    return np.log(posteriors.astype(np.float64) + LEAST_PROBABILITY)
