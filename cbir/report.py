"""Reports: how good a bundle's methods are, as `train.evaluate` found it. Tables of it: `cbir.report_tables`.

A report is stored as JSON, laid out like the types here. Figures are rounded to 4 digits; one that cannot be measured,
e.g. the correlation of constant scores, is None, and null in the file. Mappings go by the names of methods
(`SIMILARITIES`), tasks (`RETRIEVAL_TASKS`), labels (`LABELS`) and columns: `BLIND`, then the labels.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, TypeVar

from cbir.errors import BundleError
from cbir.labels import BLIND, LABELS, RETRIEVAL_TASKS
from cbir.storage import Keys, Shape, build, flatten

T = TypeVar("T")
SCHEMA = 3
COLUMNS = (BLIND, *LABELS)  # of figures of pairs
DIGITS = 4


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation of a figure over several seeds."""

    mean: float | None
    deviation: float | None


@dataclass(frozen=True)
class Difference:
    """Reference minus another method, on the same resamples; p is for this one comparison alone."""

    value: float | None
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True)
class PairScores:
    """How well scores tell pairs of the same label from others, without intervals."""

    pearson: float | None
    spearman: float | None
    roc_auc: float | None


@dataclass(frozen=True)
class PairEstimates:
    """The same with intervals. ece is the expected calibration error, of methods whose scores are probabilities."""

    pearson: Estimate
    spearman: Estimate
    roc_auc: Estimate
    ece: Estimate | None


@dataclass(frozen=True)
class PairSpreads:
    """The same over seeds."""

    pearson: Spread
    spearman: Spread
    roc_auc: Spread
    ece: Spread | None


@dataclass(frozen=True)
class RetrievalEstimates:
    """How good rankings are; see `train.evaluation.metrics.query_metrics`."""

    precision_at_1: Estimate
    precision_at_10: Estimate
    recall_at_5: Estimate
    recall_at_10: Estimate
    map: Estimate
    ndcg_at_10: Estimate


@dataclass(frozen=True)
class RetrievalSpreads:
    """The same over seeds."""

    precision_at_1: Spread
    precision_at_10: Spread
    recall_at_5: Spread
    recall_at_10: Spread
    map: Spread
    ndcg_at_10: Spread


@dataclass(frozen=True)
class PairGroup:
    """Figures of some of the pairs."""

    n_pairs: int
    pearson: Estimate
    roc_auc: Estimate


@dataclass(frozen=True)
class PairGroups:
    """Pairs with a photo of a class; and with both photos of a source ("mixed": of two), where there are sources."""

    by_class: Mapping[str, PairGroup]
    by_source: Mapping[str, PairGroup] | None


@dataclass(frozen=True)
class QueryGroup:
    """Figures of some of the queries."""

    n_queries: int
    precision_at_10: Estimate
    map: Estimate


@dataclass(frozen=True)
class QueryGroups:
    """Queries by the class of each label; and by source, where there are sources."""

    by_label: Mapping[str, Mapping[str, QueryGroup]]
    by_source: Mapping[str, QueryGroup] | None


