"""What is stored of a photo: its embedding and its colour descriptor, side by side.

ImageNet embeddings know the type of a garment and hardly its colour, so colour brings its own evidence.

Legend: n photos, d numbers in an embedding, c numbers in a colour descriptor.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cbir.backbones import Backbone
from cbir.color import COLOR_DIM, describe_color


@dataclass(frozen=True)
class Features:
    """Features of n photos, in row order.

    Attributes:
        embedding: (n, d) float32, raw.
        color: (n, c) float32, see `cbir.color`.
    """

    embedding: np.ndarray
    color: np.ndarray

    def __post_init__(self) -> None:
        """Raises ValueError where the two do not have the same rows."""
        if self.embedding.ndim != 2 or self.color.ndim != 2 or len(self.embedding) != len(self.color):
            shapes = f"{self.embedding.shape} and {self.color.shape}"
            raise ValueError(f"embedding (n, d) and color (n, c) must have the same n, got shapes {shapes}")

    def __len__(self) -> int:
        return len(self.embedding)

    def take(self, rows: np.ndarray | slice) -> "Features":
        """The features of some rows: integer or boolean indices of numpy, or a slice."""
        return Features(self.embedding[rows], self.color[rows])

    @staticmethod
    def concatenate(parts: Sequence["Features"]) -> "Features":
        """Joins at least one set of features, in order."""
        return Features(
            np.concatenate([part.embedding for part in parts]), np.concatenate([part.color for part in parts])
        )


def extract(images: Sequence[Image.Image], backbone: Backbone) -> Features:
    """Extracts the features of n RGB images.

    Numbers are rounded to half precision, in which bundles store them: a photo has the same features before and after
    it is stored, and as a query.
    """
    color = np.array([describe_color(image) for image in images], np.float32).reshape(-1, COLOR_DIM)
    return Features(_half_precision(backbone.embed(images)), _half_precision(color))


def _half_precision(array: np.ndarray) -> np.ndarray:
    limit = np.finfo(np.float16).max
    return np.clip(array, -limit, limit).astype(np.float16).astype(np.float32)
