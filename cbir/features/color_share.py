"""How much of a garment has a color, estimated from the color descriptor that is stored of its photo.

A pixel counts as having a color by its CIELAB distance: exp(-distance^2 / (2 WIDTH^2)), and by the nearest shade where
a color has several. The descriptor keeps no pixels, but soft shares of bins (`cbir.features.color_descriptor`). So the
weight of each bin is chosen such that the weighted votes of a pixel come closest to what it counts, over the colors of
the sRGB cube (ridge regression): the weighted shares of a photo's garment then estimate the sum over its pixels.

Bins are coarse: garments that are all near a color have about the same share of it. Which is the nearest, the mean and
the deviation of their pixels tell, which are stored too: `color_nearness`. Which of several colors a garment is made of
is estimated from the bins again: `nearest_shares`.

Legend: n photos, m colors of the cube, k colors that are told apart, s shades, c numbers in a color descriptor,
b = BINS.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy.special import softmax

from cbir.features.color_descriptor import BINS, bin_shares, bin_votes, pixel_moments, rgb_to_lab

REGION = "garment"
WIDTH = 12.0  # CIELAB distance at which a pixel counts .61
NEARNESS_WIDTH = 10.0  # likewise, for nearness
EDGE_WIDTH = 8.0  # of the soft edge between colors that are told apart
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
    return _weighted(color, color_weights(shades)[:, None])[:, 0]


def color_weights(shades: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """What the share of each bin in a garment adds to that of a color: (b,) float64; see `color_share`."""
    lab, solve = _grid()
    wanted = np.array(shades, np.float32).reshape(-1, 3)
    weights = solve @ _counts(lab, wanted)
    return weights / (bin_votes(wanted) @ weights).max()  # bins blur: a garment all of the color should still be 1


def nearest_shares(color: np.ndarray, colors: Sequence[Sequence[tuple[float, float, float]]]) -> np.ndarray:
    """How much of the garments is nearer to one color than to the others.

    Args:
        color: (n, c) float32 or float16, color descriptors.
        colors: the shades of k colors in CIE L*a*b*.

    Returns:
        (n, k) float32, from 0 to 1, rows summing to about 1; each independent of the others.
    """
    lab, solve = _grid()
    squared = np.stack([_squared_distance(lab, np.array(shades, np.float32)) for shades in colors], axis=1)
    return _weighted(color, solve @ softmax(-squared / (2 * EDGE_WIDTH**2), axis=1))


def color_nearness(color: np.ndarray, shades: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """How near garments are to a color on the whole, taking their pixels for normally distributed.

    Args:
        color: (n, c) float32 or float16, color descriptors.
        shades: s colors in CIE L*a*b*: the nearest counts.

    Returns:
        (n,) float32, what a pixel counts on average, as above but for its width: 1 for a garment that is even and just
        of the color.
    """
    mean, deviation = pixel_moments(color, REGION)
    width = NEARNESS_WIDTH**2
    spread = width + deviation**2  # (n, 3): a normal density, averaged over another
    wanted = np.array(shades, np.float64).reshape(-1, 3)
    exponent = ((mean[:, None] - wanted[None]) ** 2 / (2 * spread[:, None])).sum(axis=2).min(axis=1)
    return (np.exp(-exponent) * np.sqrt(width / spread).prod(axis=1)).astype(np.float32)


def _counts(lab: np.ndarray, shades: np.ndarray) -> np.ndarray:
    """What pixels count: (m, 3) and (s, 3) -> (m,) float64."""
    return np.exp(-_squared_distance(lab, shades) / (2 * WIDTH**2))


def _squared_distance(lab: np.ndarray, shades: np.ndarray) -> np.ndarray:
    """To the nearest shade: (m, 3) and (s, 3) -> (m,) float64."""
    return ((lab[:, None].astype(np.float64) - shades[None]) ** 2).sum(axis=2).min(axis=1)


def _weighted(color: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums of the shares of bins: descriptors (n, c) and (b, k) -> (n, k) float32, clipped to 0..1."""
    # Not by a matrix product, whose rounding depends on the other rows.
    chunks = (color[start : start + CHUNK] for start in range(0, len(color), CHUNK))
    sums = [np.einsum("nb,bk->nk", bin_shares(chunk, REGION), weights) for chunk in chunks]
    return np.clip(np.concatenate([np.empty((0, weights.shape[1])), *sums]), 0, 1).astype(np.float32)


@cache
def _grid() -> tuple[np.ndarray, np.ndarray]:
    """The colors of the cube, (m, 3) CIE L*a*b*, and what solves for the weights of bins, (b, m) float64."""
    edge = np.linspace(0, 255, GRID).round().astype(np.uint8)
    lab = rgb_to_lab(np.stack(np.meshgrid(edge, edge, edge), axis=-1).reshape(-1, 3))
    votes = bin_votes(lab).astype(np.float64)
    return lab, np.linalg.solve(votes.T @ votes + RIDGE * np.eye(BINS), votes.T)
