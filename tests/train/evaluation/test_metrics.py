"""Metrics against scikit-learn, SciPy and worked examples; intervals against simulated truth."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

from cbir.ranking import top_k
from train.evaluation.metrics import (
    ECE_BINS,
    bootstrap_means,
    bootstrap_pairs,
    difference,
    interval,
    mean_of_known,
    pair_metrics,
    precision_recall,
    query_metrics,
    ranking,
    reliability,
    resample,
    weighted_pair_metrics,
)


def ranked(scores, relevance):
    return np.take_along_axis(relevance, ranking(scores, np.arange(scores.shape[1])), axis=1)


def tied_pairs(m=200, seed=0):
    rng = np.random.default_rng(seed)
    same = rng.random(m) < 0.4
    return np.clip(np.round(0.3 * same + rng.random(m) * 0.7, 1), 0, 1).astype(np.float32), same


def test_pair_metrics_match_a_worked_example():
    # scores 1..4, labels 0 0 1 1: covariance 2, deviations sqrt(5) and 1
    metrics = pair_metrics(np.array([1.0, 2, 3, 4]), np.array([False, False, True, True]))
    assert metrics["pearson"] == pytest.approx(2 / math.sqrt(5))
    assert metrics["spearman"] == pytest.approx(2 / math.sqrt(5))
    assert metrics["roc_auc"] == 1
    assert "ece" not in metrics


def test_pair_metrics_match_scipy_and_scikit_learn_with_ties():
    scores, same = tied_pairs()
    metrics = pair_metrics(scores, same)
    assert metrics["pearson"] == pytest.approx(stats.pearsonr(scores.astype(float), same).statistic)
    assert metrics["spearman"] == pytest.approx(stats.spearmanr(scores, same).statistic)
    assert metrics["roc_auc"] == pytest.approx(roc_auc_score(same, scores))


def test_a_weight_counts_as_so_many_pairs():
    scores, same = tied_pairs()
    weights = np.random.default_rng(1).integers(0, 4, (3, len(scores)))
    found = weighted_pair_metrics(scores, same, weights, is_probability=True)
    for row, weight in enumerate(weights):
        repeated = pair_metrics(np.repeat(scores, weight), np.repeat(same, weight), is_probability=True)
        assert {name: values[row] for name, values in found.items()} == pytest.approx(repeated)
        assert found["roc_auc"][row] == pytest.approx(roc_auc_score(same, scores, sample_weight=weight))


@pytest.mark.parametrize(
    ("scores", "same"), [([1, 1, 1, 1], [1, 0, 1, 0]), ([1, 2, 3, 4], [1, 1, 1, 1]), ([0.1, 0.1, 0.1], [1, 0, 0])]
)
def test_constant_scores_or_labels_have_no_correlation(scores, same):
    metrics = pair_metrics(np.array(scores, float), np.array(same, bool))
    assert all(math.isnan(value) for value in metrics.values())


def test_replicates_with_one_label_have_no_correlation():
    scores, same = np.array([0.1, 0.35, 0.7]), np.array([True, True, False])
    found = weighted_pair_metrics(scores, same, np.array([[3, 1, 0], [0, 0, 2], [0, 0, 0], [1, 1, 1]]))
    for values in found.values():
        assert np.isnan(values).tolist() == [True, True, True, False]


def test_calibration_error_matches_a_worked_example():
    # Bins of 1/15: the first holds 0.01 (different) and 0.05 (same), the last 0.95 (same) and 1.0 (same).
    scores, same = np.array([0.01, 0.05, 0.95, 1.0]), np.array([False, True, True, True])
    expected = (2 * abs(0.03 - 0.5) + 2 * abs(0.975 - 1)) / 4
    assert pair_metrics(scores, same, is_probability=True)["ece"] == pytest.approx(expected)


def test_reliability_has_the_bins_of_the_calibration_error():
    rng = np.random.default_rng(3)
    scores = np.r_[rng.random(500), 0, 1, np.float32(0.2), 1 + 1e-7]  # on the edges too
    same = rng.random(len(scores)) < scores**2
    curve = reliability(scores, same)
    assert sum(curve.n_pairs) == len(scores)
    assert len(curve.n_pairs) == ECE_BINS
    ece = np.average(np.abs(np.subtract(curve.share_same, curve.mean_score)), weights=curve.n_pairs)
    assert pair_metrics(scores, same, is_probability=True)["ece"] == pytest.approx(ece)
    assert ece > 0.1


def test_a_reliability_curve_leaves_out_empty_bins():
    curve = reliability(np.array([0.01, 0.05, 0.95, 1.0]), np.array([False, True, True, True]))
    assert curve.n_pairs == (2, 2)
    assert curve.share_same == (0.5, 1)
    assert curve.mean_score == pytest.approx((0.03, 0.975))


def test_a_precision_recall_curve_is_the_pairs_counted_from_the_highest_score():
    scores, same = np.array([0.9, 0.8, 0.8, 0.4, 0.1]), np.array([True, False, True, False, True])
    curve = precision_recall(scores, same, points=30)
    assert curve.recall == pytest.approx((1 / 3, 2 / 3, 1))
    assert curve.precision == pytest.approx((1, 2 / 3, 3 / 5))


def test_a_precision_recall_curve_has_about_as_many_points_as_asked_for():
    scores, same = np.random.default_rng(0).random(5000), np.random.default_rng(1).random(5000) < 0.5
    curve = precision_recall(scores, same, points=40)
    assert 35 <= len(curve.recall) <= 40
    np.testing.assert_allclose(np.diff(curve.recall), 1 / 40, atol=0.002)


def test_items_are_ranked_by_score_then_id_whatever_their_order():
    ids = np.array(["d", "a", "c", "b", "e"])
    scores = np.array([[0.5, 0.5, 0.9, 0.5, 0.1], [0.2, 0.2, 0.2, 0.2, 0.2]], np.float32)
    order = ranking(scores, np.argsort(np.argsort(ids)))
    assert ids[order].tolist() == [["c", "a", "b", "d", "e"], ["a", "b", "c", "d", "e"]]
    rng = np.random.default_rng(0)
    scores = np.round(rng.random((5, 40)), 1)
    id_order = rng.permutation(40)
    for row, ranked in zip(scores, ranking(scores, id_order), strict=True):
        assert ranked.tolist() == top_k(row, id_order, 40).tolist()


def test_rankings_match_scikit_learn():
    rng = np.random.default_rng(0)
    scores, relevance = rng.normal(size=(20, 50)), rng.random((20, 50)) < 0.1
    relevance[:, 0] = True
    metrics = query_metrics(ranked(scores, relevance))
    expected = [average_precision_score(r, s) for r, s in zip(relevance, scores, strict=True)]
    np.testing.assert_allclose(metrics["map"], expected)
    expected = [ndcg_score(r[None], s[None], k=10) for r, s in zip(relevance, scores, strict=True)]
    np.testing.assert_allclose(metrics["ndcg_at_10"], expected)


def test_retrieval_metrics_match_a_worked_example():
    # Relevant items come on ranks 1 and 3, on rank 3, never.
    scores = np.array([[0.9, 0.8, 0.7], [0.1, 0.2, 0.3], [1, 2, 3]])
    relevance = np.array([[True, False, True], [True, False, False], [False, False, False]])
    metrics = query_metrics(ranked(scores, relevance))
    np.testing.assert_allclose(metrics["precision_at_1"], [1, 0, np.nan])
    np.testing.assert_allclose(metrics["precision_at_10"], [2 / 3, 1 / 3, np.nan])
    np.testing.assert_allclose(metrics["map"], [(1 + 2 / 3) / 2, 1 / 3, np.nan])
    np.testing.assert_allclose(metrics["ndcg_at_10"], [(1 + 1 / 2) / (1 + 1 / math.log2(3)), 1 / 2, np.nan])
    assert mean_of_known(metrics["precision_at_1"]) == 0.5


def test_recall_is_whether_one_of_the_first_is_relevant():
    relevance = np.zeros((3, 12), bool)
    relevance[0, [4, 11]] = relevance[1, 9] = relevance[2, 10] = True
    metrics = query_metrics(relevance)
    assert metrics["recall_at_5"].tolist() == [1, 0, 0]
    assert metrics["recall_at_10"].tolist() == [1, 1, 0]


def test_without_answerable_queries_there_are_no_figures():
    assert math.isnan(mean_of_known(query_metrics(np.zeros((2, 3), bool))["map"]))


def test_resampling_draws_clusters_and_is_repeatable():
    clusters = np.array([7, 3, 7, 5])
    drawn = resample(clusters, 400, seed=1)
    assert (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(4), abs=0.15)
    np.testing.assert_array_equal(drawn, resample(clusters, 400, seed=1))
    assert (drawn != resample(clusters, 400, seed=2)).any()


def test_pairs_weigh_the_product_of_their_photos_draws():
    scores, same = np.array([0.1, 0.4, 0.3, 0.9]), np.array([False, True, False, True])
    left, right, clusters = np.array([0, 1, 2, 3]), np.array([1, 2, 3, 4]), np.array([0, 1, 2, 3, 3])
    drawn = np.array([[2, 1, 3, 2, 2]], np.float32)  # the last two photos are one cluster, and so is the last pair
    found = bootstrap_pairs(scores, same, left, right, clusters, drawn, is_probability=True)
    expected = weighted_pair_metrics(scores, same, np.array([[2, 3, 6, 2]]), is_probability=True)
    assert {k: v.tolist() for k, v in found.items()} == {k: v.tolist() for k, v in expected.items()}


def test_means_leave_out_queries_that_do_not_count():
    values, drawn = np.array([1.0, np.nan, 0.0]), np.array([[2, 5, 1], [0, 3, 0]], np.float32)
    means = bootstrap_means(values, drawn)
    assert means[0] == pytest.approx(2 / 3)
    assert math.isnan(means[1])


def test_intervals_of_means_cover_the_truth_where_queries_come_in_clusters():
    """95 % intervals of 400 samples of 60 clusters of 4: right by cluster, far too narrow by query."""
    hits = {"cluster": 0, "query": 0}
    for seed in range(400):
        rng = np.random.default_rng(seed)
        values = np.repeat(rng.normal(size=60), 4) + 0.3 * rng.normal(size=240)  # of mean 0
        for name, clusters in (("cluster", np.repeat(np.arange(60), 4)), ("query", np.arange(240))):
            low, high = interval(values.mean(), bootstrap_means(values, resample(clusters, 200, seed)))
            hits[name] += low <= 0 <= high
    assert 0.90 <= hits["cluster"] / 400 <= 0.98
    assert hits["query"] / 400 < 0.80


def test_intervals_of_pairs_cover_the_truth_where_photos_are_shared():
    """A photo that scores high does so in all its pairs: resampling pairs alone would miss that."""

    def sample(n, m, rng):
        photo = 0.7 * rng.normal(size=n)
        label = rng.integers(0, 2, n)
        left, right = rng.integers(0, n, (2, m))
        left, right = left[left != right], right[left != right]
        same = label[left] == label[right]
        return same + photo[left] + photo[right] + 0.2 * rng.normal(size=len(left)), same, left, right

    scores, same, *_ = sample(20_000, 400_000, np.random.default_rng(10**6))
    truth = pair_metrics(scores, same)["roc_auc"]
    hits = {"photo": 0, "pair": 0}
    for seed in range(150):
        scores, same, left, right = sample(80, 800, np.random.default_rng(seed))
        value = pair_metrics(scores, same)["roc_auc"]
        photos = bootstrap_pairs(scores, same, left, right, np.arange(80), resample(np.arange(80), 150, seed))
        pairs = weighted_pair_metrics(scores, same, resample(np.arange(len(same)), 150, seed))
        for name, replicates in (("photo", photos), ("pair", pairs)):
            low, high = interval(value, replicates["roc_auc"])
            hits[name] += low <= truth <= high
    assert hits["photo"] / 150 >= 0.90
    assert hits["pair"] / 150 < hits["photo"] / 150 - 0.1


def test_intervals_leave_out_replicates_without_a_figure_and_move_what_is_biased():
    replicates = np.r_[np.linspace(0.1, 0.3, 101), np.nan]
    assert interval(0.15, replicates) == pytest.approx((0.105, 0.295))
    assert interval(0.15, replicates, is_biased=True) == pytest.approx((0.055, 0.245))
    assert interval(0.05, replicates, is_biased=True)[0] == 0
    assert math.isnan(interval(float("nan"), replicates)[0])
    assert math.isnan(interval(0.1, np.array([np.nan]))[1])


def test_differences_are_of_the_same_resamples():
    rng = np.random.default_rng(0)
    shared = rng.normal(0.8, 0.1, 999)
    sure = difference(0.05, (shared + 0.05 + rng.normal(0, 0.01, 999)) - shared)
    assert 0.02 < sure.low < sure.high < 0.08
    assert sure.p == pytest.approx(2 / 1000)
    assert difference(0.0, rng.normal(0, 0.01, 999)).p > 0.5
    assert difference(0.0, np.zeros(999)).p == 1


def test_p_values_are_uniform_where_there_is_no_difference():
    ps = []
    for seed in range(300):
        rng = np.random.default_rng(seed)
        gap = rng.normal(size=50)
        ps.append(difference(gap.mean(), bootstrap_means(gap, resample(np.arange(50), 200, seed))).p)
    assert 0.01 <= np.mean(np.array(ps) < 0.05) <= 0.11
    assert np.mean(ps) == pytest.approx(0.5, abs=0.07)
