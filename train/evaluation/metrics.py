"""How good scores are: on labelled pairs, and as rankings; and how far chance could move these figures.

Intervals come from the bootstrap over *clusters*: photos, or groups of photos that show the same thing. Queries are
resampled with their cluster. A pair has two photos and weighs the product of their multiplicities (the pigeonhole
bootstrap: Owen, The pigeonhole bootstrap, Annals of Applied Statistics 2007), since pairs that share a photo are not
independent; where single pairs differ more than photos do, these intervals are too wide rather than too narrow.

Legend: m pairs, q queries, g gallery items, n photos, b replicates.
"""

from collections.abc import Iterator

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.metrics import precision_recall_curve

from cbir.report import Curve, Difference, Reliability

ECE_BINS = 15  # of equal width on [0, 1]
CHUNK = 16  # replicates at a time: what they take fits into a processor's cache


# --- pairs ---


def pair_metrics(scores: np.ndarray, same: np.ndarray, is_probability: bool = False) -> dict[str, float]:
    """How well scores tell pairs of the same label from others.

    Args:
        scores: (m,) float, finite.
        same: (m,) bool.
        is_probability: whether scores are probabilities, whose calibration can be evaluated.

    Returns:
        "pearson" and "spearman" of scores and labels, as published, "roc_auc" (ties count half) and, for
        probabilities, "ece": the expected calibration error over `ECE_BINS` bins of equal width, i.e. the mean over
        pairs of |mean score - share of the same label| of the pair's bin (Naeini et al., 2015). nan where scores or
        labels are constant, except "ece".
    """
    found = weighted_pair_metrics(scores, same, np.ones((1, len(scores))), is_probability)
    return {name: float(values[0]) for name, values in found.items()}


def weighted_pair_metrics(
    scores: np.ndarray, same: np.ndarray, weights: np.ndarray, is_probability: bool = False
) -> dict[str, np.ndarray]:
    """`pair_metrics` of b samples at once: a pair of weight w counts as w equal pairs.

    Args:
        scores: (m,) float, finite.
        same: (m,) bool.
        weights: (b, m), not negative.
        is_probability: as in `pair_metrics`.

    Returns:
        For each metric (b,) float64.
    """
    order = np.argsort(scores, kind="stable")
    return _metrics_in_order(scores[order].astype(np.float64), same[order], weights[:, order], is_probability)


