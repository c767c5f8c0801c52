"""Similarity by the geometry of embeddings: nothing learned from clothes.

Legend: n photos, q queries, g gallery items, d numbers in an embedding.
"""

import numpy as np

from cbir.features import Features
from cbir.labels import Task
from cbir.similarity.codes import Codes, by_row, lengths, single
from cbir.similarity.products import inner_products, squared_distances


def encode_cosine(features: Features, model: None) -> Codes:
    """Embeddings (n, d) and their lengths (n,)."""
    return features.embedding, lengths(features.embedding)


def compare_cosine(queries: Codes, gallery: Codes, model: None, task: Task, color_weight: float) -> np.ndarray:
    """Cosine: (q, g) float32."""
    (q, q_lengths), (x, x_lengths) = queries, gallery
    return inner_products(single(q), x) / q_lengths[:, None] / x_lengths


def encode_euclidean(features: Features, model: None) -> Codes:
    """Embeddings (n, d) and their squared lengths (n,)."""
    embedding = features.embedding
    return embedding, by_row(lambda rows: np.einsum("nd,nd->n", rows, rows), embedding)


def compare_inverse_euclidean(
    queries: Codes, gallery: Codes, model: None, task: Task, color_weight: float
) -> np.ndarray:
    """1 / (1 + Euclidean distance): (q, g) float32."""
    (q, q_squared), (x, x_squared) = queries, gallery
    return 1 / (1 + np.sqrt(squared_distances(single(q), x, q_squared, x_squared)))
