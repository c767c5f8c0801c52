"""Resampled test photos, and figures with their replicates.

Legend: q queries, b replicates.
"""

from dataclasses import dataclass

import numpy as np

from cbir.features import Features
from cbir.report import Difference, Estimate
from train.data.split import Pairs, near_duplicate_groups
from train.evaluation.metrics import (
    bootstrap_means,
    bootstrap_pairs,
    difference,
    interval,
    mean_of_known,
    pair_metrics,
    resample,
)


@dataclass(frozen=True)
class Sampled:
    """A figure and its (b,) replicates."""

    value: float
    replicates: np.ndarray

    def estimate(self, is_biased: bool = False) -> Estimate:
        """The figure with its interval; see `interval`."""
        return Estimate(self.value, *interval(self.value, self.replicates, is_biased))

    def minus(self, other: "Sampled") -> Difference:
        """The difference to another figure of the same resamples."""
        return difference(self.value - other.value, self.replicates - other.replicates)


@dataclass(frozen=True)
class Resamples:
    """Resampled test photos.

    Attributes:
        clusters: (q,) int, of near duplicates.
        drawn: (b, q) float32, from `resample`.
    """

    clusters: np.ndarray
    drawn: np.ndarray

    @staticmethod
    def of(features: Features, replicates: int, seed: int) -> "Resamples":
        """Draws groups of near duplicates."""
        clusters = near_duplicate_groups(features.embedding)
        return Resamples(clusters, resample(clusters, replicates, seed))

    def pairs(self, scores: np.ndarray, pairs: Pairs, is_probability: bool) -> dict[str, Sampled]:
        """`pair_metrics` with their replicates."""
        values = pair_metrics(scores, pairs.same, is_probability)
        replicates = bootstrap_pairs(
            scores, pairs.same, pairs.left, pairs.right, self.clusters, self.drawn, is_probability
        )
        return {name: Sampled(value, replicates[name]) for name, value in values.items()}

    def means(self, values: np.ndarray, rows: np.ndarray | slice = slice(None)) -> Sampled:
        """The mean of (q,) values over some queries, with its replicates."""
        chosen = values[rows]
        return Sampled(mean_of_known(chosen), bootstrap_means(chosen, self.drawn[:, rows]))
