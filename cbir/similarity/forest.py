"""Random Forests over pairs, walked for one query and many items at once.

A tree asks about numbers of a pair: (a - b)^2 or a b, at one place. Once the query a is fixed, each such question is
whether the item's own number b lies in an interval, so that no features of pairs are ever written down. The items
that reach a node are parted by it, in one run along a column (cf. Lucchese et al., QuickScorer, SIGIR 2015, which also
turns trees into tests by column).

Intervals are exact: their ends are the last numbers for which the question, worked out in single precision, is
answered alike. So scores do not differ from those of the features written down.

Legend: g items, d numbers in an embedding, c columns that a forest asks about, n nodes of all its trees.
"""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cbir.graphs import Trees
from cbir.progress import in_parts

BLOCK = 16_384  # items that are parted together, at most
LEAST_BLOCK = 4096  # fewer are not worth a thread


def asked_columns(forests: Iterable[Trees]) -> np.ndarray:
    """Places of the embedding that any of the forests over pairs asks about, ascending: (c,) int."""
    return np.unique(np.concatenate([f.feature[f.left >= 0] % (f.width // 2) for f in forests]))


def ordered(values: np.ndarray) -> np.ndarray:
    """Whole numbers that are in order as the given ones are: float32 -> int32 of the same shape."""
    bits = np.ascontiguousarray(values, np.float32).view(np.int32)
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)


def lay_out(embedding: np.ndarray, lengths: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Unit vectors, as `ordered`, at some places.

    Args:
        embedding: (g, d) float32 or float16.
        lengths: (g,) float32, of the rows.
        columns: (c,) int.

    Returns:
        (g, c) int32 whose columns lie side by side in memory.
    """
    table = np.empty((len(columns), len(embedding)), np.int32)
    for rows in in_parts(len(embedding), LEAST_BLOCK, "laying out numbers for forests"):
        units = embedding[rows].astype(np.float32, copy=False) / lengths[rows, None]
        table[:, rows] = ordered(units[:, columns]).T
    return table.T


def score_few(trees: Trees, query: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Scores a few items (g, d) float32 for one query, one after the other: as `score_items`."""
    from cbir.similarity.walk import follow

    scores = np.empty(len(items), np.float32)
    follow(query, items, trees.roots, trees.feature, trees.threshold, trees.left, trees.right, trees.value, scores)
    return scores


def score_items(trees: Trees, query: np.ndarray, table: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Scores items for one query.

    Args:
        trees: a forest over the 2d features of pairs, squared differences before products.
        query: (d,) float32, a.
        table: (c, g) int32 from `ordered`, of the items' numbers at `columns`.
        columns: (c,) int, ascending, at least those of `asked_columns`.

    Returns:
        (g,) float32, each score independent of the other items.
    """
    from cbir.similarity.walk import intervals, walk

    n_items = table.shape[1]
    column = np.where(trees.left >= 0, np.searchsorted(columns, trees.feature % len(query)), 0).astype(np.int32)
    first, last = intervals(query, trees.feature, trees.threshold, trees.left)
    scores = np.empty(n_items, np.float32)
    threads = os.cpu_count() or 1
    step = min(BLOCK, max(LEAST_BLOCK, -(-n_items // threads)))

    def part(start: int) -> None:
        items = slice(start, start + step)
        walk(table[:, items], trees.roots, column, first, last, trees.left, trees.right, trees.value, scores[items])

    starts = range(0, n_items, step)
    if len(starts) <= 1:
        part(0)
    else:
        with ThreadPoolExecutor(min(len(starts), threads)) as pool:
            list(pool.map(part, starts))
    return scores
