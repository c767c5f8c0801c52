"""Builds the report of scores: figures with intervals, differences, curves and examples.

The second of the two steps of an evaluation; the first is `train.evaluation.scoring`. Intervals come from the bootstrap
of `train.evaluation.metrics`, photos resampled in groups of near duplicates.

"source" is the prefix of file names such as `web_` in `red_shirt/web_123.jpg`, where there are such.

Legend: m pairs, q queries, b replicates.
"""

import os
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata

import numpy as np
from sklearn.metrics import confusion_matrix
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from cbir.bundle import Bundle
from cbir.features import Features
from cbir.labels import BLIND, LABELS, RETRIEVAL_TASKS
from cbir.report import (
    SCHEMA,
    Confusion,
    Data,
    Difference,
    Differences,
    Example,
    ExampleMatch,
    Examples,
    Histogram,
    MethodDifferences,
    MethodReport,
    PairEstimates,
    PairGroup,
    PairGroups,
    Protocol,
    Published,
    Queries,
    QueryGroup,
    QueryGroups,
    Report,
    RetrievalEstimates,
    Seeds,
    Tuning,
    rounded,
)
from train.data.split import PAIRS_PER_TASK, Pairs
from train.evaluation.baselines import evaluate_baselines, task_blind_ceiling
from train.evaluation.familiarity import evaluate_familiarity
from train.evaluation.garments import Copies, evaluate_garments
from train.evaluation.metrics import ECE_BINS, precision_recall, reliability
from train.evaluation.order import Traits, evaluate_order
from train.evaluation.resamples import Resamples, Sampled
from train.evaluation.scoring import MethodScores, Rankings, Split

# Pearson and Spearman of the published table, task-blind, on 11,384 pairs; its split of photos is not known.
PUBLISHED = {
    "cosine": Published(0.387, 0.358),
    "inverse_euclidean": Published(0.298, 0.276),
    "logistic_regression": Published(0.721, 0.719),
    "random_forest": Published(0.696, 0.705),
}
CURVE_POINTS = 40
HISTOGRAM_BINS = 20
EXAMPLES = 6  # best and worst queries, per task
EXAMPLE_MATCHES = 6  # of each
LEAST_GROUP = 20  # pairs or queries, for a figure of their own
NOTES = (
    "Split by image: a photo and its exact and near duplicates stand on one side. Methods were fitted on the train "
    "side alone.",
    f"Pairs: {PAIRS_PER_TASK:,} pairs of test photos per label where there are so many, half of them of the same "
    "label; a task-blind score is evaluated on both labels' pairs pooled, as published.",
    "Retrieval: each test photo searches the train photos; relevant is what agrees in the task's labels. recall@k is "
    "the share of queries with a relevant photo among the first k.",
    "Intervals: 95 % percentile bootstrap over photos, near duplicates together; a pair weighs the product of its "
    "photos' draws. They tell how far other test photos could move a figure, not other train photos: several seeds do.",
    f"Calibration error: {ECE_BINS} bins of equal width; its interval is centred on the figure, which small samples "
    "raise.",
)
COLOR_NETWORK_NOTE = (
    "The color network was tuned on a part of the train photos; methods on pairs, and the temperatures of class "
    "probabilities, were fitted on the rest of them."
)


@dataclass(frozen=True)
class MethodFigures:
    """Figures of a method with their replicates: `pair_metrics` by column, `query_metrics` by task."""

    pairs: dict[str, dict[str, Sampled]]
    retrieval: dict[str, dict[str, Sampled]]


