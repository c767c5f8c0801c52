"""Color descriptor of a garment photo: soft color histograms over the places where the garment probably is.

ImageNet embeddings know the type of a garment and hardly its color, so color brings its own evidence.

1. The photo is shrunk, without keeping its shape, to SIDE x SIDE pixels and converted from sRGB
   (IEC 61966-2-1) to CIE L*a*b* (CIE 15, D65 white). The formulae are written out: they give floats, where
   Pillow's LAB mode rounds to 8 bits and needs an ICC transform.
2. Two guesses of what is background. By path: the geodesic distance to the border, the least sum of color
   steps on the way (Wei et al., "Geodesic saliency using background priors", 2012). By color: how common a
   pixel's color is along the border. Their geometric mean, times a centre prior, is the garment weight.
3. Each pixel votes softly, by linear interpolation, for bins of grey level, or of hue, chroma and lightness.
4. The votes are averaged over regions, most of which are parts of the garment. Square roots of the shares
   (the Hellinger map) make linear models and Euclidean distances treat rare colors fairly. Means and
   standard deviations of L*, a*, b* are added.

Legend: s = SIDE, m = MASK_SIDE, b = BINS, r = number of regions.
"""

from functools import lru_cache

import numpy as np
from PIL import Image
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

SIDE = 64  # pixels that vote: fine enough to keep the colors of checks and prints apart
MASK_SIDE = 32  # pixels of the background guesses
GREYS, HUES, CHROMAS, LIGHTNESSES = 8, 12, 2, 4
BINS = GREYS + HUES * CHROMAS * LIGHTNESSES
REGIONS = ("whole", "centre", "garment", "upper", "middle", "lower", "by path", "by color", "border")
COLOR_DIM = len(REGIONS) * (BINS + 6)
COLOR_VERSION = 1  # to be raised whenever the numbers change: stored descriptors depend on it

_RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_D65 = np.array([0.95047, 1.0, 1.08883])


def describe_color(image: Image.Image) -> np.ndarray:
    """Describes the colors of the garment in an RGB photo.

    Returns:
        (COLOR_DIM,) float32, finite; the same for the same pixels.
    """
    lab = rgb_to_lab(np.asarray(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)))
    weights = _region_weights(lab)  # (r, s*s), rows sum to about 1
    pixels = lab.reshape(-1, 3)
    shares = _soft_shares(weights, pixels)  # (r, b)
    mean = weights @ pixels
    deviation = np.sqrt(np.maximum(weights @ pixels**2 - mean**2, 0))
    parts = (np.sqrt(shares), mean / 100, deviation / 100)
    return np.concatenate([part.ravel() for part in parts]).astype(np.float32)


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """Converts sRGB bytes to CIE L*a*b*, D65. (..., 3) uint8 -> (..., 3) float32."""
    xyz = _linear_light()[rgb] @ (_RGB_TO_XYZ / _D65[:, None]).T.astype(np.float32)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


@lru_cache(maxsize=1)
def _linear_light() -> np.ndarray:
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


def bin_votes(lab: np.ndarray) -> np.ndarray:
    """The votes of colors for bins: (n, 3) CIE L*a*b* -> (n, b) float32, rows summing to 1."""
    pixels = np.asarray(lab, np.float32)
    chunks = range(0, len(pixels), 256)
    return np.concatenate(
        [_soft_shares(np.eye(len(part), dtype=np.float32), part) for part in (pixels[i : i + 256] for i in chunks)]
    )


def bin_shares(color: np.ndarray, region: str) -> np.ndarray:
    """The shares of bins in a region of n photos: descriptors (n, COLOR_DIM) -> (n, b) float64."""
    start = REGIONS.index(region) * BINS
    return color[:, start : start + BINS].astype(np.float64) ** 2


