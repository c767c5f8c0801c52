"""Why a gallery item was found: what both photos show, how probably that agrees, and which regions make them alike.

Legend: h x w regions of a photo.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from cbir.errors import BackboneError, CbirError
from cbir.features import Features, unit
from cbir.features.backbone import Box
from cbir.images import load_image
from cbir.labels import LABELS, TASKS
from cbir.search import Crop, Photo, Retriever
from cbir.similarity.codes import lengths
from cbir.similarity.likeness import Likeness, LikenessTerms, match_figures

EXACT_WITHIN = 0.05  # of the likeness: half precision, and the JPEG of a thumbnail


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
    """What the regions of a photo add to the likeness that ranks: its cosine, before it is cut off at 0.

    Attributes:
        values: (h, w) float32, by form and texture, compared with the photos that the likeness was fitted on; negative
            where a region makes the photos less alike.
        color: what the colors of the whole photo add; values and this sum to the likeness.
        box: the part of the photo that they cover: left, top, right, bottom as fractions of its size.
        image: the photo, RGB.
    """

    values: np.ndarray
    color: float
    box: Box
    image: Image.Image


@dataclass(frozen=True)
class Explanation:
    """Why an item was found.

    Attributes:
        evidence: for each of `LABELS`; empty where the bundle has no learned method.
        probability: that both show the same type and color; None where the bundle has no learned method.
        likeness: as of a match, see `cbir.ranking.Match`.
        is_same_picture: likewise.
        query_map: of the query's photo; None where the backbone has no feature map.
        item_map: of the item's thumbnail, the only picture of it that a bundle holds; None as for `query_map`.
        is_exact: whether each map sums to the likeness, up to `EXACT_WITHIN`; else its regions are a linear
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
    shown_item = retriever.index.items([item_id])
    item = shown_item.features
    if image is None:
        searched = retriever.index.items([str(query_id)])
        query, picture = searched.features, load_image(searched.thumbnails[0])
    else:
        picture = retriever.reader.picture(image, crop)
        query = retriever.reader.features(retriever, image, crop)
    models = retriever.bundle.models
    method, model = models.telling, models.of(models.telling)
    figures = match_figures(method.encode(query, model), method.encode(item, model), model, TASKS["both"])
    likeness, is_same_picture = float(figures.likeness[0]), bool(figures.is_same_picture[0])
    evidence = {}
    if models.attributes is not None:
        of_query, of_item = (models.attributes.posteriors(features) for features in (query, item))
        for name in LABELS:
            evidence[name] = _evidence(models.attributes.classes(name), of_query[name][0], of_item[name][0])
            if is_same_picture:  # whatever may be doubtful of it
                evidence[name] = replace(evidence[name], agreement=1.0)
    probability = None if np.isnan(figures.probability[0]) else float(figures.probability[0])
    shown = evidence, probability, likeness, is_same_picture
    try:
        query_map = _heat_map(retriever, picture, _terms(query, item, models.likeness))
        item_map = _heat_map(retriever, load_image(shown_item.thumbnails[0]), _terms(item, query, models.likeness))
    except BackboneError:  # has no feature map
        return Explanation(*shown, None, None, False)
    sums = [max(float(heat.values.sum()) + heat.color, 0) for heat in (query_map, item_map)]
    return Explanation(*shown, query_map, item_map, all(abs(found - likeness) <= EXACT_WITHIN for found in sums))


def _terms(photo: Features, other: Features, likeness: Likeness | None) -> LikenessTerms:
    if likeness is not None:
        return likeness.terms(photo, other)
    direction = unit(other.embedding)[0] / lengths(photo.embedding)
    return LikenessTerms(direction, 0.0, 0.0)


def _heat_map(retriever: Retriever, image: Image.Image, terms: LikenessTerms) -> HeatMap:
    values, box = retriever.reader.contributions(retriever, image, terms.direction)
    return HeatMap(values + np.float32(terms.constant / values.size), terms.color, box, image)


def _evidence(classes: Sequence[str], of_query: np.ndarray, of_item: np.ndarray) -> Evidence:
    q, x = int(of_query.argmax()), int(of_item.argmax())
    return Evidence(classes[q], float(of_query[q]), classes[x], float(of_item[x]), float(of_query @ of_item))