def build_report(
    bundle: Bundle,
    split: Split,
    scores: Mapping[str, MethodScores],
    not_clothes: Mapping[str, Mapping[str, Features]] | None,
    copies: Copies | None,
    traits: Traits | None,
    seeds: Seeds | None,
    replicates: int,
) -> Report:
    """Builds a report.

    Args:
        bundle: that was evaluated.
        split: its two sides.
        scores: of all its methods.
        not_clothes: from `not_clothes_features`; None to leave the section "familiarity" out.
        copies: from `extract_copies`; None to leave the section "garments" out.
        traits: of the gallery's photos, from `read_traits`; None to leave the section "order" out.
        seeds: figures over several seeds, if any.
        replicates: of the bootstrap.
    """
    seed, reference = bundle.manifest.seed or 0, bundle.default_method
    resamples = Resamples.of(split.test.features, replicates, seed)
    sources = sources_of(split.test.ids, bundle.gallery.labels)
    figures, methods = {}, {}
    with tqdm(total=len(scores), desc="resampling", unit="method") as bar:

        def resample_method(of_method: MethodScores) -> tuple[MethodFigures, MethodReport]:
            found = _figures(of_method, split, resamples)
            bar.update()
            return found, _method_report(of_method, found, split, resamples, sources)

        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
            for name, found in zip(scores, pool.map(resample_method, scores.values()), strict=True):
                figures[name], methods[name] = found
    gallery = bundle.gallery
    familiarity = None
    if not_clothes and bundle.familiarity:
        familiarity = evaluate_familiarity(bundle.familiarity, bundle.models, split, scores, not_clothes)
    garments = evaluate_garments(bundle.models, gallery, copies, replicates, seed) if copies else None
    order = None
    if traits:
        test, train = ({k: v[gallery.splits == side] for k, v in traits.items()} for side in ("test", "train"))
        order = evaluate_order(bundle.models, split, test, train, resamples)
    fitted_on_pairs = {name: found.pairs[BLIND] for name, found in scores.items() if found.method.is_on_pairs}
    report = Report(
        schema=SCHEMA,
        data=_data(bundle),
        protocol=_protocol(bundle, split, scores[reference].rankings, resamples, seed),
        libraries={
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in ("numpy", "scipy", "scikit-learn", "onnxruntime")},
        },
        methods=methods,
        ceiling=task_blind_ceiling(split.test.labels, split.pairs[BLIND]),
        differences=_differences(figures, reference),
        garments=garments,
        order=order,
        baselines=evaluate_baselines(gallery.features, gallery.labels, fitted_on_pairs, split.pairs[BLIND], seed),
        seeds=seeds,
        confusion=_confusion(bundle, split),
        queries=_queries(scores[reference], split),
        familiarity=familiarity,
        out_of_domain=(),
    )
    return rounded(report)


def _data(bundle: Bundle) -> Data:
    manifest, dataset, tuning = bundle.manifest, bundle.manifest.dataset, bundle.manifest.tuning
    return Data(
        title=manifest.title,
        name=dataset.name,
        revision=dataset.revision,
        is_drawn=dataset.is_drawn,
        n_photos=dataset.n_photos,
        n_also_fit=dataset.n_also_fit,
        backbone=manifest.backbone.name,
        color_network=Tuning(tuning.n_tuned, tuning.n_untuned) if tuning else None,
    )


def _protocol(
    bundle: Bundle, split: Split, rankings: Mapping[str, Rankings], resamples: Resamples, seed: int
) -> Protocol:
    return Protocol(
        n_train=len(split.train),
        n_test=len(split.test),
        n_groups=len(np.unique(resamples.clusters)),
        n_pairs={column: len(pairs) for column, pairs in split.pairs.items()},
        n_queries={task: int(found.is_answerable.sum()) for task, found in rankings.items()},
        n_skipped={task: int((~found.is_answerable).sum()) for task, found in rankings.items()},
        seed=seed,
        n_replicates=len(resamples.drawn),
        split="by image, near duplicates on one side",
        notes=(*NOTES, *([COLOR_NETWORK_NOTE] if bundle.color_network else [])),
    )


