"""Labelled image pairs, and splits that keep every photo on one side.

Legend: n photos, m pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cbir.errors import DataError
from cbir.features import NEAR_DUPLICATE, unit
from cbir.labels import LABELS
from cbir.progress import in_parts

PAIRS_PER_TASK = 5_692  # the published protocol: 11,384 pairs over two tasks


@dataclass(frozen=True)
class Pairs:
    """m pairs of photos.

    Attributes:
        left: (m,) int, row of one photo.
        right: (m,) int, row of the other.
        same: (m,) bool, whether their labels agree.
    """

    left: np.ndarray
    right: np.ndarray
    same: np.ndarray

    def __len__(self) -> int:
        return len(self.same)

    @staticmethod
    def concatenate(parts: list["Pairs"]) -> "Pairs":
        """Joins pairs over the same photos, in order."""
        return Pairs(*(np.concatenate([getattr(part, f) for part in parts]) for f in ("left", "right", "same")))


def check_pairs(labels: Mapping[str, np.ndarray], rows: np.ndarray, photos: str) -> None:
    """Checks that `sample_pairs` finds pairs for each label.

    Args:
        labels: label columns, each (n,) str, "" where unknown.
        rows: those of the photos to pair: (n,) bool, or their numbers.
        photos: what the message calls them.

    Raises:
        DataError: it finds none.
    """
    for name in LABELS:
        column = labels[name][rows]
        classes, counts = np.unique(column[column != ""], return_counts=True)
        if len(classes) < 2 or counts.max() < 2:
            raise DataError(
                f"expected {photos} of at least two classes of {name}, and two photos of one of these, got "
                f"{counts.sum()} with a known {name} ({', '.join(classes) or 'none'}): add photos"
            )


def check_labels(labels: Mapping[str, np.ndarray]) -> None:
    """Checks, before any photo is read, that pairs can be made of test photos and of others: see `check_pairs`.

    Raises:
        DataError: however the photos are divided, one side lacks pairs.
    """
    for name in LABELS:
        column = labels[name]
        classes, counts = np.unique(column[column != ""], return_counts=True)
        if len(classes) < 2 or counts.sum() < 6 or counts.max() < 2 or (len(classes) == 2 and counts.min() < 2):
            found = ", ".join(f"{one} {n}" for one, n in zip(classes, counts, strict=True)) or "none"
            raise DataError(
                f"expected at least six photos of a known {name}, of at least two classes with two photos each, got "
                f"{counts.sum()} ({found}): name folders by color and type, or add a table of labels (docs/photos.md)"
            )


def sample_pairs(labels: np.ndarray, count: int, seed: int) -> Pairs:
    """Samples labelled pairs, half of them positive.

    The first photo is drawn uniformly, its partner uniformly among the others of the same label (positive) or of
    other labels (negative). No unordered pair comes twice; a small set of photos may thus give fewer than asked.

    Args:
        labels: (n,) str, "" where unknown: such photos are in no pair.
        count: pairs wanted in all.
        seed: makes the draw repeatable.

    Returns:
        At most `count` pairs, as many positive as negative.
    """
    rng = np.random.default_rng(seed)
    known = np.flatnonzero(labels != "")
    of_label = {label: known[labels[known] == label] for label in np.unique(labels[known])}
    others = {label: known[labels[known] != label] for label in of_label}
    positive = _draw(rng, known, labels, of_label, count // 2)
    negative = _draw(rng, known, labels, others, count // 2)
    half = min(len(positive), len(negative))
    pairs = np.concatenate([positive[:half], negative[:half]])
    return Pairs(pairs[:, 0], pairs[:, 1], np.arange(2 * half) < half)


def _draw(
    rng: np.random.Generator, known: np.ndarray, labels: np.ndarray, partners: dict[str, np.ndarray], count: int
) -> np.ndarray:
    """Draws up to `count` distinct unordered pairs (left, right): at most (count, 2) int."""
    pairs = np.empty((0, 2), int)
    # Where few distinct pairs exist, most draws repeat one: stop after as many draws as would find nearly all.
    for _ in range(20):
        if len(pairs) == count or not len(known):
            break
        left = rng.choice(known, count)
        right = left.copy()
        for label, candidates in partners.items():
            rows = np.flatnonzero(labels[left] == label)
            if len(candidates):
                right[rows] = rng.choice(candidates, len(rows))
        drawn = np.sort(np.stack([left, right], axis=1)[left != right], axis=1)
        pairs = np.concatenate([pairs, drawn])
        _, first = np.unique(pairs @ (len(labels), 1), return_index=True)  # one number a pair: quicker than rows
        pairs = pairs[np.sort(first)][:count]
    return pairs


def near_duplicate_groups(embeddings: np.ndarray, threshold: float = NEAR_DUPLICATE) -> np.ndarray:
    """Groups photos that show the same picture, exactly or nearly.

    Two photos are near duplicates when the cosine of their embeddings reaches the threshold; groups are the
    connected components.

    Args:
        embeddings: (n, d) float32.
        threshold: least cosine of near duplicates.

    Returns:
        (n,) int, group number of each photo.
    """
    n = len(embeddings)
    directions = unit(embeddings)
    left, right = [], []
    for part in in_parts(n, 1024, "looking for near duplicates"):
        rows, columns = np.nonzero(directions[part] @ directions.T >= threshold)
        left.append(rows + part.start)
        right.append(columns)
    edges = (np.concatenate(left), np.concatenate(right)) if n else (np.empty(0, int), np.empty(0, int))
    _, groups = connected_components(coo_array((np.ones(len(edges[0]), bool), edges), shape=(n, n)), directed=False)
    return groups


def split_by_group(groups: np.ndarray, test_share: float, seed: int) -> np.ndarray:
    """Splits photos into train and test, each group on one side.

    Args:
        groups: (n,) int, e.g. of `near_duplicate_groups`.
        test_share: share of the groups that go to the test side.
        seed: makes the split repeatable.

    Returns:
        (n,) bool, true for the test side.
    """
    unique = np.unique(groups)
    chosen = np.random.default_rng(seed).permutation(unique)[: round(test_share * len(unique))]
    return np.isin(groups, chosen)
