"""Judges when a search says "no confident match": see `cbir.familiarity`. A part of `train.evaluate`.

Legend: q test photos, n pictures without clothes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cbir.familiarity import EVEN, Familiarity
from cbir.features import Features, extract
from cbir.features.backbone import Backbone
from cbir.labels import TASKS
from cbir.similarity import SIMILARITIES, Models
from train.evaluation.not_clothes import not_clothes
from train.fit.familiarity import ACCEPTED, threshold

PER_KIND = 20
HISTOGRAM_BINS = 30
NOTE = (
    "Pictures without clothes are synthetic (noise, gradients, plain areas, pages of text, simple drawings): what they "
    "show about photos of other things is a hint. The level of familiarity was set on other pictures of the same "
    "kinds, in 'unseen_kinds' without the judged kind. 'score_95' is the score that 95 % of one half of the test "
    "queries reach, judged on the other half; 'score_even' is 0.5, below which a best match is more probably wrong "
    "than right. A search says 'no confident match' where a photo is unfamiliar or the best score of a learned method "
    "is below 0.5."
)


@dataclass(frozen=True)
class TopMatches:
    """The best match of each test query that can be answered.

    Attributes:
        scores: (a,) float32.
        is_right: (a,) bool, whether the match is relevant.
        rows: (a,) int, the query's row among the q test photos.
    """

    scores: np.ndarray
    is_right: np.ndarray
    rows: np.ndarray


def not_clothes_features(backbone: Backbone, seed: int) -> dict[str, dict[str, Features]]:
    """Embeds pictures without clothes.

    Returns:
        "level", to set the level by, and "judge", other pictures of the same kinds: each {kind: features}.
    """
    return {
        use: {kind: extract(images, backbone) for kind, images in not_clothes(PER_KIND, 2 * seed + number).items()}
        for number, use in enumerate(("level", "judge"))
    }


def judge_confidence(
    model: Familiarity,
    models: Models,
    test: Features,
    train: Features,
    top: Mapping[str, Mapping[str, TopMatches]],
    pictures: Mapping[str, Mapping[str, Features]],
    seed: int,
) -> dict[str, Any]:
    """What the levels let pass and hold back.

    Args:
        model: from `train.fit.familiarity.fit_familiarity`.
        models: fitted methods.
        test: of the q test photos.
        train: of the photos they search.
        top: for each learned method and task.
        pictures: from `not_clothes_features`.
        seed: halves the test queries.

    Returns:
        "note"; "no_match_below": {"familiarity", "score"}; "n_test", "n_not_clothes"; "familiarity": "accepts_from",
        "passes" (share of test photos), "rejects" (share of pictures), "kinds" and "unseen_kinds" {kind: share
        rejected}, "histogram" {edges, test, not_clothes}; and for METHOD, TASK "score_95", "score_even" and "together"
        (unfamiliar or below even): each "level" (but for the last), "passes", "rejects_right", "rejects_wrong" and
        "rejects_not_clothes".
    """
    kinds = {kind: model.score(features) for kind, features in pictures["judge"].items()}
    set_on = {kind: model.score(features) for kind, features in pictures["level"].items()}
    others, known = np.concatenate(list(kinds.values())), model.score(test)
    least, accepts_from = model.threshold, model.accepts_from
    edges = np.histogram_bin_edges(np.concatenate([others, known]), HISTOGRAM_BINS)

    def unseen(kind: str) -> float:
        rest = np.concatenate([values for name, values in set_on.items() if name != kind])
        return float(np.mean(kinds[kind] < threshold(rest, accepts_from)))

    foreign = Features.concatenate(list(pictures["judge"].values()))
    by_method: dict[str, Any] = {}
    for name, tasks in top.items():
        method = SIMILARITIES[name]
        fitted = models.of(method)
        codes, items = method.encode(foreign, fitted), method.encode(train, fitted)
        by_method[name] = {}
        for task, matches in tasks.items():
            found = method.score_codes(codes, items, fitted, TASKS[task]).max(axis=1)
            by_method[name][task] = _by_score(matches, found, known < least, others < least, seed)
    return {
        "note": NOTE,
        "no_match_below": {"familiarity": least, "score": EVEN},
        "n_test": len(test),
        "n_not_clothes": len(foreign),
        "familiarity": {
            "accepts_from": accepts_from,
            "passes": np.mean(known >= least),
            "rejects": np.mean(others < least),
            "kinds": {kind: np.mean(values < least) for kind, values in kinds.items()},
            "unseen_kinds": {kind: unseen(kind) for kind in kinds},
            "histogram": {
                "edges": edges,
                "test": np.histogram(known, edges)[0],
                "not_clothes": np.histogram(others, edges)[0],
            },
        },
        "methods": by_method,
    }


def _by_score(
    matches: TopMatches, foreign: np.ndarray, is_unfamiliar: np.ndarray, is_foreign_unfamiliar: np.ndarray, seed: int
) -> dict[str, Any]:
    n = len(matches.scores)
    is_first = np.random.default_rng(seed).permutation(n) % 2 == 0
    at_95 = float(np.quantile(matches.scores[is_first], 1 - ACCEPTED)) if is_first.any() else float("nan")
    unfamiliar = is_unfamiliar[matches.rows]

    def shares(rejected: np.ndarray, rejected_foreign: np.ndarray, judged: np.ndarray) -> dict[str, float]:
        return {
            "passes": _share(~rejected[judged]),
            "rejects_right": _share(rejected[judged & matches.is_right]),
            "rejects_wrong": _share(rejected[judged & ~matches.is_right]),
            "rejects_not_clothes": _share(rejected_foreign),
        }

    return {
        "score_95": {"level": at_95, **shares(matches.scores < at_95, foreign < at_95, ~is_first)},
        "score_even": {"level": EVEN, **shares(matches.scores < EVEN, foreign < EVEN, np.ones(n, bool))},
        "together": shares(
            (matches.scores < EVEN) | unfamiliar, (foreign < EVEN) | is_foreign_unfamiliar, np.ones(n, bool)
        ),
    }


def _share(chosen: np.ndarray) -> float:
    return float(chosen.mean()) if len(chosen) else float("nan")
