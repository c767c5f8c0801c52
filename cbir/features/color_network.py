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
            BundleError: it is none, or takes and gives something else.
        """
        import onnxruntime

        onnxruntime.set_default_logger_severity(3)
        options = onnxruntime.SessionOptions()
        # More would go on spinning after a run and take the cores from the backbone; and one sums in the same order
        # on every machine.
        options.intra_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            _, channels, height, self._side = self._session.get_inputs()[0].shape
            _, self.dim = self._session.get_outputs()[0].shape
        except Exception as error:  # onnxruntime has many, without a common one of its own
            raise BundleError(f"the color network cannot be loaded ({type(error).__name__}): build it again") from error
        if (channels, height) != (3, self._side):
            raise BundleError(f"expected a color network that sees squares of 3 channels, got {channels} x {height}")
        self.graph = graph
        self.fingerprint = hashlib.sha256(graph).hexdigest()

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """What n RGB images of any size show of colors: (n, l) float32, raw."""
        parts = [np.empty((0, self.dim), np.float32)]
        for start in range(0, len(images), BATCH_SIZE):
            pixels = np.stack([letterbox(image, self._side) for image in images[start : start + BATCH_SIZE]])
            batch = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2), np.float32)
            parts.append(self._session.run(["features"], {"pixels": batch})[0])
        return np.concatenate(parts)


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
