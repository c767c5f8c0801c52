"""Fits the similarity methods: features and labels in, models out. A step of `train.run`.

The attribute model learns which type and color each photo shows, the likeness what tells photos apart but not views of
one photo, and the published methods which pairs of embeddings match.

Legend: n photos to fit on.
"""

from collections.abc import Callable, Mapping

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from cbir.features import Features
from cbir.labels import BLIND, LABELS
from cbir.similarity import Models
from train.data.split import PAIRS_PER_TASK, Pairs, check_pairs, sample_pairs
from train.fit.attributes import fit_attributes
from train.fit.likeness import fit_likeness
from train.fit.pairs import PairTraining, fit_logistic_regression, fit_random_forest
from train.fit.views import Views

# Pairs to fit on, per task. The published protocol counts the pairs it evaluates on; to fit, more pairs of the same
# train photos cost only time.
FIT_PAIRS = 4 * PAIRS_PER_TASK

# For each method of `SIMILARITIES` that is fitted on pairs.
FITTERS: dict[str, Callable[[PairTraining], object]] = {
    "logistic_regression": fit_logistic_regression,
    "random_forest": fit_random_forest,
}


def fit_methods(
    features: Features,
    labels: Mapping[str, np.ndarray],
    views: Views,
    seed: int,
    tuned: np.ndarray | None = None,
) -> Models:
    """Fits every learned method, with a progress bar.

    Args:
        features: of n photos, all of the train side.
        labels: label columns, each (n,) str, "" where unknown.
        views: of some of these photos.
        seed: makes fitting repeatable.
        tuned: (n,) bool, the photos that the color network learned from; None where there is no such network. Class
            probabilities are calibrated on the others.

    Raises:
        DataError: the photos give no pairs of a label, or a part that is fitted on shows fewer than two classes.
    """
    tuned = np.zeros(len(features), bool) if tuned is None else tuned
    check_pairs(labels, ~tuned, "photos to fit on")
    pairs = fit_pairs(labels, seed)
    bar = tqdm(desc="fitting", total=2 + len(FITTERS), unit="method")
    # Products of matrices by several threads differ in their last bits from machine to machine, and a forest that is
    # fitted on the outcome grows such a bit into another tree.
    with bar, threadpool_limits(1, user_api="blas"):
        bar.set_postfix_str("attributes")
        attributes = fit_attributes(features, labels, seed, tuned).model
        bar.update()
        bar.set_postfix_str("likeness")
        likeness = fit_likeness(features, labels, views, seed)
        training = PairTraining(features.embedding, pairs, seed)
        by_method = {}
        for name, fit in FITTERS.items():
            bar.update()
            bar.set_postfix_str(name)
            by_method[name] = fit(training)
        bar.update()
    return Models(attributes, likeness, by_method)


def fit_pairs(labels: Mapping[str, np.ndarray], seed: int) -> dict[str, Pairs]:
    """Pairs to fit on: for each label, and for `BLIND` those of all labels together."""
    pairs = {name: sample_pairs(labels[name], FIT_PAIRS, seed) for name in LABELS}
    return {**pairs, BLIND: Pairs.concatenate(list(pairs.values()))}
