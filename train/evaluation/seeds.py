"""How far figures move from seed to seed: over fresh splits of one bundle's photos, or over bundles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from itertools import compress
from typing import TypeVar

import numpy as np

from cbir.bundle import Bundle
from cbir.errors import DataError
from cbir.features.backbone import Backbone
from cbir.report import (
    CopyEstimates,
    Estimate,
    MethodSpreads,
    PairEstimates,
    PairSpreads,
    Report,
    RetrievalEstimates,
    RetrievalSpreads,
    Seeds,
    Spread,
)
from train.data.split import near_duplicate_groups, split_by_group
from train.evaluation.metrics import mean_of_known, pair_metrics
from train.evaluation.scoring import score_all, split_gallery
from train.fit import fit_methods
from train.fit.views import extract_views

TEST_SHARE = 0.2  # of fresh splits, where the bundle does not tell its own
SPLITS_NOTE = (
    "Mean and standard deviation over fresh splits of the gallery's photos, methods fitted anew on each train side "
    "alone (without photos that the bundle was fitted on beside its gallery)."
)
BUNDLES_NOTE = "Mean and standard deviation over bundles trained on different splits of the same photos."
T = TypeVar("T")
Metrics = Mapping[str, float]
# Of one seed, by method: metrics of pairs by column, metrics of retrieval by task, and, where copies were made, the
# share of them that rank their photo first, by edit.
Figures = Mapping[str, tuple[Mapping[str, Metrics], Mapping[str, Metrics], Mapping[str, float] | None]]


def over_fresh_splits(bundle: Bundle, backbone: Backbone, seeds: Sequence[int]) -> Seeds:
    """Fits and scores the methods anew on a split for each seed, the backbone being the bundle's.

    Raises:
        DataError: the bundle has a color network, which was tuned on photos that fresh splits would evaluate on.
    """
    if bundle.color_network:
        raise DataError(
            "expected no --seeds for a bundle with a color network, which was tuned on photos that fresh splits would "
            "evaluate on: train with other seeds, and give these bundles as --others"
        )
    groups = near_duplicate_groups(bundle.gallery.features.embedding)
    share = bundle.manifest.test_share or TEST_SHARE
    return Seeds(
        tuple(seeds),
        SPLITS_NOTE,
        _spreads([_fresh_split(bundle, backbone, split_by_group(groups, share, seed), seed) for seed in seeds]),
        None,
    )


def _fresh_split(bundle: Bundle, backbone: Backbone, is_test: np.ndarray, seed: int) -> Figures:
    gallery = replace(bundle.gallery, splits=np.where(is_test, "test", "train"))
    labels = {name: column[~is_test] for name, column in gallery.labels.items()}
    views = extract_views(list(compress(gallery.thumbnails, ~is_test)), backbone, seed)
    models = fit_methods(gallery.features.take(~is_test), labels, views, seed)
    split = split_gallery(gallery, seed)
    return {
        name: (
            {
                column: pair_metrics(scores.pairs[column], pairs.same, scores.method.is_probability)
                for column, pairs in split.pairs.items()
            },
            {
                task: {metric: mean_of_known(values) for metric, values in rankings.by_query.items()}
                for task, rankings in scores.rankings.items()
            },
            None,
        )
        for name, scores in score_all(models, split).items()
    }


def check_alike(bundles: Sequence[Bundle]) -> None:
    """Checks that bundles differ in nothing but their seeds.

    Raises:
        DataError: they are of other photos, backbones or methods, or two have the same seed.
    """
    seeds = [bundle.manifest.seed for bundle in bundles]
    if len(set(seeds)) < len(seeds):
        raise DataError(
            f"expected bundles of different seeds, got seeds {seeds}: train them with other values of --seed"
        )
    first, *others = map(_kind, bundles)
    for kind in others:
        if differing := [name for name in kind if kind[name] != first[name]]:
            got = ", ".join(f"{name} {first[name]} and {kind[name]}" for name in differing)
            raise DataError(f"expected bundles that differ in their seeds alone, got {got}")


def _kind(bundle: Bundle) -> dict[str, object]:
    manifest = bundle.manifest
    return {
        "name": manifest.dataset.name,
        "n_photos": manifest.dataset.n_photos,
        "backbone": manifest.backbone.name,
        "color network": bundle.color_network is not None,
        "methods": [method.name for method in bundle.methods],
    }


def over_bundles(reports: Sequence[Report]) -> Seeds:
    """Puts the figures of bundles together that `check_alike` lets pass."""
    return Seeds(
        tuple(report.protocol.seed for report in reports),
        BUNDLES_NOTE,
        _spreads([_reported(report) for report in reports]),
        _first_by_edit([_first(r.garments.likeness) if r.garments and r.garments.likeness else None for r in reports]),
    )


def _reported(report: Report) -> Figures:
    return {
        name: (
            {column: _values(found) for column, found in method.pairs.items()},
            {task: _values(found) for task, found in method.retrieval.items()},
            _first(report.garments.methods[name]) if report.garments else None,
        )
        for name, method in report.methods.items()
    }


def _first(found: Mapping[str, CopyEstimates]) -> dict[str, float]:
    """R@1 by edit."""
    return {edit: _value(estimates.recall_at_1) for edit, estimates in found.items()}


def _first_by_edit(by_seed: Sequence[Mapping[str, float] | None]) -> dict[str, Spread] | None:
    """Spreads of R@1 by edit; None where a seed has no such figures."""
    known = [found for found in by_seed if found]
    if len(known) < len(by_seed):
        return None
    return {edit: _spread([found[edit] for found in known]) for edit in known[0]}


def _values(estimates: PairEstimates | RetrievalEstimates) -> dict[str, float]:
    named: dict[str, Estimate | None] = {field.name: getattr(estimates, field.name) for field in fields(estimates)}
    return {name: _value(one) for name, one in named.items() if one is not None}


def _value(estimate: Estimate) -> float:
    return float("nan") if estimate.value is None else estimate.value


def _spreads(by_seed: Sequence[Figures]) -> dict[str, MethodSpreads]:
    return {
        name: MethodSpreads(
            _by_key([figures[name][0] for figures in by_seed], _pair_spreads),
            _by_key([figures[name][1] for figures in by_seed], lambda spreads: RetrievalSpreads(**spreads)),
            _first_by_edit([figures[name][2] for figures in by_seed]),
        )
        for name in by_seed[0]
    }


def _by_key(by_seed: Sequence[Mapping[str, Metrics]], spreads: Callable[[dict[str, Spread]], T]) -> dict[str, T]:
    return {
        key: spreads({metric: _spread([figures[key][metric] for figures in by_seed]) for metric in metrics})
        for key, metrics in by_seed[0].items()
    }


def _pair_spreads(spreads: dict[str, Spread]) -> PairSpreads:
    return PairSpreads(spreads["pearson"], spreads["spearman"], spreads["roc_auc"], spreads.get("ece"))


def _spread(values: Sequence[float]) -> Spread:
    return Spread(float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else float("nan"))
