"""How good scores are: on labelled pairs, and as rankings.

Legend: m pairs, q queries, g gallery items.
"""

import numpy as np
from scipy import stats


def pair_metrics(scores: np.ndarray, same: np.ndarray) -> dict[str, float]:
    """Correlation of scores with the pairs' labels, as published.

    Args:
        scores: (m,) float, finite.
        same: (m,) bool.

    Returns:
        "pearson" and "spearman"; nan where scores or labels are constant.
    """
    if np.ptp(scores) == 0 or same.all() or not same.any():
        return {"pearson": float("nan"), "spearman": float("nan")}
    return {
        "pearson": float(stats.pearsonr(scores, same).statistic),
        "spearman": float(stats.spearmanr(scores, same).statistic),
    }


def retrieval_metrics(scores: np.ndarray, relevance: np.ndarray) -> dict[str, float]:
    """Quality of the rankings that scores give.

    Queries without any relevant item cannot be answered: they are left out and counted.

    Args:
        scores: (q, g) float.
        relevance: (q, g) bool.

    Returns:
        "precision@1" and "precision@10" (share of relevant items among the first k), "map" (mean over queries of
        the average precision over the whole gallery), "n_queries" and "n_skipped".
    """
    answerable = relevance.any(axis=1)
    scores, relevance = scores[answerable], relevance[answerable]
    counts = {"n_queries": int(answerable.sum()), "n_skipped": int((~answerable).sum())}
    if not len(scores):
        return {"precision@1": float("nan"), "precision@10": float("nan"), "map": float("nan"), **counts}
    # Stable sort of the negated scores: ties keep gallery order, which is by id.
    ranked = np.take_along_axis(relevance, np.argsort(-scores, axis=1, kind="stable"), axis=1)
    precision = ranked.cumsum(axis=1) / np.arange(1, ranked.shape[1] + 1)
    average_precision = (precision * ranked).sum(axis=1) / ranked.sum(axis=1)
    return {
        "precision@1": float(ranked[:, 0].mean()),
        "precision@10": float(ranked[:, :10].mean()),
        "map": float(average_precision.mean()),
        **counts,
    }
