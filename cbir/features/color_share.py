"""How much of a garment has a color, estimated from the color descriptor that is stored of its photo.

A pixel counts as having a color by its CIELAB distance: exp(-distance^2 / (2 WIDTH^2)), and by the nearest shade where
a color has several. The descriptor keeps no pixels, but soft shares of bins (`cbir.features.color_descriptor`). So the
weight of each bin is chosen such that the weighted votes of a pixel come closest to what it counts, over the colors of
the sRGB cube (ridge regression): the weighted shares of a photo's garment then estimate the sum over its pixels.

Legend: n photos, m colors, s shades, c numbers in a color descriptor, b = BINS.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

from cbir.features.color_descriptor import BINS, bin_shares, bin_votes, rgb_to_lab

WIDTH = 12.0  # CIELAB distance at which a pixel counts .61
GRID = 17  # colors along each edge of the cube
RIDGE = 0.1
CHUNK = 2**16  # photos at a time: bounds memory


def color_share(color: np.ndarray, shades: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """How much of the garments has a color.

    Args:
        color: (n, c) float32 or float16, color descriptors.
        shades: s colors in CIE L*a*b*: what is near any of them counts.

    Returns:
        (n,) float32, from 0 for none to 1 for all of the garment; each independent of the others.
    """
    lab, solve = _grid()
    wanted = np.array(shades, np.float32).reshape(-1, 3)
    weights = solve @ _counts(lab, wanted)
    weights /= (bin_votes(wanted) @ weights).max()  # bins blur: a garment all of the color should still be 1
    # Not by a matrix product, whose rounding depends on the other rows.
    chunks = (color[start : start + CHUNK] for start in range(0, len(color), CHUNK))
    shares = [np.einsum("nb,b->n", bin_shares(chunk, "garment"), weights) for chunk in chunks]
    return np.clip(np.concatenate([np.empty(0), *shares]), 0, 1).astype(np.float32)


def _counts(lab: np.ndarray, shades: np.ndarray) -> np.ndarray:
    """What pixels count: (m, 3) and (s, 3) -> (m,) float64."""
    squared = ((lab[:, None].astype(np.float64) - shades[None]) ** 2).sum(axis=2).min(axis=1)
    return np.exp(-squared / (2 * WIDTH**2))


@cache
def _grid() -> tuple[np.ndarray, np.ndarray]:
    """The colors of the cube, (m, 3) CIE L*a*b*, and what solves for the weights of bins, (b, m) float64."""
    edge = np.linspace(0, 255, GRID).round().astype(np.uint8)
    lab = rgb_to_lab(np.stack(np.meshgrid(edge, edge, edge), axis=-1).reshape(-1, 3))
    votes = bin_votes(lab).astype(np.float64)
    return lab, np.linalg.solve(votes.T @ votes + RIDGE * np.eye(BINS), votes.T)
