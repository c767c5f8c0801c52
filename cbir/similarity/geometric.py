"""Similarity by the geometry of embeddings: nothing learned from clothes.

Legend: n photos, q queries, g gallery items, d numbers in an embedding.
"""

import numpy as np

from cbir.features import Features, unit


def encode_cosine(features: Features, model: None) -> np.ndarray:
    """Unit embeddings: (n, d) float32."""
    return unit(features.embedding)


def compare_cosine(queries: np.ndarray, gallery: np.ndarray, model: None, task: str) -> np.ndarray:
    """Cosine: (q, d) and (g, d) -> (q, g) float32."""
    return queries @ gallery.T


def encode_euclidean(features: Features, model: None) -> np.ndarray:
    """Raw embeddings: (n, d) float32."""
    return features.embedding


def compare_inverse_euclidean(queries: np.ndarray, gallery: np.ndarray, model: None, task: str) -> np.ndarray:
    """1 / (1 + Euclidean distance): (q, d) and (g, d) -> (q, g) float32."""
    # |a - b|^2 by a matrix product, in double precision: in single, nearly equal photos would cancel to noise.
    a, b = queries.astype(np.float64), gallery.astype(np.float64)
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return (1 / (1 + np.sqrt(np.maximum(squared, 0)))).astype(np.float32)
