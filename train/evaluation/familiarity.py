"""Evaluates when a search says "no confident match": see `cbir.familiarity`.

Legend: q test photos, n pictures without clothes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from cbir.familiarity import EVEN, Familiarity
from cbir.features import Features, extract
from cbir.features.backbone import Backbone
from cbir.labels import TASKS
from cbir.report import FamiliarityHistogram, FamiliarityReport, ScoreThresholds, Shares
from cbir.similarity import Models
from train.evaluation.not_clothes import not_clothes
from train.evaluation.scoring import MethodScores, Rankings, Split
from train.fit.familiarity import ACCEPTED, threshold

PER_KIND = 20
HISTOGRAM_BINS = 30
NOTE = (
    "Pictures without clothes are synthetic (noise, gradients, plain areas, pages of text, simple drawings): what they "
    "show about photos of other things is only a hint. The familiarity threshold was set on other pictures of the same "
    "kinds; for 'unseen_kinds', on pictures of the other kinds alone. 'score_95' is the score that 95 % of one half of "
    "the test queries reach, evaluated on the other half; 'score_even' is 0.5, below which a best match is more "
    "probably wrong than right. A search says 'no confident match' where a photo is unfamiliar or the best score of a "
    "learned method is below 0.5."
)


@dataclass(frozen=True)
class TopMatches:
    """The best match of each of a queries that can be answered.

    Attributes:
        scores: (a,) float32.
        is_right: (a,) bool, whether the match is relevant.
        rows: (a,) int, the query's row among the q test photos.
    """

    scores: np.ndarray
    is_right: np.ndarray
    rows: np.ndarray

    @staticmethod
    def of(rankings: Rankings) -> "TopMatches":
        """Takes the first match of each query."""
        rows = np.flatnonzero(rankings.is_answerable)
        return TopMatches(rankings.scores[rows, 0], rankings.by_query["precision_at_1"][rows] == 1, rows)


def not_clothes_features(backbone: Backbone, seed: int) -> dict[str, dict[str, Features]]:
    """Embeds pictures without clothes.

    Returns:
        "fit", to set the threshold by, and "evaluate", other pictures of the same kinds to evaluate it: each {kind:
        features}.
    """
    return {
        use: {kind: extract(images, backbone) for kind, images in not_clothes(PER_KIND, 2 * seed + number).items()}
        for number, use in enumerate(("fit", "evaluate"))
    }


def evaluate_familiarity(
    model: Familiarity,
    models: Models,
    split: Split,
    scores: Mapping[str, MethodScores],
    pictures: Mapping[str, Mapping[str, Features]],
    seed: int,
) -> FamiliarityReport:
    """Evaluates what the thresholds let pass and hold back.

    Args:
        model: of familiarity.
        models: of methods.
        split: its test photos show clothes; what they and the pictures search are its train photos.
        scores: of all methods.
        pictures: from `not_clothes_features`.
        seed: halves the test queries.
    """
    kinds = {kind: model.score(features) for kind, features in pictures["evaluate"].items()}
    set_on = {kind: model.score(features) for kind, features in pictures["fit"].items()}
    others, known = np.concatenate(list(kinds.values())), model.score(split.test.features)
    edges = np.histogram_bin_edges(np.concatenate([others, known]), HISTOGRAM_BINS)
    unseen = {
        kind: threshold(np.concatenate([values for name, values in set_on.items() if name != kind]), model.accepts_from)
        for kind in kinds
    }
    foreign = Features.concatenate(list(pictures["evaluate"].values()))
    is_unfamiliar, is_foreign = known < model.threshold, others < model.threshold
    by_method: dict[str, dict[str, ScoreThresholds]] = {}
    for name, of_method in scores.items():
        if of_method.method.is_learned:
            best = _best_scores(of_method, models.of(of_method.method), foreign, split.train.features)
            by_method[name] = {
                task: score_thresholds(
                    TopMatches.of(rankings), best[task], known < model.threshold, others < model.threshold, seed
                )
                for task, rankings in of_method.rankings.items()
            }
    return FamiliarityReport(
        note=NOTE,
        threshold=model.threshold,
        accepts_from=model.accepts_from,
        least_score=EVEN,
        n_test=len(split.test),
        n_not_clothes=len(foreign),
        accepts_clothes=_share(~is_unfamiliar),
        rejects_not_clothes=_share(is_foreign),
        kinds={kind: _share(values < model.threshold) for kind, values in kinds.items()},
        unseen_kinds={kind: _share(values < unseen[kind]) for kind, values in kinds.items()},
        histogram=FamiliarityHistogram(
            tuple(edges.tolist()),
            tuple(np.histogram(known, edges)[0].tolist()),
            tuple(np.histogram(others, edges)[0].tolist()),
        ),
        methods=by_method,
    )


def _best_scores(scores: MethodScores, model: object, queries: Features, items: Features) -> dict[str, np.ndarray]:
    """The score of the best match of each query, by task."""
    method = scores.method
    codes, searched = method.encode(queries, model), method.encode(items, model)
    return {task: method.score_codes(codes, searched, model, TASKS[task]).max(axis=1) for task in scores.rankings}


def score_thresholds(
    matches: TopMatches, foreign: np.ndarray, is_unfamiliar: np.ndarray, is_foreign_unfamiliar: np.ndarray, seed: int
) -> ScoreThresholds:
    """Evaluates thresholds of the score.

    Args:
        matches: of test photos.
        foreign: (n,) scores of the best matches of pictures without clothes.
        is_unfamiliar: (q,) bool, of all test photos.
        is_foreign_unfamiliar: (n,) bool.
        seed: halves the test queries.
    """
    n = len(matches.scores)
    is_first = np.random.default_rng(seed).permutation(n) % 2 == 0
    at_95 = float(np.quantile(matches.scores[is_first], 1 - ACCEPTED)) if is_first.any() else float("nan")
    is_uneven, is_foreign_uneven = matches.scores < EVEN, foreign < EVEN
    everyone = np.ones(n, bool)
    together = _shares(
        matches, is_uneven | is_unfamiliar[matches.rows], is_foreign_uneven | is_foreign_unfamiliar, everyone
    )
    return ScoreThresholds(
        replace(_shares(matches, matches.scores < at_95, foreign < at_95, ~is_first), threshold=at_95),
        replace(_shares(matches, is_uneven, is_foreign_uneven, everyone), threshold=EVEN),
        together,
    )


def _shares(matches: TopMatches, rejected: np.ndarray, rejected_foreign: np.ndarray, evaluated: np.ndarray) -> Shares:
    return Shares(
        threshold=None,
        passes=_share(~rejected[evaluated]),
        rejects_right=_share(rejected[evaluated & matches.is_right]),
        rejects_wrong=_share(rejected[evaluated & ~matches.is_right]),
        rejects_not_clothes=_share(rejected_foreign),
    )


def _share(chosen: np.ndarray) -> float:
    return float(chosen.mean()) if len(chosen) else float("nan")
