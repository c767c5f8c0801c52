"""A color network: tells the colors of garments in photos, learned from photos with labels (`train.fit.color_network`).

A bundle may have one beside its backbone. It is an ONNX graph: nothing runs when that is loaded, and ONNX Runtime needs
a third of torch's time for a network this small, so that a query costs little more than its embedding.

Legend: n images, l numbers that it gives for a photo, s pixels a side of the square that the network sees.
"""

import hashlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from cbir.errors import BundleError
from cbir.graphs import open_network

BATCH_SIZE = 32


class ColorNetwork:
    """A loaded network.

    Attributes:
        graph: the ONNX model: "pixels" (n, 3, s, s) float32, 0 to 255 -> "features" (n, l) float32.
        fingerprint: sha256 of the graph. What it tells of colors compares only where it is equal.
        dim: l.
    """

    def __init__(self, graph: bytes) -> None:
        """Loads a graph.

        Raises:
            BundleError: it is none, takes and gives something else, or is too large; see `open_network`.
        """
        self._session, self._side, self.dim = open_network(graph)
        self.graph = graph
        self.fingerprint = hashlib.sha256(graph).hexdigest()

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """What n RGB images of any size show of colors: (n, l) float32, raw."""
        parts = [np.empty((0, self.dim), np.float32)]
        for start in range(0, len(images), BATCH_SIZE):
            pixels = np.stack([letterbox(image, self._side) for image in images[start : start + BATCH_SIZE]])
            batch = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)
            parts.append(self._session.run(["features"], {"pixels": batch})[0])
        features = np.concatenate(parts)
        if not np.isfinite(features).all():
            raise BundleError("the color network gives numbers that are not finite: build the bundle again")
        return features


def letterbox(image: Image.Image, side: int) -> np.ndarray:
    """Fits an RGB image into the middle of a square, keeping its shape; what lies beside it continues its edge.

    Returns:
        (side, side, 3) uint8.
    """
    scale = side / max(image.size)
    width, height = (max(1, round(length * scale)) for length in image.size)
    small = np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))
    left, top = (side - width) // 2, (side - height) // 2
    return np.pad(small, ((top, side - height - top), (left, side - width - left), (0, 0)), mode="edge")
