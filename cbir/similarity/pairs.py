"""Methods on pairs of photos.

Legend: m pairs, p numbers that describe a photo.
"""

import numpy as np


def pair_features(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Symmetric features of pairs: squared differences, then products.

    Concatenated vectors would let a linear model see each photo alone but never the pair; these two make a linear
    model an inner product (see `cbir.similarity`).

    Args:
        left: (m, p).
        right: (m, p).

    Returns:
        (m, 2p), equal when left and right change places.
    """
    return np.concatenate([(left - right) ** 2, left * right], axis=1)
