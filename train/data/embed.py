"""Embeds a dataset: photos and labels in, a gallery out.

A step of `train.run`; on its own it has no command, since its result lives in the cache of `cbir.features.index`.
"""

from collections.abc import Iterator

import datasets
import numpy as np
from PIL import Image

from cbir.features.backbone import Backbone
from cbir.features.index import Photo, index_photos
from cbir.gallery import Gallery
from cbir.images import load_image
from cbir.labels import LABELS
from train.prepare_data import photo_source


def embed_dataset(dataset: datasets.Dataset, backbone: Backbone) -> tuple[Gallery, dict[str, str]]:
    """Embeds every photo, with a progress bar.

    Args:
        dataset: n rows of `train.prepare_data.read_dataset`.
        backbone: embeds them.

    Returns:
        The gallery of the photos that could be read, in the dataset's order and in no split yet, and for every other
        photo its id and why it could not be read.

    Raises:
        CbirError: none of the photos can be read.
    """
    indexed = index_photos(_photos(dataset), len(dataset), backbone)
    rows = {id: row for row, id in enumerate(dataset["id"])}
    kept = [rows[id] for id in indexed.ids.tolist()]
    labels = {name: np.array(dataset[name], dtype=str)[kept] for name in LABELS}
    splits = np.full(len(kept), "", dtype="<U5")
    return Gallery(indexed.ids, labels, indexed.features, indexed.thumbnails, splits), indexed.unreadable


def read_photos(dataset: datasets.Dataset, gallery: Gallery) -> Iterator[Image.Image]:
    """The photos of a gallery that `embed_dataset` made of a dataset, in the gallery's order, one after the other."""
    rows = {id: row for row, id in enumerate(dataset["id"])}
    for id in gallery.ids.tolist():
        yield load_image(photo_source(dataset[rows[id]]["image"]))


def _photos(dataset: datasets.Dataset) -> Iterator[Photo]:
    for row in dataset.select_columns(["id", "image"]):
        yield row["id"], photo_source(row["image"])


def report_unreadable(unreadable: dict[str, str], source: str) -> None:
    """Prints how many photos were left out, and each with the reason."""
    if unreadable:
        print(f"{len(unreadable)} photos of {source} cannot be read and are left out:")
        for id, reason in unreadable.items():
            print(f"  {id}: {reason}")