@dataclass(frozen=True)
class Histogram:
    """Pairs by score: n + 1 edges of n bins, and the number of pairs of the same and of different labels in each."""

    edges: tuple[float, ...]
    same: tuple[int, ...]
    different: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raises ValueError where edges and counts do not belong together."""
        _check_histogram(self.edges, self.same, self.different)


@dataclass(frozen=True)
class Curve:
    """Precision at each recall, in order of recall."""

    recall: Annotated[tuple[float, ...], Shape("n")]
    precision: Annotated[tuple[float, ...], Shape("n")]


@dataclass(frozen=True)
class Reliability:
    """Pairs by score, in bins that hold any: a calibrated probability is the share of pairs of the same label."""

    mean_score: Annotated[tuple[float, ...], Shape("n")]
    share_same: Annotated[tuple[float, ...], Shape("n")]
    n_pairs: Annotated[tuple[int, ...], Shape("n")]

    def __post_init__(self) -> None:
        """Raises ValueError where a bin holds no pair."""
        if min(self.n_pairs, default=0) < 1:
            raise ValueError(f"expected bins that hold pairs, got {list(self.n_pairs)[:20]}")


@dataclass(frozen=True)
class Published:
    """What the published table says of a method, pooled."""

    pearson: float
    spearman: float


@dataclass(frozen=True)
class MethodReport:
    """How good one method is.

    Attributes:
        title: what people read.
        is_learned: whether it was fitted; its scores are then from 0 to 1.
        is_probability: whether its scores are probabilities.
        published: its row of the published table; None where it has none.
        pairs: by column.
        pairs_by: by label.
        retrieval: by task.
        retrieval_by: by task.
        histograms: by column.
        precision_recall: by column.
        reliability: by column; None where scores are not probabilities.
    """

    title: str
    is_learned: bool
    is_probability: bool
    published: Published | None
    pairs: Annotated[Mapping[str, PairEstimates], Keys(*COLUMNS)]
    pairs_by: Mapping[str, PairGroups]
    retrieval: Annotated[Mapping[str, RetrievalEstimates], Keys(*RETRIEVAL_TASKS)]
    retrieval_by: Mapping[str, QueryGroups]
    histograms: Annotated[Mapping[str, Histogram], Keys(*COLUMNS)]
    precision_recall: Annotated[Mapping[str, Curve], Keys(*COLUMNS)]
    reliability: Annotated[Mapping[str, Reliability], Keys(*COLUMNS)] | None


@dataclass(frozen=True)
class Tuning:
    """Photos of the train side that a color network was tuned on, and those kept from it."""

    n_tuned: int
    n_untuned: int


@dataclass(frozen=True)
class Data:
    """What was evaluated; n_also_fit counts photos outside the gallery that methods were fitted on."""

    title: str
    name: str
    revision: str | None
    is_drawn: bool
    n_photos: int
    n_also_fit: int
    backbone: str
    color_network: Tuning | None


@dataclass(frozen=True)
class Protocol:
    """How it was evaluated.

    Attributes:
        n_train: photos that are searched, and that methods were fitted on.
        n_test: photos that query, and that pairs are of.
        n_groups: of near duplicates among the test photos.
        n_pairs: by column.
        n_queries: by task, those with a relevant photo to find.
        n_skipped: by task, the others.
        seed: of split, pairs and resamples.
        n_replicates: of the bootstrap.
        split: how photos were divided, in words.
        notes: sentences for readers.
    """

    n_train: int
    n_test: int
    n_groups: int
    n_pairs: Annotated[Mapping[str, int], Keys(*COLUMNS)]
    n_queries: Annotated[Mapping[str, int], Keys(*RETRIEVAL_TASKS)]
    n_skipped: Annotated[Mapping[str, int], Keys(*RETRIEVAL_TASKS)]
    seed: int
    n_replicates: int
    split: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class MethodDifferences:
    """The reference against one other method: Pearson by column; the others by task."""

    pearson: Mapping[str, Difference]
    precision_at_10: Mapping[str, Difference]
    map: Mapping[str, Difference]


@dataclass(frozen=True)
class Differences:
    """The reference method against each of the others; n_compared comparisons in all."""

    reference: str
    n_compared: int
    methods: Mapping[str, MethodDifferences]


@dataclass(frozen=True)
class CopyEstimates:
    """How high edited copies rank the photo that they were made of.

    Attributes:
        recall_at_1: share of copies that rank it first.
        recall_at_10: among the first ten.
        mrr: mean of 1 / rank.
    """

    recall_at_1: Estimate
    recall_at_10: Estimate
    mrr: Estimate


@dataclass(frozen=True)
class Garments:
    """Whether a search finds the very garment: see `train.evaluation.garments`.

    Attributes:
        note: for readers.
        n_photos: that copies were made of, by every edit.
        n_searched: photos of the gallery.
        edits: in words.
        methods: by method, then by edit, and "mean" over the edits.
        likeness: by edit, of the likeness alone; None where it was not fitted.
    """

    note: str
    n_photos: int
    n_searched: int
    edits: tuple[str, ...]
    methods: Mapping[str, Mapping[str, CopyEstimates]]
    likeness: Mapping[str, CopyEstimates] | None


@dataclass(frozen=True)
class OrderInClass:
    """Whether, inside the right class, those come first that agree in more traits: see `train.evaluation.order`.

    Attributes:
        traits: their names.
        n_queries: that have an order to find.
        methods: nDCG of the first ten, by method.
        likeness: of the likeness alone; None where it was not fitted.
    """

    traits: tuple[str, ...]
    n_queries: int
    methods: Mapping[str, Estimate]
    likeness: Estimate | None


@dataclass(frozen=True)
class Baselines:
    """What a careless protocol reports, beside a careful one: see `train.evaluation.baselines`.

    Attributes:
        note: for readers.
        n_fitted: pairs that each model was fitted on.
        n_evaluated: pairs, by the way of evaluating.
        models: by name, then by way.
    """

    note: str
    n_fitted: int
    n_evaluated: Mapping[str, int]
    models: Mapping[str, Mapping[str, PairScores]]


@dataclass(frozen=True)
class MethodSpreads:
    """How the figures of a method spread: by column, by task, and R@1 of copies by edit, where they were made."""

    pairs: Annotated[Mapping[str, PairSpreads], Keys(*COLUMNS)]
    retrieval: Annotated[Mapping[str, RetrievalSpreads], Keys(*RETRIEVAL_TASKS)]
    garments: Mapping[str, Spread] | None


@dataclass(frozen=True)
class Seeds:
    """Figures over several seeds; the note says what else they differ in, likeness is R@1 by edit of that alone."""

    seeds: tuple[int, ...]
    note: str
    methods: Mapping[str, MethodSpreads]
    likeness: Mapping[str, Spread] | None


@dataclass(frozen=True)
class Confusion:
    """Photos by their class, in rows, and by the most probable one."""

    classes: Annotated[tuple[str, ...], Shape("k")]
    counts: Annotated[tuple[tuple[int, ...], ...], Shape("k")]

    def __post_init__(self) -> None:
        """Raises ValueError where a row has not a count for each class."""
        if any(len(row) != len(self.classes) or min(row) < 0 for row in self.counts):
            raise ValueError(f"expected rows of {len(self.classes)} counts")


@dataclass(frozen=True)
class ExampleMatch:
    """A match of an example."""

    id: str
    score: float
    is_relevant: bool


@dataclass(frozen=True)
class Example:
    """A query with its first matches."""

    id: str
    labels: Mapping[str, str]
    average_precision: float
    matches: tuple[ExampleMatch, ...]


@dataclass(frozen=True)
class Examples:
    """Queries that went best, and worst: the best or worst comes first."""

    best: tuple[Example, ...]
    worst: tuple[Example, ...]


@dataclass(frozen=True)
class Queries:
    """Examples of one method, by task."""

    method: str
    tasks: Annotated[Mapping[str, Examples], Keys(*RETRIEVAL_TASKS)]


@dataclass(frozen=True)
class Shares:
    """What a rule lets pass and holds back.

    Attributes:
        passes: share of the queries whose best match is shown as confident.
        rejects_right: share of right best matches that are held back.
        rejects_wrong: of wrong ones.
        rejects_not_clothes: of pictures without clothes.
    """

    passes: float | None
    rejects_right: float | None
    rejects_wrong: float | None
    rejects_not_clothes: float | None


@dataclass(frozen=True)
class Confidence:
    """When the default method's matches for one task are shown as confident, and how right the probability is.

    Attributes:
        by_probability: by the rule that the best match is more probably right than wrong.
        together: by that and familiarity, as in a search.
        probability: mean over the first ten matches of all queries.
        right: share of these that are right.
        reliability: of these.
    """

    by_probability: Shares
    together: Shares
    probability: float | None
    right: float | None
    reliability: Reliability


@dataclass(frozen=True)
class FamiliarityHistogram:
    """Photos of clothes and pictures without, by familiarity."""

    edges: tuple[float, ...]
    clothes: tuple[int, ...]
    not_clothes: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raises ValueError where edges and counts do not belong together."""
        _check_histogram(self.edges, self.clothes, self.not_clothes)


