"""Scores by every method: of pairs of test photos, and of test photos that search the train photos.

The first of the two steps of an evaluation: what is scored here, `train.evaluation.report` turns into figures.

Legend: q queries, g gallery items, m pairs.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from cbir.errors import DataError
from cbir.features import Features
from cbir.gallery import Gallery
from cbir.labels import BLIND, LABELS, RETRIEVAL_TASKS, TASKS, Task
from cbir.similarity import EVEN_WEIGHT, Models, Similarity
from cbir.similarity.codes import Codes, take, weighed
from train.data.split import PAIRS_PER_TASK, Pairs, check_pairs, sample_pairs
from train.evaluation.metrics import query_metrics, ranking

QUERIES_AT_A_TIME = 256  # bounds memory
FIRST_MATCHES = 10  # kept of each query


@dataclass(frozen=True)
class Side:
    """n photos of one side of a gallery: ids, features and label columns."""

    ids: np.ndarray
    features: Features
    labels: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.ids)

    @staticmethod
    def of(gallery: Gallery, rows: np.ndarray | slice = slice(None)) -> "Side":
        """Takes rows of a gallery."""
        labels = {name: gallery.labels[name][rows] for name in LABELS}
        return Side(gallery.ids[rows], gallery.features.take(rows).single(), labels)


@dataclass(frozen=True)
class Split:
    """The two sides of a gallery.

    Attributes:
        test: q photos that query.
        train: g photos that are searched.
        pairs: of test photos, by column of the pair table.
    """

    test: Side
    train: Side
    pairs: Mapping[str, Pairs]


@dataclass(frozen=True)
class Rankings:
    """How a method ranks g items for q queries.

    Attributes:
        by_query: `query_metrics`, each (q,).
        items: (q, k) int, rows of the first matches, best first.
        scores: (q, k) float32, of these.
        is_relevant: (q, k) bool, whether these are relevant.
    """

    by_query: dict[str, np.ndarray]
    items: np.ndarray
    scores: np.ndarray
    is_relevant: np.ndarray

    @property
    def is_answerable(self) -> np.ndarray:
        """(q,) bool, whether there is anything relevant to find."""
        return ~np.isnan(self.by_query["map"])


@dataclass(frozen=True)
class MethodScores:
    """What a method gave: (m,) float32 scores of pairs by column, and rankings by task."""

    method: Similarity
    pairs: dict[str, np.ndarray]
    rankings: dict[str, Rankings]


def split_gallery(gallery: Gallery, seed: int) -> Split:
    """Separates test and train photos and samples the test pairs.

    Raises:
        DataError: a side has no photos, or there are no pairs.
    """
    test, train = (np.flatnonzero(gallery.splits == side) for side in ("test", "train"))
    if not len(test) or not len(train):
        raise DataError(f"evaluation needs train and test photos, got {len(train)} and {len(test)}")
    check_pairs(gallery.labels, test, "test photos")
    sides = Side.of(gallery, test), Side.of(gallery, train)
    pairs = {name: sample_pairs(sides[0].labels[name], PAIRS_PER_TASK, seed) for name in LABELS}
    return Split(*sides, {BLIND: Pairs.concatenate(list(pairs.values())), **pairs})


def score_all(models: Models, split: Split) -> dict[str, MethodScores]:
    """Scores pairs and queries by every method that there is a model for, side by side, with a progress bar."""
    methods = models.methods
    with tqdm(total=len(methods), desc="scoring", unit="method") as bar:

        def score(method: Similarity) -> MethodScores:
            found = score_method(method, models.of(method), split)
            bar.update()
            return found

        # One thread each: products of matrices by several wait for each other.
        with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
            return {method.name: found for method, found in zip(methods, pool.map(score, methods), strict=True)}


def score_method(method: Similarity, model: object, split: Split) -> MethodScores:
    """Scores the test pairs, and ranks the train photos for every test photo."""
    queries, items = method.encode(split.test.features, model), method.encode(split.train.features, model)
    pairs = {column: score_pairs(method, queries, model, TASKS[column], pairs) for column, pairs in split.pairs.items()}
    return MethodScores(method, pairs, rank(method, model, (queries, split.test), (items, split.train)))


def score_pairs(method: Similarity, codes: Codes, model: object, task: Task, pairs: Pairs) -> np.ndarray:
    """Scores m pairs of encoded photos: (m,) float32."""
    scores = np.empty(len(pairs), np.float32)
    order = np.argsort(pairs.left, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(pairs.left[order])) + 1):
        left, right = take(codes, pairs.left[rows[:1]]), take(codes, pairs.right[rows])
        scores[rows] = method.compare(left, right, model, task, EVEN_WEIGHT)[0]
    return scores


def rank(
    method: Similarity, model: object, queries: tuple[Codes, Side], items: tuple[Codes, Side]
) -> dict[str, Rankings]:
    """Ranks items for each query, by each of `RETRIEVAL_TASKS`.

    Args:
        method: ranks them.
        model: what it learned.
        queries: codes of q photos, and whose they are.
        items: codes of g photos, and whose they are.
    """
    (query_codes, asking), (item_codes, searched) = queries, items
    id_order = np.argsort(np.argsort(searched.ids))
    parts: dict[str, list[Rankings]] = {name: [] for name in RETRIEVAL_TASKS}
    for start in range(0, len(asking), QUERIES_AT_A_TIME):
        part = slice(start, start + QUERIES_AT_A_TIME)
        order = np.empty((0, 0), int)
        for name, scores in _scores_by_task(method, model, take(query_codes, part), item_codes):
            if method.is_learned or not order.size:  # other methods give every task the same
                order = ranking(scores, id_order)
            first = order[:, :FIRST_MATCHES]
            relevance = TASKS[name].relevance(asking.labels, searched.labels, part)
            ranked = np.take_along_axis(relevance, order, axis=1)
            of_first = np.take_along_axis(scores, first, axis=1)
            parts[name].append(Rankings(query_metrics(ranked), first, of_first, ranked[:, :FIRST_MATCHES]))
    return {name: _joined(of_task) for name, of_task in parts.items()}


def _scores_by_task(
    method: Similarity, model: object, queries: Codes, items: Codes
) -> Iterator[tuple[str, np.ndarray]]:
    """The scores (q, g) of each of `RETRIEVAL_TASKS`; of both labels, they follow from those of each."""
    if not method.is_learned:
        scores = method.compare(queries, items, model, TASKS[RETRIEVAL_TASKS[0]], EVEN_WEIGHT)
        yield from ((name, scores) for name in RETRIEVAL_TASKS)
        return
    by_label: dict[str, np.ndarray] = {}
    for name in sorted(RETRIEVAL_TASKS, key=lambda name: len(TASKS[name].labels)):
        labels = TASKS[name].labels
        for label in labels:
            if label not in by_label:
                by_label[label] = method.compare(queries, items, model, TASKS[label], EVEN_WEIGHT)
        yield name, weighed({label: by_label[label] for label in labels}, EVEN_WEIGHT)


def _joined(parts: Sequence[Rankings]) -> Rankings:
    return Rankings(
        {name: np.concatenate([part.by_query[name] for part in parts]) for name in parts[0].by_query},
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.is_relevant for part in parts]),
    )
