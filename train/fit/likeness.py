"""Fits the likeness: see `cbir.similarity.likeness`.

Legend: n photos, m views, x numbers of all parts of the features, r principal axes, k axes that are kept.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from sklearn.decomposition import PCA

from cbir.features import Features, unit
from cbir.labels import LABELS
from cbir.similarity.attributes import Scaler, scaled_parts
from cbir.similarity.likeness import Likeness
from train.fit.views import Views

PART_WEIGHTS = {"embedding": 1.0, "color": 1.0, "learned": 0.5}  # standard deviation of a part, over its dimensions
PRINCIPAL_AXES = 800  # of photos, among which the likeness is sought
AXES = 384  # kept
SHRINKAGE = 0.02  # of the covariance of views, towards a multiple of the identity
FLATTENING = 0.5  # 0: plain whitening by views; 1: all kept axes vary alike among photos
OTHERS = 0.91  # the even likeness is the one that this share of photos does not reach with any photo of other labels
SAMPLE = 4000  # photos that it is told by, at most


def fit_likeness(features: Features, labels: Mapping[str, np.ndarray], views: Views, seed: int) -> Likeness:
    """Fits the likeness on photos and on views of them, all of the train side.

    Args:
        features: of n photos.
        labels: label columns, each (n,) str, "" where unknown.
        views: of some of these photos.
        seed: of random choices.
    """
    scalers = {
        "embedding": _unit_scaler(features.embedding, "embedding"),
        "color": _color_scaler(features.color),
        "learned": _unit_scaler(features.learned, "learned"),
    }
    photos, seen = (scaled_parts(some, **scalers) for some in (features, views.features))
    projection = _projection(photos, seen, photos[views.rows], seed).astype(np.float16)
    likeness = Likeness(**scalers, projection=projection, even=0.0)
    return replace(likeness, even=_even(likeness.codes(features), labels, seed))


def _unit_scaler(vectors: np.ndarray, name: str) -> Scaler:
    vectors = unit(vectors)
    scale = (np.sqrt(vectors.var(axis=0).sum(keepdims=True)) + 1e-9) / PART_WEIGHTS[name]
    return Scaler(vectors.mean(axis=0).astype(np.float32), scale.astype(np.float32))


def _color_scaler(vectors: np.ndarray) -> Scaler:
    scale = (vectors.std(axis=0) + 1e-3) * np.sqrt(vectors.shape[1]) / PART_WEIGHTS["color"]
    return Scaler(vectors.mean(axis=0).astype(np.float32), scale.astype(np.float32))


def _projection(photos: np.ndarray, views: np.ndarray, shown: np.ndarray, seed: int) -> np.ndarray:
    """The axes along which photos differ the most, compared with views of one photo.

    Within principal axes of the photos, with B their covariance and W that of (view - photo), shrunk: the eigenvectors
    of W^-1/2 B W^-1/2 of the largest values v, each divided by v^(FLATTENING / 2), so that the largest, which tell
    backgrounds and types apart, do not drown the rest.

    Args:
        photos: (n, x).
        views: (m, x).
        shown: (m, x), the photo that each view shows.
        seed: of the search for principal axes.

    Returns:
        (x, k) float64.
    """
    n_axes = min(PRINCIPAL_AXES, photos.shape[1], len(photos) - 1)
    principal = PCA(n_axes, svd_solver="randomized", random_state=seed).fit(photos)
    values, vectors = principal.explained_variance_, principal.components_.T
    change = (views - shown) @ vectors
    within = change.T @ change / len(change)
    within = (1 - SHRINKAGE) * within + SHRINKAGE * np.trace(within) / n_axes * np.eye(n_axes)
    spread, axes = np.linalg.eigh(within)
    whiten = (axes / np.sqrt(spread)) @ axes.T
    found, axes = np.linalg.eigh(whiten @ (values[:, None] * whiten))
    found, axes = found[::-1][:AXES], axes[:, ::-1][:, :AXES]
    # The sign of an axis is arbitrary: its largest number is made positive, so that equal photos give equal files.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    return vectors @ whiten @ axes * np.maximum(found, 1e-9) ** (-FLATTENING / 2)


def _even(codes: np.ndarray, labels: Mapping[str, np.ndarray], seed: int) -> float:
    """The likeness from which photos more probably show the same garment: see `OTHERS`."""
    known = np.flatnonzero(np.logical_and.reduce([labels[name] != "" for name in LABELS]))
    chosen = np.random.default_rng(seed).permutation(known)[:SAMPLE]
    found = codes[chosen] @ codes[chosen].T
    differ = np.logical_or.reduce([labels[name][chosen][:, None] != labels[name][chosen] for name in LABELS])
    return float(np.quantile(np.where(differ, found, -1).max(axis=1), OTHERS))
