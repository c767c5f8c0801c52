"""Scores by every method: of pairs of test photos, and of test photos that search the train photos.

The first of the two steps of an evaluation: what is scored here, `train.evaluation.report` turns into figures.

Legend: q queries, g gallery items, m pairs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from cbir.errors import DataError
from cbir.features import Features
from cbir.gallery import Gallery
from cbir.labels import BLIND, LABELS, RETRIEVAL_TASKS, TASKS, Task
from cbir.similarity import EVEN_WEIGHT, Models, Similarity
from cbir.similarity.codes import Codes, take
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
    """Scores pairs and queries by every method that there is a model for, with a progress bar."""
    bar = tqdm(models.methods, desc="scoring", unit="method")
    scores = {}
    for method in bar:
        bar.set_postfix_str(method.name)
        scores[method.name] = score_method(method, models.of(method), split)
    return scores


def score_method(method: Similarity, model: object, split: Split) -> MethodScores:
    """Scores the test pairs, and ranks the train photos for every test photo."""
    queries, items = method.encode(split.test.features, model), method.encode(split.train.features, model)
    pairs = {column: score_pairs(method, queries, model, TASKS[column], pairs) for column, pairs in split.pairs.items()}
    rankings = {
        name: rank(method, model, TASKS[name], (queries, split.test), (items, split.train)) for name in RETRIEVAL_TASKS
    }
    return MethodScores(method, pairs, rankings)


def score_pairs(method: Similarity, codes: Codes, model: object, task: Task, pairs: Pairs) -> np.ndarray:
    """Scores m pairs of encoded photos: (m,) float32."""
    scores = np.empty(len(pairs), np.float32)
    order = np.argsort(pairs.left, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(pairs.left[order])) + 1):
        left, right = take(codes, pairs.left[rows[:1]]), take(codes, pairs.right[rows])
        scores[rows] = method.compare(left, right, model, task, EVEN_WEIGHT)[0]
    return scores


def rank(
    method: Similarity, model: object, task: Task, queries: tuple[Codes, Side], items: tuple[Codes, Side]
) -> Rankings:
    """Ranks items for each query.

    Args:
        method: ranks them.
        model: what it learned.
        task: says what is relevant.
        queries: codes of q photos, and whose they are.
        items: codes of g photos, and whose they are.
    """
    (query_codes, asking), (item_codes, searched) = queries, items
    id_order = np.argsort(np.argsort(searched.ids))
    parts = []
    for start in range(0, len(asking), QUERIES_AT_A_TIME):
        part = slice(start, start + QUERIES_AT_A_TIME)
        scores = method.compare(take(query_codes, part), item_codes, model, task, EVEN_WEIGHT)
        order = ranking(scores, id_order)
        relevance = task.relevance(asking.labels, searched.labels, part)
        first = order[:, :FIRST_MATCHES]
        ranked = np.take_along_axis(relevance, order, axis=1)
        of_first = np.take_along_axis(scores, first, axis=1)
        parts.append(Rankings(query_metrics(ranked), first, of_first, ranked[:, :FIRST_MATCHES]))
    return Rankings(
        {name: np.concatenate([part.by_query[name] for part in parts]) for name in parts[0].by_query},
        np.concatenate([part.items for part in parts]),
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.is_relevant for part in parts]),
    )
