"""Photos of another source, which no method was fitted on, search a bundle's whole gallery."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from cbir.bundle import Bundle
from cbir.errors import DataError
from cbir.gallery import Gallery
from cbir.report import OutOfDomain, RetrievalEstimates, rounded
from train.evaluation.report import retrieval_estimates
from train.evaluation.resamples import Resamples
from train.evaluation.scoring import Side, rank


def with_colors(photos: Gallery, colors: Path) -> Gallery:
    """Takes the colors of photos from a file.

    Args:
        photos: with ids that are paths within their folder.
        colors: csv with the columns file_name and color; photos that it does not list have no color.

    Raises:
        DataError: the file cannot be read, or lacks a column.
    """
    try:
        with colors.open(encoding="utf-8", newline="") as file:
            by_id = {row["file_name"]: row["color"] for row in csv.DictReader(file)}
    except (OSError, UnicodeDecodeError, KeyError, csv.Error) as error:
        raise DataError(f"expected {colors} as a csv file with file_name and color, got {error!r}") from None
    seen = np.array([by_id.get(id, "") for id in photos.ids.tolist()], dtype=str)
    return replace(photos, labels={**photos.labels, "color": seen})


def evaluate_out_of_domain(
    photos: Gallery, bundle: Bundle, replicates: int, queries: str = "photos", gallery: str = "gallery"
) -> OutOfDomain:
    """Evaluates methods on photos of another source.

    Args:
        photos: with labels, "" where unknown: such photos do not evaluate that label.
        bundle: whose gallery they search.
        replicates: of the bootstrap.
        queries: the photos, in words.
        gallery: what they search, in words.
    """
    resamples = Resamples.of(photos.features, replicates, bundle.manifest.seed or 0)
    asking, searched = Side.of(photos), Side.of(bundle.gallery)
    n_queries: dict[str, int] = {}
    methods: dict[str, dict[str, RetrievalEstimates]] = {}
    for method in bundle.methods:
        model = bundle.models.of(method)
        codes = method.encode(asking.features, model), method.encode(searched.features, model)
        methods[method.name] = {}
        for task, rankings in rank(method, model, (codes[0], asking), (codes[1], searched)).items():
            n_queries[task] = int(rankings.is_answerable.sum())
            if n_queries[task]:
                found = {metric: resamples.means(values) for metric, values in rankings.by_query.items()}
                methods[method.name][task] = retrieval_estimates(found)
    part = OutOfDomain(
        queries=queries,
        gallery=gallery,
        n_photos=len(photos),
        n_queries=n_queries,
        n_replicates=replicates,
        familiar=_familiar(photos, bundle),
        methods=methods,
    )
    return rounded(part)


def _familiar(photos: Gallery, bundle: Bundle) -> float | None:
    model = bundle.familiarity
    return None if model is None else float(np.mean(model.score(photos.features) >= model.threshold))