@dataclass(frozen=True)
class FamiliarityReport:
    """When a search says "no confident match": see `cbir.familiarity`.

    Attributes:
        note: for readers.
        threshold: least familiarity of a photo that may get a confident match.
        accepts_from: the highest threshold that would have accepted enough photos of clothes.
        least_probability: of a confident match.
        n_test: photos of clothes.
        n_not_clothes: pictures without clothes.
        accepts_clothes: share of the test photos that are familiar.
        rejects_not_clothes: share of the pictures that are not.
        kinds: the same by kind of picture.
        unseen_kinds: the same with the threshold set without pictures of that kind.
        histogram: of familiarity.
        confidence: by task; None where no method tells the probability.
    """

    note: str
    threshold: float
    accepts_from: float
    least_probability: float
    n_test: int
    n_not_clothes: int
    accepts_clothes: float
    rejects_not_clothes: float
    kinds: Mapping[str, float]
    unseen_kinds: Mapping[str, float]
    histogram: FamiliarityHistogram
    confidence: Mapping[str, Confidence] | None

    def __post_init__(self) -> None:
        """Raises ValueError where no kind of picture was tried."""
        if not self.unseen_kinds:
            raise ValueError("expected shares of kinds of pictures, got none")


@dataclass(frozen=True)
class OutOfDomain:
    """Photos of another source that search a whole gallery.

    Attributes:
        queries: the photos, in words.
        gallery: what they search, in words.
        n_photos: how many search.
        n_queries: by task, those with a relevant photo to find.
        n_replicates: of the bootstrap.
        familiar: share of the photos that is accepted as clothes; None where the bundle cannot tell.
        methods: by method, then by task; tasks without queries are left out.
    """

    queries: str
    gallery: str
    n_photos: int
    n_queries: Annotated[Mapping[str, int], Keys(*RETRIEVAL_TASKS)]
    n_replicates: int
    familiar: float | None
    methods: Mapping[str, Mapping[str, RetrievalEstimates]]


