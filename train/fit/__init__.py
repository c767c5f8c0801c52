"""Fits the similarity methods: features and labels in, models out. A step of `train.run`.

Legend: n photos to fit on.
"""

from collections.abc import Mapping

import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from cbir.features import Features
from cbir.labels import LABELS
from cbir.similarity import SIMILARITIES, Model, TrainingSet
from train.data.split import PAIRS_PER_TASK, check_pairs, sample_pairs

# Pairs to fit on, a task. The published protocol counts the pairs it judges on; to fit, more pairs of the same train
# photos cost only time.
FIT_PAIRS = 4 * PAIRS_PER_TASK


def fit_methods(
    features: Features, labels: Mapping[str, np.ndarray], seed: int, tuned: np.ndarray | None = None
) -> dict[str, Model]:
    """Fits every learned method of `SIMILARITIES`, with a progress bar.

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
    training = TrainingSet(features, labels, pairs, seed, tuned)
    learned = [method for method in SIMILARITIES.values() if method.fit]
    bar = tqdm(learned, desc="fitting", unit="method")
    models = {}
    # Products of matrices by several threads differ in their last bits from machine to machine, and a forest that is
    # fitted on the outcome grows such a bit into another tree.
    with threadpool_limits(1, user_api="blas"):
        for method in bar:
            bar.set_postfix_str(method.name)
            models[method.name] = method.fit(training)
    return models
