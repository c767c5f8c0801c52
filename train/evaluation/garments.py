"""Evaluates whether a search finds the very garment: edited copies of test photos query the gallery that holds them.

A copy is made of the picture that the bundle keeps of a photo, by one edit at a time. Of near duplicates in the gallery
only the photo itself counts as found.

Legend: n photos, g gallery items.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image
from tqdm import tqdm

from cbir.features import Features, extract
from cbir.features.backbone import BATCH_SIZE, Backbone
from cbir.gallery import Gallery
from cbir.images import load_image
from cbir.labels import TASKS
from cbir.report import CopyEstimates, Garments
from cbir.similarity import EVEN_WEIGHT, Models
from cbir.similarity.codes import Codes, take
from train.evaluation.resamples import Resamples
from train.evaluation.scoring import QUERIES_AT_A_TIME

PHOTOS = 100  # that copies are made of, at most
MEAN = "mean"  # over the edits
TASK = TASKS["both"]
NOTE = (
    "Copies are edited one way at a time, from the picture that the bundle keeps. The likeness is fitted on random "
    "views of train photos, which have other strengths where they are of the same kind: no view is mirrored, and none "
    "is framed, turned or lit about as strongly as a copy, nor stored as coarsely."
)


def _jpeg(image: Image.Image) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=25)
    return Image.open(file).convert("RGB")


def _half(image: Image.Image) -> Image.Image:
    return image.resize((max(image.width // 2, 1), max(image.height // 2, 1)), Image.Resampling.BILINEAR)


def _crop(image: Image.Image) -> Image.Image:
    w, h = image.size
    return image.crop((round(w / 8), round(h / 8), round(w * 7 / 8), round(h * 7 / 8)))


def _mirror(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _lit(image: Image.Image, gains: tuple[float, float, float]) -> Image.Image:
    return image.point([min(round(value * gain), 255) for gain in gains for value in range(256)])


def _turn(image: Image.Image) -> Image.Image:
    return image.rotate(8, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255))


def _canvas(image: Image.Image) -> Image.Image:
    w, h = image.size
    canvas = Image.new("RGB", (round(1.5 * w), round(1.5 * h)), (255, 255, 255))
    canvas.paste(image, ((canvas.width - w) // 2, (canvas.height - h) // 2))
    return canvas


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG quality 25": _jpeg,
    "half the size": _half,
    "cropped to 75 %": _crop,
    "mirrored": _mirror,
    "25 % brighter": lambda image: _lit(image, (1.25, 1.25, 1.25)),
    "warm light": lambda image: _lit(image, (1.15, 1.0, 0.8)),
    "cool light": lambda image: _lit(image, (0.85, 1.0, 1.15)),
    "turned by 8 degrees": _turn,
    "on a larger canvas": _canvas,
}


@dataclass(frozen=True)
class Copies:
    """Edited copies.

    Attributes:
        rows: (n,) int, of the photos in the gallery.
        by_edit: features of the n copies, by edit.
    """

    rows: np.ndarray
    by_edit: Mapping[str, Features]


def extract_copies(gallery: Gallery, backbone: Backbone, seed: int, n_photos: int | None = None) -> Copies:
    """Makes copies of some test photos and extracts their features, with a progress bar.

    Args:
        gallery: with test photos.
        backbone: embeds them.
        seed: of the choice of photos.
        n_photos: of how many; None for `PHOTOS`.
    """
    test = np.flatnonzero(gallery.splits == "test")
    rows = np.sort(np.random.default_rng(seed).permutation(test)[: n_photos or PHOTOS])
    pictures = [load_image(gallery.thumbnails[row]) for row in rows]
    by_edit = {}
    bar = tqdm(total=len(EDITS) * len(rows), desc="editing copies", unit="copy")
    for name, edit in EDITS.items():
        parts = []
        for start in range(0, len(pictures), BATCH_SIZE):
            copies = [edit(picture) for picture in pictures[start : start + BATCH_SIZE]]
            parts.append(extract(copies, backbone))
            bar.update(len(copies))
        by_edit[name] = Features.concatenate(parts)
    bar.close()
    return Copies(rows, by_edit)


def evaluate_garments(models: Models, gallery: Gallery, copies: Copies, replicates: int, seed: int) -> Garments:
    """Evaluates every method, and the likeness by itself.

    Args:
        models: of methods.
        gallery: that is searched, all of it.
        copies: of its test photos.
        replicates: of the bootstrap.
        seed: of the bootstrap.
    """
    resamples = Resamples.of(gallery.features.take(copies.rows), replicates, seed)

    def estimates(ranks: Mapping[str, np.ndarray]) -> dict[str, CopyEstimates]:
        ranks = {MEAN: np.stack(list(ranks.values())), **{name: found[None] for name, found in ranks.items()}}
        return {name: _estimates(found, resamples) for name, found in ranks.items()}

    methods = {}
    for method in tqdm(models.methods, desc="finding copies", unit="method"):
        model = models.of(method)
        items = method.encode(gallery.features, model)

        def score(queries: Codes) -> np.ndarray:
            return method.compare(queries, items, model, TASK, EVEN_WEIGHT)  # noqa: B023 - used within the iteration

        methods[method.name] = estimates(
            {
                name: _ranks(score, method.encode(features, model), copies.rows, gallery)
                for name, features in copies.by_edit.items()
            }
        )
    likeness = None
    if (model := models.likeness) is not None:
        codes = model.codes(gallery.features)
        likeness = estimates(
            {
                name: _ranks(lambda queries: queries[0] @ codes.T, (model.codes(features),), copies.rows, gallery)
                for name, features in copies.by_edit.items()
            }
        )
    return Garments(NOTE, len(copies.rows), len(gallery), tuple(EDITS), methods, likeness)


def _ranks(score: Callable[[Codes], np.ndarray], queries: Codes, rows: np.ndarray, gallery: Gallery) -> np.ndarray:
    """The rank, from 1, that each copy gives its own photo among all of the gallery: (n,) int."""
    ranks = []
    for start in range(0, len(rows), QUERIES_AT_A_TIME):
        part = slice(start, start + QUERIES_AT_A_TIME)
        scores, right = score(take(queries, part)), rows[part]
        own = scores[np.arange(len(right)), right][:, None]
        is_first_tie = (scores == own) & (gallery.id_order[None] < gallery.id_order[right][:, None])
        ranks.append(1 + ((scores > own) | is_first_tie).sum(axis=1))
    return np.concatenate(ranks)


def _estimates(ranks: np.ndarray, resamples: Resamples) -> CopyEstimates:
    """Ranks of some edits (edits, n): figures of each photo are means over the edits."""
    figures = {"recall_at_1": ranks <= 1, "recall_at_10": ranks <= 10, "mrr": 1 / ranks}
    return CopyEstimates(**{name: resamples.means(values.mean(axis=0)).estimate() for name, values in figures.items()})
