"""How often guessed labels are right, on photos whose labels are known and that no method was fitted on.

Legend: n photos.
"""

from collections.abc import Mapping

import numpy as np

from cbir.bundle import Bundle
from cbir.errors import BundleError
from cbir.gallery import Gallery
from cbir.guesses import LEAST_PART, SURE_FROM, guess_labels
from cbir.labels import LABELS
from cbir.report import Estimate
from cbir.report_tables import Cell, Share
from train.data.split import near_duplicate_groups
from train.evaluation.markdown import cell, markdown_table
from train.evaluation.metrics import bootstrap_means, interval, resample

LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)  # of probability


def guesses_section(photos: Mapping[str, Gallery], bundle: Bundle, replicates: int) -> str:
    """Guesses the labels of photos, and compares them with the known ones.

    Args:
        photos: with labels, by what they are called; "" where unknown: such photos do not count for that label.
        bundle: guesses.
        replicates: of the bootstrap.

    Returns:
        Tables in Markdown: what is shown, and what other levels of probability would give.

    Raises:
        BundleError: the bundle has no learned method.
    """
    if bundle.attributes is None:
        raise BundleError("expected a bundle that can guess labels, got one without learned methods: train it")
    rows, by_level = [], []
    for name, gallery in photos.items():
        guesses = guess_labels(gallery.features, bundle.attributes, bundle.familiarity)
        drawn = resample(near_duplicate_groups(gallery.features.embedding), replicates, bundle.manifest.seed or 0)
        for label in LABELS:
            true, sure = gallery.labels[label], guesses.sure[label]
            labelled = true != ""
            if not labelled.any():
                continue
            right = (guesses.values[label] == true).astype(float)
            known = labelled & np.isin(true, bundle.attributes.classes(label))
            title = f"{name}: {label}"
            cells: list[Cell] = [
                int(labelled.sum()),
                _mean(right, labelled, drawn),
                Share(_share(sure, labelled)),
                _mean(right, labelled & sure, drawn),
                _mean(right, known & sure, drawn),
                int((labelled & ~known).sum()),
                Share(_share(~sure, labelled & ~known)),
            ]
            rows.append([title, *map(cell, cells)])
            pairs: list[Cell] = []
            for level in LEVELS:
                probable = labelled & (guesses.probabilities[label] >= level)
                pairs.append((Share(_share(probable, labelled)), _share(right, probable)))
            by_level.append([title, *map(cell, pairs)])
    header = ["photos", "labelled", "right", "sure", "right of sure", "of known classes", "other classes", "unsure"]
    return (
        f"Printed by `python -m train.evaluate --guesses`. A guess is sure from a probability of {SURE_FROM} on, if "
        f"the photo is familiar, and, for colors, if {LEAST_PART:.0%} of the garment is nearest to the color. *Right* "
        "is the share of guesses that are the label: of all photos, of sure ones, and of sure ones whose label is a "
        "class that the bundle knows; others, such as pink or several colors, are always wrong, and should be "
        f'"unsure". In brackets: 95 % intervals, bootstrap over photos ({replicates:,} replicates).\n\n'
        f"{markdown_table(header, rows)}\n\n"
        "By the probability alone: share of photos that reach it / share of these that are right.\n\n"
        f"{markdown_table(['photos', *(f'from {level}' for level in LEVELS)], by_level)}"
    )


def _share(values: np.ndarray, rows: np.ndarray) -> float | None:
    return float(values[rows].mean()) if rows.any() else None


def _mean(right: np.ndarray, rows: np.ndarray, drawn: np.ndarray) -> Estimate | None:
    """The share of right ones among some rows, with its interval; None for no rows."""
    if not rows.any():
        return None
    value = float(right[rows].mean())
    return Estimate(value, *interval(value, bootstrap_means(np.where(rows, right, np.nan), drawn)))
