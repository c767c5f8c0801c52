"""Embeds a dataset: photos and labels in, a gallery out. A step of `train.run`."""

from collections.abc import Iterator
from dataclasses import replace

from PIL import Image

from cbir.features.backbone import Backbone
from cbir.gallery import Gallery, index_gallery
from cbir.images import load_image
from cbir.labels import LABELS
from train.data.dataset import Dataset, photo_source


def embed_dataset(dataset: Dataset, backbone: Backbone) -> tuple[Gallery, dict[str, str]]:
    """Embeds the photos of `train.data.dataset.read_dataset`: see `cbir.gallery.index_gallery`; features as float32."""
    images = (photo_source(row["image"]) for row in dataset.select_columns(["image"]))
    columns = {name: dataset[name][:] for name in LABELS}
    gallery, unreadable = index_gallery(dataset["id"][:], images, columns, backbone)
    return replace(gallery, features=gallery.features.single()), unreadable


def read_photos(dataset: Dataset, gallery: Gallery) -> Iterator[Image.Image]:
    """The photos of a gallery that `embed_dataset` made of a dataset, in the gallery's order, one after the other."""
    rows = {id: row for row, id in enumerate(dataset["id"])}
    for id in gallery.ids.tolist():
        yield load_image(photo_source(dataset[rows[id]]["image"]))
