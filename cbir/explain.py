"""Why a gallery item was found: what both photos show, how probably that agrees, and which regions make them alike.

Legend: h x w regions of a photo.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from cbir.errors import BackboneError, CbirError
from cbir.features import NEAR_DUPLICATE
from cbir.features.backbone import Box
from cbir.images import load_image
from cbir.labels import LABELS
from cbir.search import Crop, Photo, Retriever

EXACT_WITHIN = 0.02  # of the cosine: half precision, and the JPEG of a thumbnail


@dataclass(frozen=True)
class Evidence:
    """What is known of one label of a query and an item.

    Attributes:
        query: the most probable class of the query, and `query_probability`.
        item: the most probable class of the item, without regard to its label.
        agreement: probability that both show the same class: sum over classes of p(query) p(item).
    """

    query: str
    query_probability: float
    item: str
    item_probability: float
    agreement: float


@dataclass(frozen=True)
class HeatMap:
    """What the regions of a photo add to the cosine.

    Attributes:
        values: (h, w) float32; negative where a region makes the photos less alike.
        box: the part of the photo that they cover: left, top, right, bottom as fractions of its size.
        image: the photo, RGB.
    """

    values: np.ndarray
    box: Box
    image: Image.Image


@dataclass(frozen=True)
class Explanation:
    """Why an item was found.

    Attributes:
        evidence: for each of `LABELS`; empty where the bundle has no learned method.
        probability: that both show the same type and color; None where the bundle has no learned method.
        likeness: as of a match, see `cbir.search.Match`.
        is_same_picture: likewise.
        query_map: of the query's photo; None where the backbone has no feature map.
        item_map: of the item's thumbnail, the only picture of it that a bundle holds; None as for `query_map`.
        is_exact: whether the regions of each map sum to the likeness, up to `EXACT_WITHIN`; else they are a linear
            approximation.
    """

    evidence: dict[str, Evidence]
    probability: float | None
    likeness: float
    is_same_picture: bool
    query_map: HeatMap | None
    item_map: HeatMap | None
    is_exact: bool


def explain(
    retriever: Retriever,
    item_id: str,
    image: Photo | None = None,
    *,
    query_id: str | None = None,
    crop: Crop | None = None,
) -> Explanation:
    """Explains why an item is found for a photo, or for another item.

    Args:
        retriever: what was searched.
        item_id: the item that was found.
        image: the query, whatever `load_image` takes.
        query_id: the query, where it is a gallery item.
        crop: the part of the image that was searched with.

    Raises:
        CbirError: not exactly one of image and query_id is given, or a crop without an image.
        UnknownNameError: no such item.
        ImageError: the image cannot be read, or the crop is not a valid box.
    """
    if (image is None) == (not query_id) or (crop is not None and image is None):
        raise CbirError("expected a photo, which may be cropped, or the id of a gallery item, and not both")
    gallery = retriever.gallery
    item = gallery.features.take([gallery.row(item_id)])
    if image is None:
        row = gallery.row(str(query_id))
        query, picture = gallery.features.take([row]), load_image(gallery.thumbnails[row])
    else:
        picture = retriever.reader.picture(image, crop)
        query = retriever.reader.features(retriever, image, crop)
    evidence = {}
    if (attributes := retriever.bundle.attributes) is not None:
        of_query, of_item = (attributes.posteriors(features) for features in (query, item))
        for name in LABELS:
            evidence[name] = _evidence(attributes.classes(name), of_query[name][0], of_item[name][0])
    q, x = query.embedding[0], item.embedding[0]
    lengths = float(np.linalg.norm(q) * np.linalg.norm(x)) or 1.0
    likeness = float(q @ x) / lengths
    is_same = likeness >= NEAR_DUPLICATE
    if is_same:  # whatever may be doubtful of it
        evidence = {label: replace(one, agreement=1.0) for label, one in evidence.items()}
    probability = math.prod(one.agreement for one in evidence.values()) if evidence else None
    shown = evidence, probability, min(max(likeness, 0.0), 1.0), is_same
    try:
        query_map = _heat_map(retriever, picture, x / lengths)
        item_map = _heat_map(retriever, load_image(gallery.thumbnails[gallery.row(item_id)]), q / lengths)
    except BackboneError:  # has no feature map
        return Explanation(*shown, None, None, False)
    is_exact = all(abs(float(heat.values.sum()) - likeness) <= EXACT_WITHIN for heat in (query_map, item_map))
    return Explanation(*shown, query_map, item_map, is_exact)


def _heat_map(retriever: Retriever, image: Image.Image, direction: np.ndarray) -> HeatMap:
    values, box = retriever.reader.contributions(retriever, image, direction)
    return HeatMap(values, box, image)


def _evidence(classes: Sequence[str], of_query: np.ndarray, of_item: np.ndarray) -> Evidence:
    q, x = int(of_query.argmax()), int(of_item.argmax())
    return Evidence(classes[q], float(of_query[q]), classes[x], float(of_item[x]), float(of_query @ of_item))
