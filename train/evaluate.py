"""Judges a bundle on its test photos.

    python -m train.evaluate --bundle BUNDLE [--out report.json] [--readme README.md] [--seeds 0 1 2 | --others B C]

prints tables, writes everything into a report, and the tables into a section of a Markdown file (--section, by default
"evaluation"). Pairs are of two test photos; in retrieval each test photo queries the train photos. For means and
standard deviations, --seeds also fits and judges on fresh splits. A color network, which took long to learn, is not
learned anew: there --others gives bundles that were trained on the same photos with other seeds.

The report is plain JSON, rounded to 4 digits, null where a figure cannot be had. A *figure* is [value, low, high]: the
95 % interval of `train.evaluation.metrics`, photos resampled in groups of near duplicates. METHOD is a name in
`SIMILARITIES`, TASK in `TASKS`, COLUMN "pooled" (task-blind, pairs of both labels), "type" or "color".

    schema          1
    data            name, revision, is_drawn, n_photos, n_also_fit, backbone, title, color_network (null, or n_tuned and
                    n_untuned, of the photos fitted on)
    protocol        n_train, n_test, n_groups (of test photos), n_pairs {COLUMN}, n_queries and n_skipped {TASK}, seed,
                    n_replicates, split, notes [text]
    libraries       versions
    methods         METHOD: label, is_learned; in the order to show
    published       METHOD: [Pearson, Spearman] of the published table
    ceiling         pearson, spearman, roc_auc of the perfect task-blind score (see `train.evaluation.baselines`)
    pairs           METHOD: COLUMN: pearson, spearman, roc_auc and, for learned methods, ece: figures
    pairs_by        METHOD: "type" | "color": "class" | "source": name: n_pairs, pearson and roc_auc figures; of pairs
                    with a photo of the class, or both photos of the source
    retrieval       METHOD: TASK: precision@1, precision@10, recall@5, recall@10, map, ndcg@10: figures
    retrieval_by    METHOD: TASK: "type" | "color" | "source": name: n_queries, precision@10 and map figures
    differences     reference (METHOD), n_compared, pairs {METHOD: COLUMN: pearson}, retrieval {METHOD: TASK:
                    precision@10, map}: value, low, high, p of reference minus method, on the same resamples; p is for
                    one comparison alone
    naive           see `train.evaluation.baselines.naive_protocol`
    seeds           null, or seeds, note and pairs, retrieval as above with [mean, standard deviation]
    confusion       "type" | "color": classes, counts (true in rows, most probable in columns), of test photos
    histograms      METHOD: COLUMN: edges, same, different (pairs by score)
    precision_recall  METHOD: COLUMN: recall, precision
    reliability     learned METHOD: COLUMN: mean_score, share_same, n_pairs
    queries         method, TASK: "best" | "worst": [{id, labels, average_precision, matches}], matches [{id, score,
                    is_relevant}]
    confidence      null, or see `train.evaluation.familiarity`
    elsewhere       [from `evaluate_elsewhere`, with "queries" and "gallery" in words]; empty unless a script adds some

"source" is the prefix of file names such as `web_` in `red_shirt/web_123.jpg`, where there are such.

Legend: m pairs, q queries, g gallery items, b replicates.
"""

import argparse
import json
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from cbir.bundle import Bundle, Manifest, load_bundle, load_bundle_backbone
from cbir.errors import DataError
from cbir.features import Features
from cbir.gallery import Gallery
from cbir.labels import LABELS, TASKS, Task
from cbir.similarity import DEFAULT_METHOD, Models, Similarity
from cbir.similarity.attributes import AttributeModel
from train.cli import run_main, write_section
from train.data.split import PAIRS_PER_TASK, Pairs, check_pairs, near_duplicate_groups, sample_pairs, split_by_group
from train.evaluation.baselines import naive_protocol, task_blind_ceiling
from train.evaluation.familiarity import TopMatches, judge_confidence, not_clothes_features
from train.evaluation.markdown import evaluation_section, tables
from train.evaluation.metrics import (
    ECE_BINS,
    bootstrap_means,
    bootstrap_pairs,
    difference,
    interval,
    pair_metrics,
    precision_recall,
    query_metrics,
    reliability,
    resample,
)
from train.fit import fit_methods

