"""How well the items of a gallery fit what words and a color ask for.

Legend: g gallery items.
"""

from dataclasses import dataclass

import numpy as np

from cbir.features.color_share import color_nearness, color_share
from cbir.gallery import Gallery
from cbir.similarity.attributes import AttributeModel
from cbir.words import Wanted

LEAST_SHARE = 0.4  # of the garment; the best match should have so much of the colors that are wanted


@dataclass(frozen=True)
class Fit:
    """How well g items fit.

    Attributes:
        type: (g,) float32, how probably an item shows one of the types; 1 or 0 where its label is known. None where no
            type is wanted.
        color: (g,) float32, how much of the garment has the colors, see `color_share`; of several, each should have an
            equal part. None where no color is wanted.
        nearness: (g,) float32, how near the garment is to the colors on the whole, see `color_nearness`; None likewise.
    """

    type: np.ndarray | None
    color: np.ndarray | None = None
    nearness: np.ndarray | None = None

    def score(self, closeness: np.ndarray | None, color_weight: float) -> np.ndarray:
        """What ranks the items: (g,) float32, the product of what is asked for.

        The color counts by its share; of garments with the same share, the nearest to the color counts up to twice as
        much as the others.

        Args:
            closeness: (g,), scores of a photo; None for a search without any. Below 0 it counts as 0.
            color_weight: how much the color counts against the rest, 0 to 1: a half counts both alike.
        """
        rest = np.ones(1, np.float32) if closeness is None else np.maximum(closeness, 0)
        if self.type is not None:
            rest = rest * self.type
        if self.color is None or self.nearness is None:
            return rest
        color = self.color * (1 + self.nearness) / 2
        return rest ** np.float32(2 - 2 * color_weight) * color ** np.float32(2 * color_weight)


def fit_wanted(gallery: Gallery, attributes: AttributeModel | None, wanted: Wanted) -> Fit:
    """How well each item fits.

    Args:
        gallery: the items.
        attributes: tells types where labels are unknown; None where that cannot be told.
        wanted: what is asked for.
    """
    types = _types(gallery, attributes, wanted) if wanted.types else None
    if not wanted.colors:
        return Fit(types)
    shares = [color_share(gallery.features.color, color.shades) for color in wanted.colors]
    nearness = [color_nearness(gallery.features.color, color.shades) for color in wanted.colors]
    return Fit(types, np.minimum(np.min(shares, axis=0) * np.float32(len(shares)), 1), np.max(nearness, axis=0))


def _types(gallery: Gallery, attributes: AttributeModel | None, wanted: Wanted) -> np.ndarray:
    labels = gallery.labels["type"]
    fits = np.isin(labels, wanted.types).astype(np.float32)
    unknown = np.flatnonzero(labels == "")
    if attributes is not None and len(unknown):
        columns = np.isin(attributes.classes("type"), wanted.types)
        fits[unknown] = attributes.posteriors(gallery.features.take(unknown))["type"][:, columns].sum(axis=1)
    return fits
