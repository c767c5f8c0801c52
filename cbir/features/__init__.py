"""What is stored of a photo: its embedding and what describes its colors, side by side.

ImageNet embeddings know the type of a garment and hardly its color, so color brings its own evidence: a descriptor
(`cbir.features.color_descriptor`) and, where a bundle has one, what its color network learned
(`cbir.features.color_network`).

Legend: n photos, d numbers in an embedding, c numbers in a color descriptor, l numbers of a color network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from cbir.features.backbone import Backbone
from cbir.features.color_descriptor import COLOR_DIM, describe_color
from cbir.features.color_network import ColorNetwork

NEAR_DUPLICATE = 0.97  # least cosine of the embeddings of two photos that show the same picture

_WITHOUT_NETWORK = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class Features:
    """Features of n photos, in row order.

    Attributes:
        embedding: (n, d) float32 or float16, raw. Numbers are rounded to half precision when they are extracted: half
            the memory holds the same.
        color: (n, c) likewise, see `cbir.features.color_descriptor`.
        learned: (n, l) likewise, of the color network; (n, 0) without one, which is the default.
    """

    embedding: np.ndarray
    color: np.ndarray
    learned: np.ndarray = field(default_factory=lambda: _WITHOUT_NETWORK)

    def __post_init__(self) -> None:
        """Raises ValueError where the parts do not have the same rows."""
        if self.learned is _WITHOUT_NETWORK:
            object.__setattr__(self, "learned", np.empty((len(self.embedding), 0), np.float32))
        shapes = [part.shape for part in self._parts()]
        if {len(shape) for shape in shapes} != {2} or len({shape[0] for shape in shapes}) != 1:
            raise ValueError(f"embedding (n, d), color (n, c) and learned (n, l) must have the same n, got {shapes}")

    def __len__(self) -> int:
        return len(self.embedding)

    def take(self, rows: np.ndarray | Sequence[int] | slice) -> "Features":
        """The features of some rows: integer or boolean indices of numpy, or a slice."""
        return Features(*(part[rows] for part in self._parts()))

    def single(self) -> "Features":
        """The same numbers as float32, in which sums do not overflow: what models are fitted on."""
        return Features(*(part.astype(np.float32, copy=False) for part in self._parts()))

    @staticmethod
    def concatenate(parts: Sequence["Features"]) -> "Features":
        """Joins at least one set of features, in order."""
        return Features(*map(np.concatenate, zip(*(part._parts() for part in parts), strict=True)))

    def _parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return self.embedding, self.color, self.learned


def extract(images: Sequence[Image.Image], backbone: Backbone) -> Features:
    """Extracts the features of n RGB images.

    Numbers are rounded to half precision, in which they are stored: a photo has the same features before and after it
    is stored, and as a query.
    """
    return Features(half_precision(backbone.embed(images)), *describe(images, backbone.color_network))


def describe(images: Sequence[Image.Image], color_network: ColorNetwork | None) -> tuple[np.ndarray, np.ndarray]:
    """Color descriptors (n, c) of n RGB images, and what the color network gives, (n, l), rounded likewise, float32."""
    color = np.array([describe_color(image) for image in images], np.float32).reshape(-1, COLOR_DIM)
    learned = extract_learned(images, color_network) if color_network else np.empty((len(images), 0), np.float32)
    return half_precision(color), learned


def extract_learned(images: Sequence[Image.Image], color_network: ColorNetwork) -> np.ndarray:
    """What the color network gives for n RGB images, rounded likewise: (n, l) float32."""
    return half_precision(color_network.embed(images))


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scales rows to length 1; a row of zeros stays zero. (n, d) -> (n, d) float32."""
    vectors = vectors.astype(np.float32, copy=False)  # squares of half precision would overflow
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def half_precision(array: np.ndarray) -> np.ndarray:
    """Rounds numbers to half precision, finite: float32 -> float32."""
    limit = np.finfo(np.float16).max
    return np.clip(array, -limit, limit).astype(np.float16).astype(np.float32)
