"""Inner products and distances with embeddings as they are stored: in half precision, without a copy in single.

NumKong's kernels read half the bytes of a float32 matrix product and add up in single precision. A query that is itself
made of such numbers, as every photo's features are, is taken as it is; any other is written as the sum of two, which
together have its 22 leading bits. Each number comes from its two rows alone, whatever stands beside them.

Legend: q queries, g items, d numbers in a vector.
"""

import os
from typing import Literal

import numpy as np

FEW = 8  # queries: from here on, items are brought to single precision, part by part, for a matrix product
PART = 2**22  # numbers that are brought to single precision at a time
MANY = 2**28  # numbers of items from which threads save more time than they take from other searches
NEAR = 0.01  # of the squared lengths: below this share of them, the difference of products would be noise
BITS = 11  # of a half-precision number


def inner_products(queries: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Inner product of each query with each item.

    Args:
        queries: (q, d) float32.
        items: (g, d) float32, or float16 in row order.

    Returns:
        (q, g) float32.
    """
    if items.dtype != np.float16:
        return queries @ items.T
    if len(queries) >= FEW:
        products = np.empty((len(queries), len(items)), np.float32)
        for rows in _parts(items):
            np.matmul(queries, items[rows].astype(np.float32).T, out=products[:, rows])
        return products
    if (halves := _as_halves(queries)) is not None:
        return _kernel("dot", halves, items)
    # The largest number becomes 2^14, so that the second part of smaller ones has its bits as well.
    _, exponent = np.frexp(np.abs(queries).max(axis=1, keepdims=True))
    scaled = np.ldexp(queries, 14 - exponent)
    high = scaled.astype(np.float16)
    low = np.ldexp(scaled - high, BITS).astype(np.float16)
    found = _kernel("dot", np.concatenate([high, low]), items)
    return np.ldexp(found[: len(queries)] + np.ldexp(found[len(queries) :], -BITS), exponent - 14)


def squared_distances(
    queries: np.ndarray, items: np.ndarray, query_squares: np.ndarray, item_squares: np.ndarray
) -> np.ndarray:
    """Squared Euclidean distance of each query and each item.

    Args:
        queries: (q, d) float32.
        items: (g, d) float32, or float16 in row order.
        query_squares: (q,) float32, squared lengths.
        item_squares: (g,) float32.

    Returns:
        (q, g) float32, exact for nearly equal vectors too.
    """
    if items.dtype == np.float16 and len(queries) < FEW and (halves := _as_halves(queries)) is not None:
        return _kernel("sqeuclidean", halves, items)
    both = query_squares[:, None] + item_squares
    squared = both - 2 * inner_products(queries, items)
    rows, columns = np.nonzero(squared < NEAR * both)
    for start in range(0, len(rows), FEW * FEW):
        part = slice(start, start + FEW * FEW)
        squared[rows[part], columns[part]] = ((queries[rows[part]] - items[columns[part]]) ** 2).sum(axis=1)
    return squared


def _as_halves(queries: np.ndarray) -> np.ndarray | None:
    """The same numbers in half precision; None where they are not the same."""
    with np.errstate(over="ignore"):
        halves = queries.astype(np.float16)
    return halves if (halves == queries).all() else None


def _kernel(metric: Literal["dot", "sqeuclidean"], queries: np.ndarray, items: np.ndarray) -> np.ndarray:
    import numkong

    threads = (os.cpu_count() or 1) if items.size >= MANY else 1
    # In the type that it gives by itself: any other takes thirty times as long.
    return np.asarray(numkong.cdist(queries, items, metric, threads=threads)).astype(np.float32)


def _parts(items: np.ndarray) -> list[slice]:
    step = max(1, PART // max(1, items.shape[1]))
    return [slice(start, start + step) for start in range(0, len(items), step)]
