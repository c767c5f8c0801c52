"""Fits what tells photos of clothes from other pictures: see `cbir.familiarity`.

Legend: n photos, d numbers in an embedding, k axes.
"""

import numpy as np

from cbir.familiarity import Familiarity, axes_score
from cbir.features import Features, unit

AXES = 32  # any number from 8 to 64 tells photos of clothes from others about as well
ACCEPTED = 0.95  # least share of photos of clothes that the threshold accepts
REJECTED = 0.99  # share of pictures without clothes that it rejects, where both can be had
FOLDS = 3


def fit_familiarity(clothes: Features, others: Features, seed: int) -> Familiarity:
    """Learns the axes along which photos of clothes differ, and the threshold below which a photo shows none.

    The threshold is the lowest that rejects `REJECTED` of the other pictures: photos of clothes in another style than
    those fitted on should pass. Where that would reject more than 1 - `ACCEPTED` of the clothes, scored by axes that
    were fitted without them, it is lowered until it does not.

    Args:
        clothes: of at least `FOLDS` photos, all of the train side.
        others: of pictures that show no clothes.
        seed: deals the photos into folds.
    """
    folds = np.random.default_rng(seed).permutation(len(clothes)) % FOLDS
    unseen = np.concatenate(
        [axes_score(clothes.take(folds == k), *_fit_axes(clothes.take(folds != k))) for k in range(FOLDS)]
    )
    mean, axes = _fit_axes(clothes)
    accepts_from = float(np.quantile(unseen, 1 - ACCEPTED))
    return Familiarity(mean, axes, threshold(axes_score(others, mean, axes), accepts_from), accepts_from)


def threshold(others: np.ndarray, accepts_from: float) -> float:
    """The threshold by the rule of `fit_familiarity`.

    Args:
        others: (n,) familiarity of pictures that show no clothes.
        accepts_from: the highest threshold that accepts enough clothes.
    """
    return min(float(np.quantile(others, REJECTED)), accepts_from)


def _fit_axes(clothes: Features) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and principal axes (k, d) of unit embeddings."""
    vectors = unit(clothes.embedding)
    mean = vectors.mean(axis=0)
    # Eigenvectors of the scatter, in double precision: (d, d), whatever the number of photos.
    scatter = (vectors - mean).T.astype(np.float64) @ (vectors - mean)
    axes = np.linalg.eigh(scatter)[1][:, ::-1][:, : min(AXES, len(vectors) - 1)].T
    # The sign of an axis is arbitrary: its largest number is made positive, so that equal photos give equal files.
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    return mean, np.ascontiguousarray(axes, np.float32)