def sources_of(ids: np.ndarray, labels: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Where test photos come from, by the prefix of their file names: (q,) str, or None where there are no prefixes."""
    matches = [re.match(r"([A-Za-z]+)_", id.rsplit("/", 1)[-1]) for id in ids.tolist()]
    prefixes = np.array([match[1] if match else "" for match in matches])
    names = set(prefixes) - {""}
    # A prefix that repeats a label (`red_dress_01.jpg`) says nothing about the source.
    if len(names) < 2 or names & {value for column in labels.values() for value in column.tolist()}:
        return None
    return prefixes


# --- one method ---


def _figures(scores: MethodScores, split: Split, resamples: Resamples) -> MethodFigures:
    is_probability = scores.method.is_probability
    return MethodFigures(
        {column: resamples.pairs(scores.pairs[column], pairs, is_probability) for column, pairs in split.pairs.items()},
        {
            task: {metric: resamples.means(values) for metric, values in found.by_query.items()}
            for task, found in scores.rankings.items()
        },
    )


def _method_report(
    scores: MethodScores, figures: MethodFigures, split: Split, resamples: Resamples, sources: np.ndarray | None
) -> MethodReport:
    method, test = scores.method, split.test
    return MethodReport(
        title=method.title,
        is_learned=method.is_learned,
        is_probability=method.is_probability,
        published=PUBLISHED.get(method.name),
        pairs={column: _pair_estimates(found) for column, found in figures.pairs.items()},
        pairs_by={label: _pair_groups(scores, label, split, resamples, sources) for label in LABELS},
        retrieval={task: retrieval_estimates(found) for task, found in figures.retrieval.items()},
        retrieval_by={
            task: QueryGroups(
                {label: _query_groups(rankings, test.labels[label], resamples) for label in LABELS},
                None if sources is None else _query_groups(rankings, sources, resamples),
            )
            for task, rankings in scores.rankings.items()
        },
        histograms={column: _histogram(scores, column, split) for column in split.pairs},
        precision_recall={
            column: precision_recall(scores.pairs[column], pairs.same, CURVE_POINTS)
            for column, pairs in split.pairs.items()
        },
        reliability={column: reliability(scores.pairs[column], pairs.same) for column, pairs in split.pairs.items()}
        if method.is_probability
        else None,
    )


def _pair_estimates(found: Mapping[str, Sampled]) -> PairEstimates:
    return PairEstimates(
        pearson=found["pearson"].estimate(),
        spearman=found["spearman"].estimate(),
        roc_auc=found["roc_auc"].estimate(),
        ece=found["ece"].estimate(is_biased=True) if "ece" in found else None,
    )


def retrieval_estimates(found: Mapping[str, Sampled]) -> RetrievalEstimates:
    """Figures of `query_metrics` with intervals."""
    return RetrievalEstimates(**{metric: sampled.estimate() for metric, sampled in found.items()})


def _pair_groups(
    scores: MethodScores, label: str, split: Split, resamples: Resamples, sources: np.ndarray | None
) -> PairGroups:
    pairs, labels = split.pairs[label], split.test.labels[label]
    by_class = {
        name: np.flatnonzero((labels[pairs.left] == name) | (labels[pairs.right] == name))
        for name in np.unique(labels[labels != ""]).tolist()
    }
    by_source = None
    if sources is not None:
        left, right = sources[pairs.left], sources[pairs.right]
        by_source = {n: np.flatnonzero((left == n) & (right == n)) for n in np.unique(sources).tolist()}
        by_source["mixed"] = np.flatnonzero(left != right)
    return PairGroups(
        _large_pair_groups(scores, label, pairs, by_class, resamples),
        None if by_source is None else _large_pair_groups(scores, label, pairs, by_source, resamples),
    )


def _large_pair_groups(
    scores: MethodScores, label: str, pairs: Pairs, groups: Mapping[str, np.ndarray], resamples: Resamples
) -> dict[str, PairGroup]:
    large = {}
    for name, rows in groups.items():
        if len(rows) >= LEAST_GROUP:
            chosen = Pairs(pairs.left[rows], pairs.right[rows], pairs.same[rows])
            found = resamples.pairs(scores.pairs[label][rows], chosen, is_probability=False)
            large[name] = PairGroup(len(rows), found["pearson"].estimate(), found["roc_auc"].estimate())
    return large


def _query_groups(rankings: Rankings, names: np.ndarray, resamples: Resamples) -> dict[str, QueryGroup]:
    groups = {}
    for name in np.unique(names[names != ""]).tolist():
        rows = np.flatnonzero((names == name) & rankings.is_answerable)
        if len(rows) >= LEAST_GROUP:
            precision, average = (
                resamples.means(rankings.by_query[metric], rows).estimate() for metric in ("precision_at_10", "map")
            )
            groups[name] = QueryGroup(len(rows), precision, average)
    return groups


def _histogram(scores: MethodScores, column: str, split: Split) -> Histogram:
    values, same = scores.pairs[column], split.pairs[column].same
    span = (0.0, 1.0) if scores.method.is_learned else (float(values.min()), float(values.max()))
    edges = np.histogram_bin_edges(values, HISTOGRAM_BINS, span)
    counts = (np.histogram(values[chosen], edges)[0] for chosen in (same, ~same))
    return Histogram(tuple(edges.tolist()), *(tuple(count.tolist()) for count in counts))


# --- all methods ---


def _differences(figures: Mapping[str, MethodFigures], reference: str) -> Differences:
    mine = figures[reference]
    others = {
        name: MethodDifferences(
            pearson=_by_key(mine.pairs, theirs.pairs, (BLIND, *LABELS), "pearson"),
            precision_at_10=_by_key(mine.retrieval, theirs.retrieval, RETRIEVAL_TASKS, "precision_at_10"),
            map=_by_key(mine.retrieval, theirs.retrieval, RETRIEVAL_TASKS, "map"),
        )
        for name, theirs in figures.items()
        if name != reference
    }
    return Differences(reference, len(others) * (1 + len(LABELS) + 2 * len(RETRIEVAL_TASKS)), others)


def _by_key(
    mine: Mapping[str, Mapping[str, Sampled]],
    theirs: Mapping[str, Mapping[str, Sampled]],
    keys: Iterable[str],
    metric: str,
) -> dict[str, Difference]:
    return {key: mine[key][metric].minus(theirs[key][metric]) for key in keys}


def _confusion(bundle: Bundle, split: Split) -> dict[str, Confusion] | None:
    attributes = bundle.attributes
    if attributes is None:
        return None
    posteriors = attributes.posteriors(split.test.features)
    return {
        label: confusion(split.test.labels[label], posteriors[label], attributes.classes(label)) for label in LABELS
    }


def confusion(labels: np.ndarray, posteriors: np.ndarray, classes: Sequence[str]) -> Confusion:
    """Counts true classes against the most probable ones.

    Args:
        labels: (q,) str, "" where unknown: such photos do not count.
        posteriors: (q, k), of the classes.
        classes: that a model knows; photos may show others.
    """
    known = labels != ""
    guesses = np.array(classes)[posteriors[known].argmax(axis=1)]
    names = np.union1d(classes, labels[known]).tolist()
    counts = confusion_matrix(labels[known], guesses, labels=names)
    return Confusion(tuple(names), tuple(tuple(row) for row in counts.tolist()))


def _queries(scores: MethodScores, split: Split) -> Queries:
    return Queries(
        scores.method.name,
        {name: _examples(rankings, split) for name, rankings in scores.rankings.items()},
    )


def _examples(rankings: Rankings, split: Split) -> Examples:
    precision, answerable = rankings.by_query["map"], np.flatnonzero(rankings.is_answerable)
    # Of equal precision, the one that was surer of its first match is the better.
    order = answerable[np.lexsort((answerable, -rankings.scores[answerable, 0], -precision[answerable]))]
    best, worst = (
        tuple(_example(row, rankings, split) for row in rows[:EXAMPLES].tolist()) for rows in (order, order[::-1])
    )
    return Examples(best, worst)


def _example(row: int, rankings: Rankings, split: Split) -> Example:
    query, items = split.test, rankings.items[row, :EXAMPLE_MATCHES]
    shown = (
        split.train.ids[items],
        rankings.scores[row, :EXAMPLE_MATCHES],
        rankings.is_relevant[row, :EXAMPLE_MATCHES],
    )
    matches = zip(*(column.tolist() for column in shown), strict=True)
    return Example(
        id=str(query.ids[row]),
        labels={label: str(column[row]) for label, column in query.labels.items()},
        average_precision=float(rankings.by_query["map"][row]),
        matches=tuple(ExampleMatch(*match) for match in matches),
    )