SCHEMA = 1
# Pearson and Spearman of the published table, task-blind, on 11,384 pairs; its split of photos is not known.
PUBLISHED = {
    "cosine": (0.387, 0.358),
    "inverse_euclidean": (0.298, 0.276),
    "logistic_regression": (0.721, 0.719),
    "random_forest": (0.696, 0.705),
}
POOLED = "pooled"
REPLICATES = 1000
TEST_SHARE = 0.2  # of fresh splits, where the bundle does not tell its own
QUERIES_AT_A_TIME = 256  # bounds memory
CURVE_POINTS = 40
HISTOGRAM_BINS = 20
SHOWN_QUERIES = 6  # best and worst, a task
SHOWN_MATCHES = 6
LEAST_GROUP = 20  # pairs or queries, for a figure of their own
PAIRS_BY = ("pearson", "roc_auc")
RETRIEVAL_BY = ("precision@10", "map")
NOTES = (
    "Split by image: a photo and its exact and near duplicates stand on one side. Methods saw the train side alone.",
    f"Pairs: per label {PAIRS_PER_TASK:,} pairs of test photos where there are so many, half of them of the same "
    "label; a task-blind score is judged on both labels' pairs pooled, as published.",
    "Retrieval: each test photo queries the train photos; relevant is what agrees in the task's labels. recall@k is "
    "the share of queries with a relevant photo among the first k.",
    "Intervals: 95 % percentile bootstrap over photos, near duplicates together; a pair weighs the product of its "
    "photos' draws. They tell how far other test photos could move a figure, not other train photos: see seeds.",
    f"Calibration error: {ECE_BINS} bins of equal width; its interval is centred on the figure, which small samples "
    "raise.",
)
COLOR_NETWORK_NOTE = (
    "The color network learned from a part of the train photos alone; methods on pairs, and the temperatures of class "
    "probabilities, were fitted on the rest of them."
)


@dataclass(frozen=True)
class Sides:
    """The two sides of a gallery.

    Attributes:
        ids: of q test and g train photos.
        test: features of the test photos.
        train: of the train photos.
        test_labels: label columns, each (q,) str.
        train_labels: each (g,) str.
        pairs: of test photos, for each column of the pair table.
    """

    ids: tuple[np.ndarray, np.ndarray]
    test: Features
    train: Features
    test_labels: Mapping[str, np.ndarray]
    train_labels: Mapping[str, np.ndarray]
    pairs: Mapping[str, Pairs]


def two_sides(gallery: Gallery, seed: int) -> Sides:
    """Separates test and train photos and samples the test pairs.

    Raises:
        DataError: a split has no photos, or there are no pairs.
    """
    test, train = (np.flatnonzero(gallery.splits == side) for side in ("test", "train"))
    if not len(test) or not len(train):
        raise DataError(f"judging needs train and test photos, got {len(train)} and {len(test)}")
    check_pairs(gallery.labels, test, "test photos")
    test_labels, train_labels = ({n: gallery.labels[n][side] for n in LABELS} for side in (test, train))
    pairs = {name: sample_pairs(test_labels[name], PAIRS_PER_TASK, seed) for name in LABELS}
    return Sides(
        (gallery.ids[test], gallery.ids[train]),
        gallery.features.take(test),
        gallery.features.take(train),
        test_labels,
        train_labels,
        {POOLED: Pairs.concatenate([pairs[name] for name in LABELS]), **pairs},
    )


