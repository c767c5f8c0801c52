"""The same query under every method: what each finds, how far they agree, and how often each agrees with the labels.

Legend: q photos of a query, k matches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from cbir.index import Query
from cbir.labels import LABELS, Task
from cbir.options import DEFAULT_OPTIONS, SearchOptions
from cbir.ranking import SearchResult
from cbir.search import QueryLabels, Retriever

PERSISTENCE = 0.9  # of `rank_biased_overlap`: the first ten ranks then make up 86 % of it


@dataclass(frozen=True)
class MethodMatches:
    """What one method found.

    Attributes:
        result: its matches, in order of rank.
        precision: share of the judged matches whose labels are those that should match, from 0 to 1 (precision@k);
            the mean over the query's photos. None where no match can be judged.
        n_judged: number of matches whose labels are all known: the others are not judged.
        agrees: for each match, whether it agrees with every photo of the query.
    """

    result: SearchResult
    precision: float | None
    n_judged: int
    agrees: list[bool]


@dataclass(frozen=True)
class Agreement:
    """How far the matches of two methods agree.

    Attributes:
        methods: their names.
        overlap: share of matches that both found, from 0 to 1, whatever their ranks (overlap@k).
        rbo: rank-biased overlap, from 0 to 1: see `rank_biased_overlap`.
    """

    methods: tuple[str, str]
    overlap: float
    rbo: float


@dataclass(frozen=True)
class Comparison:
    """One query under every method that a bundle can score with.

    Attributes:
        by_method: by name, in the order of the registry.
        agreements: of every two methods.
        labels: what the query's photos show, which is what matches are judged by.
        judged_by: the labels that should agree.
        is_certain: whether these labels of the query are known; else matches are judged by the most probable ones,
            hence by a model that some of the methods share.
    """

    by_method: dict[str, MethodMatches]
    agreements: list[Agreement]
    labels: QueryLabels
    judged_by: tuple[str, ...]
    is_certain: bool

    @property
    def n_photos(self) -> int:
        """Number of photos of the query."""
        return len(self.labels.values[LABELS[0]])


def compare(retriever: Retriever, query: Query, options: SearchOptions = DEFAULT_OPTIONS) -> Comparison:
    """Ranks a query by every method.

    Args:
        retriever: what to search.
        query: from `Retriever.query`, so that photos are read and embedded once for all methods.
        options: as for a search. The method is ignored; a weight goes to the methods that can weigh.

    Raises:
        UnknownNameError: no such type or color.
        CbirError: the options ask for what the bundle cannot do, or no method can weigh.
    """
    if options.weight is not None:
        weighing = next((m.name for m in retriever.methods if m.is_learned), retriever.methods[0].name)
        retriever.check(replace(options, method=weighing))
    labels = retriever.labels(query)
    judged_by = retriever.task(options).labels
    by_method = {}
    for method in retriever.methods:
        weight = options.weight if method.is_learned or options.description else None
        result = retriever.rank(query, replace(options, method=method.name, weight=weight))
        by_method[method.name] = _judged(result, labels, options.scored_task)
    ids = {name: [match.id for match in matches.result.matches] for name, matches in by_method.items()}
    agreements = [
        Agreement((a, b), overlap(ids[a], ids[b]), rank_biased_overlap(ids[a], ids[b]))
        for a, b in combinations(by_method, 2)
    ]
    is_certain = all(labels.known[name].all() for name in judged_by)
    return Comparison(by_method, agreements, labels, judged_by, is_certain)


def overlap(left: Sequence[str], right: Sequence[str]) -> float:
    """Share of items that two lists have in common, of the longer one; 1 where both are empty."""
    return len(set(left) & set(right)) / max(len(left), len(right), 1) if left or right else 1.0


def rank_biased_overlap(left: Sequence[str], right: Sequence[str], persistence: float = PERSISTENCE) -> float:
    """Rank-biased overlap of two rankings, extrapolated from the part that is seen (RBO_ext).

    The mean overlap of the first 1, 2, 3, ... items, where each next depth weighs `persistence` times the one before:
    agreement at the top counts most. The agreement seen at the end is taken to go on below it.

    W. Webber, A. Moffat, J. Zobel: A similarity measure for indefinite rankings. ACM Transactions on Information
    Systems 28(4), 2010, equation 32.

    Args:
        left: distinct ids, best first.
        right: distinct ids, best first; the lengths may differ.
        persistence: above 0 and below 1.

    Returns:
        From 0 (nothing in common) to 1 (the same ranking); 1 for two empty rankings, 0 for one empty one.
    """
    short, long = sorted((left, right), key=len)
    if not short:
        return float(not long)
    p, s, n = persistence, len(short), len(long)
    common = [len(set(short[:depth]) & set(long[:depth])) for depth in range(1, n + 1)]  # X_d
    seen = sum(x / depth * p**depth for depth, x in enumerate(common, start=1))
    # Below its end, the shorter ranking is taken to go on agreeing as it did.
    assumed = sum(common[s - 1] * (depth - s) / (s * depth) * p**depth for depth in range(s + 1, n + 1))
    at_end = (common[-1] - common[s - 1]) / n + common[s - 1] / s
    return (1 - p) / p * (seen + assumed) + at_end * p**n


def _judged(result: SearchResult, labels: QueryLabels, task: Task) -> MethodMatches:
    """Which matches agree with the query."""
    is_judged = np.array([all(match.labels[name] for name in task.labels) for match in result.matches], bool)
    if not is_judged.any() or any((labels.values[name] == "").any() for name in task.labels):
        return MethodMatches(result, None, 0, [False] * len(result.matches))
    found = {name: np.array([match.labels[name] for match in result.matches]) for name in task.labels}
    agrees = task.relevance(labels.values, found)  # (q, k)
    precision = float(agrees[:, is_judged].mean())
    return MethodMatches(result, precision, int(is_judged.sum()), np.all(agrees, axis=0).tolist())
