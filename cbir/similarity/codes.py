"""Codes: what methods compare, worked out once per photo; and how the scores of labels become that of a task.

Legend: n photos, d numbers in an embedding, q queries, g gallery items.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

# Arrays of n rows each. Embeddings stand in them as they are stored, not as copies, so that those of a gallery are in
# memory once, whatever the number of methods.
Codes: TypeAlias = tuple[np.ndarray, ...]
ROWS = 4096  # at a time: bounds memory


def take(codes: Codes, rows: np.ndarray | slice) -> Codes:
    """The codes of some photos."""
    return tuple(part[rows] for part in codes)


def single(vectors: np.ndarray) -> np.ndarray:
    """As float32: products of half precision would overflow."""
    return vectors.astype(np.float32, copy=False)


def by_row(function: Callable[[np.ndarray], np.ndarray], vectors: np.ndarray) -> np.ndarray:
    """A function of the rows of (n, d), as float32, some at a time."""
    starts = range(0, max(len(vectors), 1), ROWS)
    return np.concatenate([function(single(vectors[start : start + ROWS])) for start in starts])


def lengths(vectors: np.ndarray) -> np.ndarray:
    """Lengths of the rows of (n, d), never 0: (n,) float32."""
    return by_row(lambda rows: np.maximum(np.linalg.norm(rows, axis=1), 1e-12), vectors)


def weighed(by_label: Mapping[str, np.ndarray], color_weight: float) -> np.ndarray:
    """The score of a task from those of its labels, each (q, g).

    Of type and color it is type^(2 (1 - w)) * color^(2 w), w being the weight of the color, 0 to 1: a half gives the
    product of both, 0 ranks by the type alone, 1 by the color alone.
    """
    if len(by_label) == 1:
        (score,) = by_label.values()
        return score
    return by_label["type"] ** (2 - 2 * color_weight) * by_label["color"] ** (2 * color_weight)
