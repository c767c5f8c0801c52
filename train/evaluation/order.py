"""Evaluates the order inside a class: of garments of the right type and color, are those first that are cut alike?

Labels end at the class; what tells garments of a class apart must be known of the photos: the drawing script knows cut,
pattern, sleeve and heel of every drawing.

Legend: q queries, g gallery items.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cbir.errors import DataError
from cbir.labels import LABELS, TASKS
from cbir.report import Estimate, OrderInClass
from cbir.similarity import EVEN_WEIGHT, Models
from train.evaluation.resamples import Resamples
from train.evaluation.scoring import Split

FIRST = 10  # of the class, that count
TASK = TASKS["both"]
Traits = Mapping[str, np.ndarray]  # by name, (n,) str, "" where a photo does not have one


def read_traits(path: Path, ids: np.ndarray) -> Traits:
    """Reads what is known of photos from a csv file: file_name, and a column for each trait.

    Args:
        path: of the file.
        ids: (n,) str, of the photos, which end in their file names; photos that the file does not list have no traits.

    Raises:
        DataError: the file cannot be read, has no such columns, or lists none of the photos.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = {row.pop("file_name"): row for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise DataError(f"expected {path} as a csv file with file_name and a column per trait, got {error!r}") from None
    found = [rows.get(id, {}) for id in ids.tolist()]
    names = [name for name in next(iter(rows.values()), {}) if name]
    if not names or not any(found):
        raise DataError(f"expected {path} to list traits of the photos by file_name, got {len(rows)} other rows")
    return {name: np.array([row.get(name) or "" for row in found]) for name in names}


def evaluate_order(models: Models, split: Split, test: Traits, train: Traits, resamples: Resamples) -> OrderInClass:
    """Evaluates every method, and the likeness by itself.

    Each test photo ranks the train photos of its type and color; a photo gains the number of traits in which it agrees
    with the query (nDCG at `FIRST`; Järvelin and Kekäläinen, 2002). Queries that agree with all of these photos, or
    with none, in equally many traits have no order to find, and do not count.

    Args:
        models: of methods.
        split: the photos.
        test: traits of its test photos.
        train: of its train photos.
        resamples: of its test photos.
    """
    gains = [_gains(row, split, test, train) for row in range(len(split.test))]

    def estimate(scores: np.ndarray) -> Estimate:
        values = [ndcg(scores[row, items], gained, split.train.ids[items]) for row, (items, gained) in enumerate(gains)]
        return resamples.means(np.array(values)).estimate()

    methods = {}
    for method in models.methods:
        model = models.of(method)
        scores = method.score(split.test.features, split.train.features, model, TASK, EVEN_WEIGHT)
        methods[method.name] = estimate(scores)
    likeness = None
    if models.likeness is not None:
        queries, items = (models.likeness.codes(side.features) for side in (split.test, split.train))
        likeness = estimate(queries @ items.T)
    n_queries = sum(len(np.unique(gained)) > 1 for _, gained in gains)
    return OrderInClass(tuple(test), n_queries, methods, likeness)


def _gains(row: int, split: Split, test: Traits, train: Traits) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the train photos of a test photo's class, and in how many traits each agrees with it."""
    same = [split.train.labels[name] == split.test.labels[name][row] for name in LABELS]
    items = np.flatnonzero(np.logical_and.reduce(same) & (split.test.labels[LABELS[0]][row] != ""))
    agree = [(train[name][items] == test[name][row]) & (test[name][row] != "") for name in test]
    return items, np.sum(agree, axis=0)


def ndcg(scores: np.ndarray, gains: np.ndarray, ids: np.ndarray) -> float:
    """NDCG at `FIRST` of k items ranked by (-score, id); nan where all gains are equal.

    Args:
        scores: (k,) float.
        gains: (k,) int, at least 0.
        ids: (k,) str.
    """
    if len(np.unique(gains)) < 2:
        return float("nan")
    discounts = 1 / np.log2(np.arange(2, min(len(gains), FIRST) + 2))
    ranked = gains[np.lexsort((ids, -scores))][:FIRST]
    return float(ranked @ discounts / (np.sort(gains)[::-1][:FIRST] @ discounts))
