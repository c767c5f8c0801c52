"""Fits the similarity methods: features and labels in, models out. A step of `train.run`.

Two stages: which type and color each photo shows (`attributes`), then the methods that learn from pairs of photos
(`pairs`), which see what the first stage says of photos that it was not fitted on.

Legend: n photos to fit on.
"""

from collections.abc import Callable, Mapping

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from cbir.features import Features
from cbir.labels import LABELS, POOLED
from cbir.similarity import Models
from train.data.split import PAIRS_PER_TASK, Pairs, check_pairs, sample_pairs
from train.fit.attributes import fit_attributes
from train.fit.pairs import (
    PairTraining,
    fit_attributes_and_likeness,
    fit_logistic_regression,
    fit_random_forest,
)

# Pairs to fit on, per task. The published protocol counts the pairs it evaluates on; to fit, more pairs of the same
# train photos cost only time.
FIT_PAIRS = 4 * PAIRS_PER_TASK

# For each learned method of `SIMILARITIES`, except attribute agreement, whose model the first stage gives.
FITTERS: dict[str, Callable[[PairTraining], object]] = {
    "attributes_and_likeness": fit_attributes_and_likeness,
    "logistic_regression": fit_logistic_regression,
    "random_forest": fit_random_forest,
}


def fit_methods(
    features: Features, labels: Mapping[str, np.ndarray], seed: int, tuned: np.ndarray | None = None
) -> Models:
    """Fits every learned method, with a progress bar.

    Args:
        features: of n photos, all of the train side.
        labels: label columns, each (n,) str, "" where unknown.
        seed: makes fitting repeatable.
        tuned: (n,) bool, the photos that the color network learned from; None where there is no such network. Methods
            on pairs are fitted on the others alone.

    Raises:
        DataError: the photos give no pairs of a label, or a part that is fitted on shows fewer than two classes.
    """
    tuned = np.zeros(len(features), bool) if tuned is None else tuned
    check_pairs(labels, ~tuned, "photos to fit on")
    pairs = {name: sample_pairs(np.where(tuned, "", labels[name]), FIT_PAIRS, seed) for name in LABELS}
    pairs[POOLED] = Pairs.concatenate(list(pairs.values()))
    bar = tqdm(desc="fitting", total=1 + len(FITTERS), unit="method")
    # Products of matrices by several threads differ in their last bits from machine to machine, and a forest that is
    # fitted on the outcome grows such a bit into another tree.
    with bar, threadpool_limits(1, user_api="blas"):
        bar.set_postfix_str("attributes")
        attributes = fit_attributes(features, labels, seed, tuned)
        training = PairTraining(features, attributes.model, attributes.unseen, pairs, seed)
        by_method = {}
        for name, fit in FITTERS.items():
            bar.update()
            bar.set_postfix_str(name)
            by_method[name] = fit(training)
        bar.update()
    return Models(attributes.model, by_method)
