"""Colour descriptor of a garment photo: a coarse RGB histogram under a centre prior."""

import numpy as np
from PIL import Image

COLOR_DIM = 27
COLOR_VERSION = 0


def describe_color(image: Image.Image) -> np.ndarray:
    """Describes the colours of an RGB photo: (COLOR_DIM,) float32."""
    cells = np.asarray(image.resize((32, 32)), int) * 3 // 256
    bins = (cells @ np.array([9, 3, 1])).ravel()
    weights = np.exp(-((np.indices((32, 32)) - 15.5) ** 2).sum(axis=0) / 200).ravel()
    return np.sqrt(np.bincount(bins, weights, COLOR_DIM) / weights.sum()).astype(np.float32)