@dataclass(frozen=True)
class Report:
    """How good a bundle's methods are.

    Attributes:
        schema: version of this layout.
        data: what was evaluated.
        protocol: how.
        libraries: versions.
        methods: in the order to show.
        ceiling: what a perfect score reaches that is not told which label is asked for.
        differences: between methods.
        garments: None where no copies were made.
        order: None where no traits are known.
        baselines: what careless protocols report.
        seeds: figures over several seeds; None where only one was evaluated.
        confusion: by label; None where no method tells labels.
        queries: examples.
        familiarity: None where the bundle cannot tell clothes from other things.
        out_of_domain: photos of other sources.
    """

    schema: int
    data: Data
    protocol: Protocol
    libraries: Mapping[str, str]
    methods: Mapping[str, MethodReport]
    ceiling: PairScores
    differences: Differences
    garments: Garments | None
    order: OrderInClass | None
    baselines: Baselines
    seeds: Seeds | None
    confusion: Annotated[Mapping[str, Confusion], Keys(*LABELS)] | None
    queries: Queries
    familiarity: FamiliarityReport | None
    out_of_domain: tuple[OutOfDomain, ...]

    @staticmethod
    def from_json(value: Any) -> "Report":  # noqa: ANN401 - of a file
        """Reads a report.

        Raises:
            BundleError: it is of another version, or a part is missing or of another type; the message says which.
        """
        schema = value.get("schema") if isinstance(value, dict) else None
        if schema != SCHEMA:
            raise BundleError(f"the report has schema version {schema}, expected {SCHEMA}: evaluate the bundle again")
        try:
            report = build(Report, value)
            for place, method in _method_names(report):
                if method not in report.methods:
                    known = ", ".join(report.methods) or "nothing"
                    raise ValueError(f"expected one of {known} at {place}, got {method}")
        except ValueError as error:
            raise BundleError(f"the report is damaged ({error}): evaluate the bundle again") from None
        return report

    def to_json(self) -> dict[str, Any]:
        """The report as plain JSON values."""
        return _plain(flatten(self).json)


def rounded(part: T) -> T:
    """A report, or a part of one, as it will be read again: figures rounded, None for those that cannot be measured."""
    return build(type(part), _plain(flatten(part).json))


def _check_histogram(edges: Sequence[float], *series: Sequence[int]) -> None:
    if len(edges) < 2 or any(low >= high for low, high in pairwise(edges)):
        raise ValueError(f"expected at least two rising edges, got {list(edges)[:20]}")
    for counts in series:
        if len(counts) != len(edges) - 1 or min(counts) < 0:
            raise ValueError(f"expected {len(edges) - 1} counts between {len(edges)} edges, got {list(counts)[:20]}")


def _method_names(report: Report) -> Iterator[tuple[str, str]]:
    """Where methods are named whose titles readers look up."""
    yield "queries/method", report.queries.method
    yield "differences/reference", report.differences.reference
    for name in report.seeds.methods if report.seeds else ():
        yield "seeds/methods", name
    for part in report.out_of_domain:
        for name in part.methods:
            yield "out_of_domain/methods", name


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return round(value, DIGITS) if math.isfinite(value) else None
    return value