def _metrics_in_order(
    scores: np.ndarray, same: np.ndarray, weights: np.ndarray, is_probability: bool
) -> dict[str, np.ndarray]:
    """`weighted_pair_metrics` of pairs in ascending order of their scores.

    All sums over pairs but one are products of matrices. With t the weights of distinct scores, W their sum, and
    midranks r = cumsum(t) - t / 2 (up to a constant, which correlations do not see): sum t r = W^2 / 2, sum t r^2 =
    W^3 / 3 - sum t^3 / 12, and with p the weights of positives, P their sum, sum p r = P^2 / 2 + U, U being the weight
    of (positive, negative) pairs in the right order (Mann and Whitney, 1947).
    """
    starts = np.flatnonzero(np.r_[True, np.diff(scores) != 0][: len(scores)])  # of runs of equal scores
    total = weights.astype(np.float64)
    positive = total * same
    if len(starts) < len(scores):
        total, positive = (np.add.reduceat(w, starts, axis=1) for w in (total, positive))
    values = scores[starts]
    centred = values - (values.mean() if len(values) else 0.0)  # so that squares do not cancel
    of_all = total @ np.stack([np.ones_like(values), centred, centred**2], axis=1)
    of_positives = positive @ np.stack([np.ones_like(values), centred], axis=1)
    (n, sum_x, sum_xx), (n_positive, sum_px) = of_all.T, of_positives.T
    negative = total - positive
    n_negative = n - n_positive
    right = np.einsum("bv,bv->b", positive, np.cumsum(negative, axis=1) - negative / 2)
    cubes = np.einsum("bv,bv->b", total * total, total)
    # Where all scores or labels are equal, only rounding errors are left, whose correlation means nothing.
    varies = ((total > 0).sum(axis=1) > 1) & (n_positive > 0) & (n_negative > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = n_positive / n
        spread = np.sqrt(share * (1 - share))
        mean = sum_x / n
        metrics = {
            "pearson": (sum_px / n - mean * share) / (np.sqrt(sum_xx / n - mean**2) * spread),
            "spearman": ((n_positive**2 / 2 + right) / n - n_positive / 2)
            / (np.sqrt((n**2 - cubes / n) / 12) * spread),
            "roc_auc": right / (n_positive * n_negative),
        }
        metrics = {name: np.where(varies, found, np.nan) for name, found in metrics.items()}
        if is_probability:
            in_bin = _bins(values)[:, None] == np.arange(ECE_BINS)
            metrics["ece"] = np.abs(total @ (in_bin * values[:, None]) - positive @ in_bin).sum(axis=1) / n
    return metrics


def _bins(probabilities: np.ndarray) -> np.ndarray:
    # As `calibration_curve` does: what lies on an edge belongs to the bin below it.
    return np.searchsorted(np.linspace(0, 1, ECE_BINS + 1)[1:-1], probabilities)


def reliability(scores: np.ndarray, same: np.ndarray) -> Reliability:
    """The reliability curve of probabilities (m,): its points are the bins of "ece" that hold pairs."""
    # Sums of products of probabilities may exceed 1 by a rounding error.
    share_same, mean_score = calibration_curve(same, np.clip(scores, 0, 1), n_bins=ECE_BINS)
    counts = np.bincount(_bins(scores))
    return Reliability(*(tuple(values.tolist()) for values in (mean_score, share_same, counts[counts > 0])))


def precision_recall(scores: np.ndarray, same: np.ndarray, points: int) -> Curve:
    """The precision-recall curve of pairs, at about so many points that are evenly spaced along the recall axis."""
    precision, recall, _ = precision_recall_curve(same, scores)
    precision, recall = precision[-2::-1], recall[-2::-1]  # in order of recall; the last point is no pair's
    # The last of each run that rounds to the same place.
    places = np.searchsorted(recall, np.linspace(0, 1, points + 1)[1:] - 1e-12)
    places = np.unique(np.minimum(places, len(recall) - 1))
    return Curve(tuple(recall[places].tolist()), tuple(precision[places].tolist()))


# --- rankings ---


def ranking(scores: np.ndarray, id_order: np.ndarray) -> np.ndarray:
    """Ranks items for each query by (-score, id), as a search does.

    Args:
        scores: (q, g) float32, finite.
        id_order: (g,) int, place of each item's id in alphabetical order.

    Returns:
        (q, g) int, columns of the items, best first.
    """
    # One number for both, of which sorting is several times quicker than a stable sort of scores: the bits of a
    # float32 in the order of its value, largest first, then the place of the id.
    bits = (scores.astype(np.float32) + np.float32(0)).view(np.int32)  # + 0: minus zero is zero
    ascending = np.where(bits < 0, ~bits, bits | np.int32(-(2**31))).view(np.uint32)
    keys = (~ascending).astype(np.uint64) << np.uint64(32) | id_order.astype(np.uint64)
    keys.sort(axis=1)
    return np.argsort(id_order)[keys & np.uint64(2**32 - 1)]


def query_metrics(ranked: np.ndarray) -> dict[str, np.ndarray]:
    """Quality of the ranking that each query gets.

    Args:
        ranked: (q, g) bool, whether the item on each rank is relevant, best first.

    Returns:
        For each metric (q,) float64, nan for queries without any relevant item, which cannot be answered:
        "precision_at_1", "precision_at_10" (share of relevant items among the first k), "recall_at_5", "recall_at_10"
        (1 where at least one of the first k is relevant, as in metric learning: with hundreds of relevant items, the
        share of those found says little), "map" (average precision over the whole gallery) and "ndcg_at_10"
        (discounted cumulative gain by that of the best order; Järvelin and Kekäläinen, 2002).
    """
    n_relevant = ranked.sum(axis=1)
    precision = ranked.cumsum(axis=1) / np.arange(1, ranked.shape[1] + 1)
    first = ranked[:, :10]
    discounts = 1 / np.log2(np.arange(2, first.shape[1] + 2))
    best = np.r_[0, np.cumsum(discounts)][np.minimum(n_relevant, first.shape[1])]
    with np.errstate(invalid="ignore"):
        metrics = {
            "precision_at_1": ranked[:, 0].astype(np.float64),
            "precision_at_10": first.mean(axis=1),
            "recall_at_5": ranked[:, :5].any(axis=1).astype(np.float64),
            "recall_at_10": first.any(axis=1).astype(np.float64),
            "map": (precision * ranked).sum(axis=1) / n_relevant,
            "ndcg_at_10": first @ discounts / best,
        }
    return {name: np.where(n_relevant > 0, values, np.nan) for name, values in metrics.items()}


def mean_of_known(values: np.ndarray) -> float:
    """The mean of (q,) values that are not nan; nan where there are none."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


# --- intervals ---


def resample(clusters: np.ndarray, replicates: int, seed: int) -> np.ndarray:
    """Draws as many clusters as there are, with replacement, `replicates` times.

    Args:
        clusters: (n,) cluster of each photo.
        replicates: b.
        seed: the same seed gives the same draws.

    Returns:
        (b, n) float32, how many times each photo was drawn: equal within a cluster.
    """
    names, member = np.unique(clusters, return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=replicates)
    return drawn.astype(np.float32)[:, member]


def bootstrap_pairs(
    scores: np.ndarray,
    same: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    clusters: np.ndarray,
    drawn: np.ndarray,
    is_probability: bool = False,
) -> dict[str, np.ndarray]:
    """Replicates of `pair_metrics`, photos resampled.

    Args:
        scores: (m,) float, finite.
        same: (m,) bool.
        left: (m,) int, photo of each pair.
        right: (m,) int, the other.
        clusters: (n,) cluster of each photo.
        drawn: (b, n) from `resample`.
        is_probability: as in `pair_metrics`.

    Returns:
        For each metric (b,) float64; nan where a replicate leaves one label only.
    """
    order = np.argsort(scores, kind="stable")
    ranked, same, left, right = scores[order].astype(np.float64), same[order], left[order], right[order]
    within = clusters[left] == clusters[right]  # one draw brings both photos
    parts = []
    for chunk in _chunks(drawn):
        weights = chunk[:, left] * np.where(within, 1, chunk[:, right])
        parts.append(_metrics_in_order(ranked, same, weights, is_probability))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def bootstrap_means(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Replicates of the mean over queries.

    Args:
        values: (q,) float, nan where a query does not count.
        drawn: (b, q) from `resample`.

    Returns:
        (b,) float64; nan where a replicate has no query that counts.
    """
    counts = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return drawn[:, counts].astype(np.float64) @ values[counts] / drawn[:, counts].sum(axis=1, dtype=np.float64)


def _chunks(drawn: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(drawn), CHUNK):
        yield drawn[start : start + CHUNK]


def interval(value: float, replicates: np.ndarray, is_biased: bool = False) -> tuple[float, float]:
    """The 95 % interval of a figure: percentiles of its replicates.

    Args:
        value: of the whole sample.
        replicates: (b,) float; nan ones are left out.
        is_biased: for figures that resampling raises, as it does the calibration error: the replicates are first
            moved so that their mean is the figure, and the interval ends at 0.

    Returns:
        (low, high); nan where there are no replicates.
    """
    known = replicates[~np.isnan(replicates)]
    if not len(known) or np.isnan(value):
        return float("nan"), float("nan")
    low, high = np.percentile(known, (2.5, 97.5))
    if is_biased:
        shift = known.mean() - value
        low, high = max(low - shift, 0.0), high - shift
    return float(low), float(high)


def difference(value: float, replicates: np.ndarray) -> Difference:
    """Whether a difference of two figures could be chance, from replicates on the same resamples.

    Args:
        value: the difference in the whole sample.
        replicates: (b,) differences; nan ones are left out.

    Returns:
        The difference with its 95 % interval and p: two-sided, twice the share of replicates on the other side of 0
        or on it, of at least 2 / (b + 1).
    """
    low, high = interval(value, replicates)
    known = replicates[~np.isnan(replicates)]
    tail = min((known <= 0).sum(), (known >= 0).sum())
    p = min(1.0, 2 * (tail + 1) / (len(known) + 1)) if len(known) and not np.isnan(value) else float("nan")
    return Difference(value, low, high, float(p))
