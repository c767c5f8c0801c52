"""Fits the map of a gallery: see `cbir.map`."""

import numpy as np

from cbir.features import Features
from cbir.map import GalleryMap, log_posteriors
from cbir.similarity.attributes import AttributeModel


def fit_map(features: Features, attributes: AttributeModel) -> GalleryMap:
    """Fits two axes on photos of the train side. Their signs are fixed: the largest number of an axis is positive."""
    x = log_posteriors(features, attributes)
    mean = x.mean(axis=0)
    axes = np.linalg.svd(x - mean, full_matrices=False)[2][:2]
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])[:, None]
    return GalleryMap(mean.astype(np.float32), axes.astype(np.float32))