def pixel_moments(color: np.ndarray, region: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of L*, a*, b* in a region of n photos: (n, COLOR_DIM) -> two of (n, 3) float64."""
    start = len(REGIONS) * BINS + 3 * REGIONS.index(region)
    mean, deviation = (color[:, at : at + 3].astype(np.float64) for at in (start, start + 3 * len(REGIONS)))
    return 100 * mean, 100 * deviation


def _soft_shares(weights: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Shares of bins in the votes of n Lab pixels: (r, n) and (n, 3) -> (r, b); each pixel's votes sum to 1."""
    lightness, a, b = pixels.T
    chroma = np.hypot(a, b)
    hue = np.arctan2(b, a) / (2 * np.pi) * HUES % HUES
    grey = 1 / (1 + np.exp((chroma - 11) / 2.5))
    by_grey = grey * _interpolate(lightness / 100, GREYS)
    by_chroma = (1 - grey) * _interpolate((chroma - 15) / 40, CHROMAS)
    by_lightness = _interpolate((lightness - 15) / 65, LIGHTNESSES)
    turn = np.abs(hue - np.arange(HUES, dtype=np.float32)[:, None])
    by_hue = np.maximum(1 - np.minimum(turn, HUES - turn), 0)
    # Hues are summed over by a matrix product: the votes for all bins, written out, take three times as long.
    by_chroma_lightness = (by_chroma[:, None] * by_lightness).reshape(CHROMAS * LIGHTNESSES, -1)
    joint = (weights[:, None] * by_chroma_lightness).reshape(-1, len(pixels)) @ by_hue.T
    return np.concatenate([weights @ by_grey.T, joint.reshape(len(weights), -1)], axis=1)


def _interpolate(value: np.ndarray, bins: int) -> np.ndarray:
    """Linear shares of a value in 0..1 (clipped) among evenly spaced bins: (n,) -> (bins, n)."""
    position = np.clip(value, 0, 1) * (bins - 1)
    return np.maximum(1 - np.abs(position - np.arange(bins, dtype=np.float32)[:, None]), 0)


def _region_weights(lab: np.ndarray) -> np.ndarray:
    """Weight of each pixel in each region: (s, s, 3) -> (r, s*s) float32."""
    step = SIDE // MASK_SIDE
    small = lab.reshape(MASK_SIDE, step, MASK_SIDE, step, 3).mean(axis=(1, 3))
    y, x = np.mgrid[-1 : 1 : MASK_SIDE * 1j, -1 : 1 : MASK_SIDE * 1j]
    centre = np.exp(-(x**2) / (2 * 0.45**2) - y**2 / (2 * 0.6**2))
    path = centre * (1 - np.exp(-_border_distance(small) / 12))
    color = centre * np.exp(-12 * _border_likeness(small))
    regions = {
        "whole": np.ones_like(centre),
        "centre": centre,
        "garment": np.sqrt(path * color) + 1e-4 * centre,
        "upper": path * (y < -0.2),
        "middle": path * (np.abs(y) <= 0.3),
        "lower": path * (y > 0.2),
        "by path": path,
        "by color": color,
        "border": (np.maximum(np.abs(x), np.abs(y)) > 0.9).astype(float),
    }
    weights = np.stack([regions[name] for name in REGIONS]).repeat(step, axis=1).repeat(step, axis=2)
    weights = weights.reshape(len(REGIONS), -1)
    return (weights / (weights.sum(axis=1, keepdims=True) + 1e-3)).astype(np.float32)


def _border_likeness(lab: np.ndarray) -> np.ndarray:
    """How much of the border has about a pixel's color, 0..1: (m, m, 3) -> (m, m)."""
    pixels = lab.reshape(-1, 3)
    border = pixels[_grid()[2]]
    squared = (pixels**2).sum(axis=1)[:, None] + (border**2).sum(axis=1) - 2 * pixels @ border.T
    return np.exp(-np.maximum(squared, 0) / (2 * 10**2)).mean(axis=1).reshape(lab.shape[:2])


def _border_distance(lab: np.ndarray) -> np.ndarray:
    """Least sum of color steps from the border to each pixel, small ones free: (m, m, 3) -> (m, m)."""
    source, target, border = _grid()
    pixels = lab.reshape(-1, 3)
    outside = len(pixels)  # one more node, beside every border pixel
    steps = np.maximum(np.linalg.norm(pixels[source] - pixels[target], axis=1) - 3, 0) + 0.05
    graph = csr_array(
        (
            np.concatenate([steps, np.full(len(border), 0.01)]),
            (np.concatenate([source, np.full(len(border), outside)]), np.concatenate([target, border])),
        ),
        shape=(outside + 1, outside + 1),
    )
    return dijkstra(graph, directed=False, indices=outside)[:outside].reshape(lab.shape[:2])


@lru_cache(maxsize=1)
def _grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of neighbouring pixels, diagonals included, and the border pixels, of a MASK_SIDE grid."""
    node = np.arange(MASK_SIDE**2).reshape(MASK_SIDE, MASK_SIDE)
    edges = (
        (node[:, :-1], node[:, 1:]),
        (node[:-1], node[1:]),
        (node[:-1, :-1], node[1:, 1:]),
        (node[1:, :-1], node[:-1, 1:]),
    )
    border = np.unique(np.concatenate([node[0], node[-1], node[:, 0], node[:, -1]]))
    source, target = (np.concatenate([pair[end].ravel() for pair in edges]) for end in (0, 1))
    return source, target, border
