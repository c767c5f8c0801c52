"""Figures over several seeds."""

from dataclasses import replace

import numpy as np
import pytest

from cbir.errors import DataError
from cbir.labels import TASKS
from cbir.similarity import SIMILARITIES, Models
from tests.conftest import ToyBackbone
from train.data.split import near_duplicate_groups, sample_pairs, split_by_group
from train.evaluate import evaluate
from train.evaluation.markdown import tables
from train.evaluation.metrics import pair_metrics
from train.evaluation.seeds import check_alike, over_bundles


def test_fresh_splits_give_means_and_deviations(toy_bundle, monkeypatch):
    monkeypatch.setattr("train.evaluation.report.evaluate_baselines", lambda *args: toy_bundle.report.baselines)
    gallery = toy_bundle.gallery
    values = []
    for seed in (3, 4):
        is_test = split_by_group(near_duplicate_groups(gallery.features.embedding), 0.2, seed)
        features = gallery.features.take(is_test)
        pairs = sample_pairs(gallery.labels["color"][is_test], 5692, seed)
        scores = SIMILARITIES["cosine"].score(features, features, None, TASKS["color"])[pairs.left, pairs.right]
        values.append(pair_metrics(scores, pairs.same)["pearson"])
    found = evaluate(toy_bundle, ToyBackbone(), seeds=(3, 4), replicates=2)
    assert found.seeds.seeds == (3, 4)
    spread = found.seeds.methods["cosine"].pairs["color"].pearson
    assert (spread.mean, spread.deviation) == pytest.approx((np.mean(values), np.std(values, ddof=1)), abs=2e-4)
    assert set(found.seeds.methods) == set(SIMILARITIES)
    assert "over 2 seeds (3, 4)" in tables(found)


def test_bundles_are_put_together(toy_bundle):
    report = toy_bundle.report
    other = replace(report, protocol=replace(report.protocol, seed=1), methods=dict(report.methods))
    pairs = dict(report.methods["cosine"].pairs)
    pairs["type"] = replace(pairs["type"], pearson=replace(pairs["type"].pearson, value=0.1))
    other.methods["cosine"] = replace(report.methods["cosine"], pairs=pairs)
    found = over_bundles([report, other])
    assert found.seeds == (0, 1)
    values = [report.methods["cosine"].pairs["type"].pearson.value, 0.1]
    spread = found.methods["cosine"].pairs["type"].pearson
    assert (spread.mean, spread.deviation) == pytest.approx((np.mean(values), np.std(values, ddof=1)))
    assert found.methods["random_forest"].retrieval["both"].map.deviation == 0
    assert found.methods["cosine"].pairs["type"].ece is None
    assert found.likeness["mean"].mean == report.garments.likeness["mean"].recall_at_1.value
    assert list(found.methods["cosine"].garments) == ["mean", *report.garments.edits]
    assert over_bundles([report, replace(other, garments=None)]).likeness is None


def test_bundles_must_differ_in_their_seeds_alone(toy_bundle):
    other = replace(toy_bundle, manifest=replace(toy_bundle.manifest, seed=1))
    check_alike([toy_bundle, other])
    with pytest.raises(DataError, match=r"different seeds, got seeds \[0, 0\]"):
        check_alike([toy_bundle, toy_bundle])
    with pytest.raises(DataError, match=r"methods .* and \['cosine', 'inverse_euclidean'\]"):
        check_alike([toy_bundle, replace(other, models=Models())])
    dataset = replace(other.manifest.dataset, n_photos=9)
    with pytest.raises(DataError, match="got n_photos 108 and 9"):
        check_alike([toy_bundle, replace(other, manifest=replace(other.manifest, dataset=dataset))])