@dataclass(frozen=True)
class Scored:
    """What a method gave.

    Attributes:
        method: that was judged.
        pairs: for each column (m,) float32 scores of its pairs.
        by_query: for each task the `query_metrics` of the q queries.
        top: for each task the rows (q, k) of the first matches, best first, and their scores (q, k).
    """

    method: Similarity
    pairs: dict[str, np.ndarray]
    by_query: dict[str, dict[str, np.ndarray]]
    top: dict[str, tuple[np.ndarray, np.ndarray]]


def score_method(method: Similarity, model: object, sides: Sides) -> Scored:
    """Scores the test pairs, and every test photo against the train photos."""
    queries, items = method.encode(sides.test, model), method.encode(sides.train, model)
    pairs = {
        name: score_pairs(method, queries, model, None if name == POOLED else TASKS[name], p)
        for name, p in sides.pairs.items()
    }
    by_query, top = {}, {}
    for task in TASKS.values():
        by_query[task.name], top[task.name] = rank(
            method, model, task, (queries, sides.test_labels), (items, sides.train_labels)
        )
    return Scored(method, pairs, by_query, top)


def rank(
    method: Similarity,
    model: object,
    task: Task,
    queries: tuple[np.ndarray, Mapping[str, np.ndarray]],
    items: tuple[np.ndarray, Mapping[str, np.ndarray]],
) -> tuple[dict[str, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Ranks the items for each query.

    Args:
        method: ranks them.
        model: what it learned.
        task: says what is relevant.
        queries: codes of q photos and their label columns.
        items: codes of g photos and their label columns.

    Returns:
        The `query_metrics`, and rows and scores of the first matches, each (q, k).
    """
    parts, rows, found = [], [], []
    for start in range(0, len(queries[0]), QUERIES_AT_A_TIME):
        part = slice(start, start + QUERIES_AT_A_TIME)
        scores = method.score_codes(queries[0][part], items[0], model, task)
        parts.append(query_metrics(scores, task.relevance(queries[1], items[1], part)))
        rows.append(np.argsort(-scores, axis=1, kind="stable")[:, :SHOWN_MATCHES])
        found.append(np.take_along_axis(scores, rows[-1], axis=1))
    by_query = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return by_query, (np.concatenate(rows), np.concatenate(found))


def score_pairs(method: Similarity, codes: np.ndarray, model: object, task: Task | None, pairs: Pairs) -> np.ndarray:
    """Scores m pairs of encoded photos: (m,) float32."""
    scores = np.empty(len(pairs), np.float32)
    order = np.argsort(pairs.left, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(pairs.left[order])) + 1):
        left, right = codes[pairs.left[rows[:1]]], codes[pairs.right[rows]]
        scores[rows] = method.score_codes(left, right, model, task)[0]
    return scores


def score_all(models: Models, sides: Sides) -> dict[str, Scored]:
    """Scores by every method, with a progress bar."""
    bar = tqdm(models.methods, desc="judging", unit="method")
    scored = {}
    for method in bar:
        bar.set_postfix_str(method.name)
        scored[method.name] = score_method(method, models.of(method), sides)
    return scored


def evaluate(
    bundle: Bundle,
    not_clothes: dict[str, dict[str, Features]] | None = None,
    seeds: Sequence[int] = (),
    replicates: int = REPLICATES,
) -> dict[str, Any]:
    """Judges methods on the photos of the split "test".

    Args:
        bundle: with both splits; its seed samples the test pairs.
        not_clothes: from `not_clothes_features`; None to leave the section "confidence" out.
        seeds: of fresh splits, on which methods are fitted and judged anew.
        replicates: of the bootstrap.

    Returns:
        The report: see the module's docstring.

    Raises:
        DataError: a split has no photos, or there are no pairs; or fresh splits are asked of a bundle with a color
            network, which learned from photos that they would judge on.
    """
    if seeds and bundle.color_network:
        raise DataError(
            "expected no --seeds for a bundle with a color network, which learned from photos that fresh splits would "
            "judge on: train with other seeds, and give these bundles as --others"
        )
    gallery, manifest, models = bundle.gallery, bundle.manifest, bundle.models
    seed = manifest.seed or 0
    sides = two_sides(gallery, seed)
    scored = score_all(models, sides)
    reference = DEFAULT_METHOD if DEFAULT_METHOD in scored else next(iter(scored))
    clusters = near_duplicate_groups(sides.test.embedding)
    drawn = resample(clusters, replicates, seed)
    sources = _sources(sides.ids[0], gallery.labels)

    report: dict[str, Any] = {
        "schema": SCHEMA,
        "data": {
            "title": manifest.title,
            **{key: getattr(manifest.dataset, key) for key in ("name", "revision", "is_drawn", "n_photos")},
            "n_also_fit": manifest.dataset.n_also_fit,
            "backbone": manifest.backbone.name,
            "color_network": asdict(manifest.tuning) if manifest.tuning else None,
        },
        "protocol": {
            "n_train": len(sides.train),
            "n_test": len(sides.test),
            "n_groups": len(np.unique(clusters)),
            "n_pairs": {name: len(pairs) for name, pairs in sides.pairs.items()},
            **_counted_queries(scored[reference]),
            "seed": seed,
            "n_replicates": replicates,
            "split": "by image, near duplicates on one side",
            "notes": [*NOTES, *([COLOR_NETWORK_NOTE] if bundle.color_network else [])],
        },
        "libraries": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("numpy", "scipy", "scikit-learn", "onnxruntime")},
        },
        "methods": {
            s.method.name: {"label": s.method.title, "is_learned": s.method.is_learned} for s in scored.values()
        },
        "published": {name: list(figures) for name, figures in PUBLISHED.items() if name in scored},
        "ceiling": task_blind_ceiling(sides.test_labels, sides.pairs[POOLED]),
    }
    report |= _with_intervals(scored, sides, clusters, drawn, sources, reference)
    report["naive"] = naive_protocol(gallery.features, gallery.labels, gallery.splits == "test", seed)
    report["seeds"] = _over_seeds(gallery, manifest, seeds) if seeds else None
    report["confusion"] = _confusion(sides, models.attributes)
    report |= _curves(scored, sides)
    report["queries"] = _best_and_worst(scored[reference], sides)
    report["confidence"] = (
        judge_confidence(bundle.familiarity, models, sides.test, sides.train, _top_matches(scored), not_clothes, seed)
        if not_clothes and bundle.familiarity
        else None
    )
    report["elsewhere"] = []
    return plain(report)


def evaluate_elsewhere(queries: Gallery, bundle: Bundle, replicates: int = REPLICATES) -> dict[str, Any]:
    """Judges methods on photos of another source, which none was fitted on, that query the whole gallery.

    Args:
        queries: photos with labels, "" where unknown: such photos do not judge that label.
        bundle: whose gallery they search.
        replicates: of the bootstrap.

    Returns:
        "n_photos", "n_queries" {TASK}, "n_replicates", "familiar": the share that `cbir.familiarity` lets pass, null
        where the bundle cannot tell, and "retrieval" {METHOD: TASK: metric: figure}, as in the report; tasks without
        queries are left out.
    """
    drawn = resample(near_duplicate_groups(queries.features.embedding), replicates, bundle.manifest.seed or 0)
    n_queries: dict[str, int] = {}
    retrieval: dict[str, Any] = {}
    for method in bundle.methods:
        model = bundle.models.of(method)
        codes = method.encode(queries.features, model), method.encode(bundle.gallery.features, model)
        retrieval[method.name] = {}
        for task in TASKS.values():
            by_query, _ = rank(method, model, task, (codes[0], queries.labels), (codes[1], bundle.gallery.labels))
            n_queries[task.name] = int((~np.isnan(by_query["map"])).sum())
            if n_queries[task.name]:
                retrieval[method.name][task.name] = {
                    metric: _figure(_mean(values), bootstrap_means(values, drawn), metric)
                    for metric, values in by_query.items()
                }
    familiarity = bundle.familiarity
    passes = np.mean(familiarity.score(queries.features) >= familiarity.threshold) if familiarity else None
    return plain(
        {
            "n_photos": len(queries),
            "n_queries": n_queries,
            "n_replicates": replicates,
            "familiar": passes,
            "retrieval": retrieval,
        }
    )


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """The same as plain JSON values: figures rounded to 4 digits, None for nan."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(part) for part in value]
    if isinstance(value, float | np.floating):
        return round(float(value), 4) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value


def _counted_queries(scored: Scored) -> dict[str, dict[str, int]]:
    unanswerable = {task: np.isnan(metrics["map"]) for task, metrics in scored.by_query.items()}
    return {
        "n_queries": {task: int((~nan).sum()) for task, nan in unanswerable.items()},
        "n_skipped": {task: int(nan.sum()) for task, nan in unanswerable.items()},
    }


def _sources(ids: np.ndarray, labels: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Where test photos come from, by the prefix of their file names: (q,) str, or None where there are no prefixes."""
    matches = [re.match(r"([A-Za-z]+)_", id.rsplit("/", 1)[-1]) for id in ids.tolist()]
    prefixes = np.array([match[1] if match else "" for match in matches])
    names = set(prefixes) - {""}
    # A prefix that repeats a label (`red_dress_01.jpg`) says nothing about the source.
    if len(names) < 2 or names & {value for column in labels.values() for value in column.tolist()}:
        return None
    return prefixes


def _with_intervals(
    scored: dict[str, Scored],
    sides: Sides,
    clusters: np.ndarray,
    drawn: np.ndarray,
    sources: np.ndarray | None,
    reference: str,
) -> dict[str, Any]:
    """The sections "pairs", "pairs_by", "retrieval", "retrieval_by" and "differences"."""
    sections: dict[str, Any] = {"pairs": {}, "pairs_by": {}, "retrieval": {}, "retrieval_by": {}}
    replicates: dict[tuple[str, str, str], np.ndarray] = {}
    values: dict[tuple[str, str, str], float] = {}
    bar = tqdm(scored.items(), desc="resampling", unit="method")
    for name, found in bar:
        bar.set_postfix_str(name)
        is_learned = found.method.is_learned

        def judged_pairs(column: str, rows: np.ndarray) -> tuple[dict[str, float], dict[str, np.ndarray]]:
            pairs, scores = sides.pairs[column], found.pairs[column][rows]  # noqa: B023 - called before the next
            same, left, right = pairs.same[rows], pairs.left[rows], pairs.right[rows]
            return (
                pair_metrics(scores, same, is_learned),  # noqa: B023
                bootstrap_pairs(scores, same, left, right, clusters, drawn, is_learned),  # noqa: B023
            )

        sections["pairs"][name], sections["pairs_by"][name] = {}, {}
        for column, pairs in sides.pairs.items():
            value, replicate = judged_pairs(column, np.arange(len(pairs)))
            sections["pairs"][name][column] = {m: _figure(value[m], replicate[m], m) for m in value}
            values[name, column, "pearson"] = value["pearson"]
            replicates[name, column, "pearson"] = replicate["pearson"]
            if column == POOLED:
                continue
            parts = {"class": _pairs_of_class(pairs, sides.test_labels[column])}
            if sources is not None:
                parts["source"] = _pairs_of_source(pairs, sources)
            sections["pairs_by"][name][column] = {
                by: {
                    group: {"n_pairs": len(rows)}
                    | {m: _figure(v[m], r[m], m) for v, r in [judged_pairs(column, rows)] for m in PAIRS_BY}
                    for group, rows in groups.items()
                    if len(rows) >= LEAST_GROUP
                }
                for by, groups in parts.items()
            }

        sections["retrieval"][name], sections["retrieval_by"][name] = {}, {}
        for task, by_query in found.by_query.items():
            sections["retrieval"][name][task] = {}
            for metric, column_values in by_query.items():
                mean, means = _mean(column_values), bootstrap_means(column_values, drawn)
                sections["retrieval"][name][task][metric] = _figure(mean, means, metric)
                values[name, task, metric], replicates[name, task, metric] = mean, means
            groups = {**sides.test_labels, **({"source": sources} if sources is not None else {})}
            sections["retrieval_by"][name][task] = {
                by: _queries_by(by_query, names, drawn) for by, names in groups.items()
            }
    sections["differences"] = _differences(scored, values, replicates, reference)
    return sections


def _figure(value: float, replicates: np.ndarray, metric: str) -> tuple[float, float, float]:
    return value, *interval(value, replicates, is_biased=metric == "ece")


def _mean(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _pairs_of_class(pairs: Pairs, labels: np.ndarray) -> dict[str, np.ndarray]:
    return {
        name: np.flatnonzero((labels[pairs.left] == name) | (labels[pairs.right] == name))
        for name in np.unique(labels[labels != ""]).tolist()
    }


def _pairs_of_source(pairs: Pairs, sources: np.ndarray) -> dict[str, np.ndarray]:
    left, right = sources[pairs.left], sources[pairs.right]
    within = {name: np.flatnonzero((left == name) & (right == name)) for name in np.unique(sources).tolist()}
    return {**within, "mixed": np.flatnonzero(left != right)}


def _queries_by(by_query: dict[str, np.ndarray], names: np.ndarray, drawn: np.ndarray) -> dict[str, Any]:
    counted = ~np.isnan(by_query["map"])
    found: dict[str, Any] = {}
    for name in np.unique(names[names != ""]).tolist():
        mine = (names == name) & counted
        if mine.sum() >= LEAST_GROUP:
            found[name] = {"n_queries": int(mine.sum())}
            for metric in RETRIEVAL_BY:
                values = by_query[metric][mine]
                found[name][metric] = _figure(_mean(values), bootstrap_means(values, drawn[:, mine]), metric)
    return found


def _differences(
    scored: dict[str, Scored],
    values: dict[tuple[str, str, str], float],
    replicates: dict[tuple[str, str, str], np.ndarray],
    reference: str,
) -> dict[str, Any]:
    def compared(other: str, task: str, metric: str) -> dict[str, float]:
        mine, theirs = (reference, task, metric), (other, task, metric)
        return difference(values[mine] - values[theirs], replicates[mine] - replicates[theirs])

    others = [name for name in scored if name != reference]
    return {
        "reference": reference,
        "n_compared": len(others) * (len(LABELS) + 1 + len(TASKS) * len(RETRIEVAL_BY)),
        "pairs": {
            other: {column: {"pearson": compared(other, column, "pearson")} for column in (POOLED, *LABELS)}
            for other in others
        },
        "retrieval": {
            other: {task: {metric: compared(other, task, metric) for metric in RETRIEVAL_BY} for task in TASKS}
            for other in others
        },
    }


def _over_seeds(gallery: Gallery, manifest: Manifest, seeds: Sequence[int]) -> dict[str, Any]:
    """Mean and standard deviation of the main figures over fresh splits."""
    groups = near_duplicate_groups(gallery.features.embedding)
    share = manifest.test_share or TEST_SHARE
    pairs: dict[str, dict[str, dict[str, list[float]]]] = {}
    retrieval: dict[str, dict[str, dict[str, list[float]]]] = {}
    for seed in seeds:
        is_test = split_by_group(groups, share, seed)
        labels = {name: column[~is_test] for name, column in gallery.labels.items()}
        models = fit_methods(gallery.features.take(~is_test), labels, seed)
        sides = two_sides(replace(gallery, splits=np.where(is_test, "test", "train")), seed)
        for name, found in score_all(models, sides).items():
            for column, scores in found.pairs.items():
                judged = pair_metrics(scores, sides.pairs[column].same, found.method.is_learned)
                _append(pairs, name, column, judged)
            for task, by_query in found.by_query.items():
                _append(retrieval, name, task, {m: _mean(v) for m, v in by_query.items()})
    return {
        "seeds": list(seeds),
        "note": "Mean and standard deviation over fresh splits of the gallery's photos, methods fitted anew on each "
        "train side alone (without photos that the bundle was fitted on beside its gallery).",
        "pairs": _mean_and_deviation(pairs),
        "retrieval": _mean_and_deviation(retrieval),
    }


def over_bundles(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation of the figures of bundles: the section "seeds" of a report.

    Args:
        reports: of bundles of the same photos with different seeds.

    Raises:
        DataError: they are of other photos, backbones or methods, or two have the same seed.
    """
    seeds = [report["protocol"]["seed"] for report in reports]
    if len(set(seeds)) < len(seeds):
        raise DataError(
            f"expected bundles of different seeds, got seeds {seeds}: train them with other values of --seed"
        )
    kinds = [
        {
            **{key: report["data"][key] for key in ("name", "n_photos", "backbone")},
            "color network": bool(report["data"]["color_network"]),
            "methods": list(report["methods"]),
        }
        for report in reports
    ]
    for kind in kinds[1:]:
        if differing := [key for key in kind if kind[key] != kinds[0][key]]:
            found = ", ".join(f"{key} {kinds[0][key]} and {kind[key]}" for key in differing)
            raise DataError(f"expected bundles that differ in their seeds alone, got {found}")
    sections: dict[str, dict] = {}
    for section in ("pairs", "retrieval"):
        sections[section] = {}
        for report in reports:
            for name, by_key in report[section].items():
                for key, metrics in by_key.items():
                    known = {m: float("nan") if v[0] is None else v[0] for m, v in metrics.items()}
                    _append(sections[section], name, key, known)
    return {
        "seeds": seeds,
        "note": "Mean and standard deviation over bundles trained on different splits of the same photos, color "
        "networks included.",
        **{section: _mean_and_deviation(found) for section, found in sections.items()},
    }


def _append(into: dict, name: str, key: str, metrics: Mapping[str, float]) -> None:
    for metric, value in metrics.items():
        into.setdefault(name, {}).setdefault(key, {}).setdefault(metric, []).append(value)


def _mean_and_deviation(value: Any) -> Any:  # noqa: ANN401 - dicts down to lists
    if isinstance(value, dict):
        return {key: _mean_and_deviation(part) for key, part in value.items()}
    return [np.mean(value), np.std(value, ddof=1) if len(value) > 1 else float("nan")]


def _confusion(sides: Sides, attributes: AttributeModel | None) -> dict[str, Any] | None:
    if attributes is None:
        return None
    posteriors = attributes.posteriors(sides.test)
    found = {}
    for label in LABELS:
        learned = np.array(attributes.classes(label))
        known = sides.test_labels[label] != ""
        true, guess = sides.test_labels[label][known], learned[posteriors[label][known].argmax(axis=1)]
        classes = np.union1d(learned, true)
        counts = np.zeros((len(classes), len(classes)), int)
        np.add.at(counts, (np.searchsorted(classes, true), np.searchsorted(classes, guess)), 1)
        found[label] = {"classes": classes.tolist(), "counts": counts}
    return found


def _curves(scored: dict[str, Scored], sides: Sides) -> dict[str, Any]:
    """The sections "histograms", "precision_recall" and "reliability"."""
    sections: dict[str, Any] = {"histograms": {}, "precision_recall": {}, "reliability": {}}
    for name, found in scored.items():
        for column, scores in found.pairs.items():
            same = sides.pairs[column].same
            span = (0.0, 1.0) if found.method.is_learned else (float(scores.min()), float(scores.max()))
            edges = np.histogram_bin_edges(scores, HISTOGRAM_BINS, span)
            sections["histograms"].setdefault(name, {})[column] = {
                "edges": edges,
                "same": np.histogram(scores[same], edges)[0],
                "different": np.histogram(scores[~same], edges)[0],
            }
            curve = precision_recall(scores, same)
            # Points evenly spaced along the recall axis: the last of each run that rounds to the same place.
            places = np.searchsorted(curve["recall"], np.linspace(0, 1, CURVE_POINTS + 1)[1:] - 1e-12)
            places = np.unique(np.minimum(places, len(curve["recall"]) - 1))
            sections["precision_recall"].setdefault(name, {})[column] = {
                key: curve[key][places] for key in ("recall", "precision")
            }
            if found.method.is_learned:
                sections["reliability"].setdefault(name, {})[column] = reliability(scores, same)
    return sections


def _best_and_worst(found: Scored, sides: Sides) -> dict[str, Any]:
    queries: dict[str, Any] = {"method": found.method.name}
    for task in TASKS.values():
        precision = found.by_query[task.name]["map"]
        rows, scores = found.top[task.name]
        counted = np.flatnonzero(~np.isnan(precision))
        relevant = task.relevance(sides.test_labels, sides.train_labels)

        def shown(row: int) -> dict[str, Any]:
            return {
                "id": str(sides.ids[0][row]),
                "labels": {name: str(column[row]) for name, column in sides.test_labels.items()},
                "average_precision": precision[row],  # noqa: B023 - called before the next task
                "matches": [
                    {"id": str(sides.ids[1][item]), "score": score, "is_relevant": bool(relevant[row, item])}  # noqa: B023
                    for item, score in zip(rows[row], scores[row], strict=True)  # noqa: B023
                ],
            }

        # Of equal precision, the one that was surer of its first match is the better.
        order = counted[np.lexsort((counted, -scores[counted, 0], -precision[counted]))]
        queries[task.name] = {
            "best": [shown(row) for row in order[:SHOWN_QUERIES]],
            "worst": [shown(row) for row in order[::-1][:SHOWN_QUERIES]],
        }
    return queries


def _top_matches(scored: dict[str, Scored]) -> dict[str, dict[str, TopMatches]]:
    found: dict[str, dict[str, TopMatches]] = {}
    for name, one in scored.items():
        if one.method.is_learned:
            found[name] = {}
            for task, by_query in one.by_query.items():
                rows = np.flatnonzero(~np.isnan(by_query["map"]))
                found[name][task] = TopMatches(one.top[task][1][rows, 0], by_query["precision@1"][rows] == 1, rows)
    return found


def _report_of(source: str) -> dict[str, Any]:
    report = load_bundle(source).report
    if report is None:
        raise DataError(f"expected a bundle with a report, {source} has none: train it again")
    return report


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", help="folder of the bundle; default: the embedded one")
    parser.add_argument("--out", type=Path, help="write the report into this file")
    parser.add_argument("--readme", type=Path, help="write the tables into this file too")
    spread = parser.add_mutually_exclusive_group()
    spread.add_argument("--seeds", type=int, nargs="+", default=(), help="judge on fresh splits of these seeds too")
    spread.add_argument("--others", nargs="+", default=(), help="bundles with other seeds, for means and deviations")
    parser.add_argument("--section", default="evaluation", help="of the Markdown file (default: %(default)s)")
    parser.add_argument("--weights", type=Path, help="local safetensors file with the backbone's weights")
    args = parser.parse_args(argv)
    bundle = load_bundle(args.bundle)
    others = [_report_of(other) for other in args.others]
    pictures = None
    if bundle.familiarity:
        backbone = load_bundle_backbone(bundle, args.weights)
        pictures = not_clothes_features(backbone, bundle.manifest.seed or 0)
    report = evaluate(bundle, pictures, args.seeds)
    if args.others:
        report["seeds"] = plain(over_bundles([report, *others]))
    print(tables(report))
    if args.out:
        new = args.out.with_name(f".{args.out.name}.new")
        new.write_text(json.dumps(report, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        new.replace(args.out)
    if args.readme:
        write_section(args.readme, args.section, evaluation_section(report))
    return 0


if __name__ == "__main__":
    run_main(main)
