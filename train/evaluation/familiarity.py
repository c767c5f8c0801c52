"""Evaluates when a search says "no confident match": see `cbir.familiarity`.

Legend: q test photos, n pictures without clothes.
"""

from collections.abc import Mapping

import numpy as np
from tqdm import tqdm

from cbir.familiarity import EVEN, Familiarity
from cbir.features import Features, extract
from cbir.features.backbone import Backbone
from cbir.labels import TASKS, Task
from cbir.report import Confidence, FamiliarityHistogram, FamiliarityReport, Shares
from cbir.similarity import EVEN_WEIGHT, Models
from cbir.similarity.codes import take
from cbir.similarity.likeness import match_figures
from train.evaluation.metrics import reliability
from train.evaluation.not_clothes import not_clothes
from train.evaluation.scoring import MethodScores, Split
from train.fit.familiarity import threshold

PER_KIND = 20
HISTOGRAM_BINS = 30
NOTE = (
    "Pictures without clothes are synthetic (noise, gradients, plain areas, pages of text, simple drawings): what they "
    "show about photos of other things is only a hint. The familiarity threshold was set on other pictures of the same "
    "kinds; for 'unseen_kinds', on pictures of the other kinds alone. A search says 'no confident match' where a photo "
    "is unfamiliar, or where even the best match agrees less probably than not."
)


def not_clothes_features(backbone: Backbone, seed: int) -> dict[str, dict[str, Features]]:
    """Embeds pictures without clothes.

    Returns:
        "fit", to set the threshold by, and "evaluate", other pictures of the same kinds to evaluate it: each {kind:
        features}.
    """
    drawn = {use: not_clothes(PER_KIND, 2 * seed + number) for number, use in enumerate(("fit", "evaluate"))}
    found: dict[str, dict[str, Features]] = {use: {} for use in drawn}
    kinds = [(use, kind) for use, by_kind in drawn.items() for kind in by_kind]
    for use, kind in tqdm(kinds, desc="pictures without clothes", unit="kind"):
        found[use][kind] = extract(drawn[use][kind], backbone)
    return found


def evaluate_familiarity(
    model: Familiarity,
    models: Models,
    split: Split,
    scores: Mapping[str, MethodScores],
    pictures: Mapping[str, Mapping[str, Features]],
) -> FamiliarityReport:
    """Evaluates what the thresholds let pass and hold back.

    Args:
        model: of familiarity.
        models: of methods.
        split: its test photos show clothes; what they and the pictures search are its train photos.
        scores: of all methods.
        pictures: from `not_clothes_features`.
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
    return FamiliarityReport(
        note=NOTE,
        threshold=model.threshold,
        accepts_from=model.accepts_from,
        least_probability=EVEN,
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
        confidence=_confidence(models, split, scores, foreign, is_unfamiliar, is_foreign),
    )


def _confidence(
    models: Models,
    split: Split,
    scores: Mapping[str, MethodScores],
    foreign: Features,
    is_unfamiliar: np.ndarray,
    is_foreign_unfamiliar: np.ndarray,
) -> dict[str, Confidence] | None:
    """By task, of the default method."""
    of_default = scores.get(models.default_method)
    if models.attributes is None or of_default is None:
        return None
    found = {}
    for name, rankings in of_default.rankings.items():
        task, rows = TASKS[name], np.flatnonzero(rankings.is_answerable)
        items = rankings.items[rows]
        asking, searched = split.test.features.take(rows), split.train.features
        probable = first_probabilities(models, asking, searched, items, task)
        relevant = rankings.is_relevant[rows]
        is_right, is_uneven = relevant[:, 0], probable[:, 0] < EVEN
        foreign_uneven = best_probabilities(models, foreign, searched, task) < EVEN
        found[name] = Confidence(
            shares(is_uneven, is_right, foreign_uneven),
            shares(is_uneven | is_unfamiliar[rows], is_right, foreign_uneven | is_foreign_unfamiliar),
            float(probable.mean()),
            float(relevant.mean()),
            reliability(probable.ravel(), relevant.ravel()),
        )
    return found


def first_probabilities(
    models: Models, queries: Features, gallery: Features, items: np.ndarray, task: Task
) -> np.ndarray:
    """How probably the first matches (q, k) of queries agree: (q, k) float32."""
    method, model = models.telling, models.of(models.telling)
    asking, searched = method.encode(queries, model), method.encode(gallery, model)
    return np.stack(
        [
            match_figures(take(asking, slice(row, row + 1)), take(searched, found), model, task).probability
            for row, found in enumerate(items)
        ]
    )


def best_probabilities(models: Models, queries: Features, gallery: Features, task: Task) -> np.ndarray:
    """How probably the best match of each query agrees: (q,) float32."""
    method, model = models.telling, models.of(models.telling)
    scores = method.score(queries, gallery, model, task, EVEN_WEIGHT)
    return first_probabilities(models, queries, gallery, scores.argmax(axis=1)[:, None], task)[:, 0]


def shares(rejected: np.ndarray, is_right: np.ndarray, rejected_foreign: np.ndarray) -> Shares:
    """Shares of what a rule rejects: of queries, (q,) bool, whose best match is right or not, and of other pictures."""
    return Shares(
        passes=_share(~rejected),
        rejects_right=_share(rejected[is_right]),
        rejects_wrong=_share(rejected[~is_right]),
        rejects_not_clothes=_share(rejected_foreign),
    )


def _share(chosen: np.ndarray) -> float:
    return float(chosen.mean()) if len(chosen) else float("nan")
