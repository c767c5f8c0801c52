"""Guesses: what photos show that nobody has labelled.

A guess is the most probable class of the attribute model, with its probability. It never becomes a label: a gallery
holds both side by side, and whatever shows a guess says so. A guess is *unsure* where its probability is below
`SURE_FROM`, and where the photo is not familiar as one of clothes (`cbir.familiarity`). A color is unsure too where too
little of the garment is nearer to it than to all others that have a name (`cbir.words`): probabilities must go to one
of the colors that the model knows, also those of pink garments and of many patterns. How often guesses are right is
measured by `train.evaluate --guesses`.

Legend: n photos, k classes of a label.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cbir.familiarity import Familiarity
from cbir.features import Features
from cbir.features.color_share import nearest_shares
from cbir.labels import LABELS
from cbir.similarity.attributes import AttributeModel
from cbir.words import color_families

# Both levels were chosen on the photos of `samples/cc0_colors.csv`, where four of ten have other colors than the model.
SURE_FROM = 0.8  # least probability of a guess that is shown as one
LEAST_PART = 0.15  # of the garment that a sure guess of its color fits
UNSURE = "unsure"  # what is shown in place of a less probable guess


@dataclass(frozen=True)
class Guess:
    """One label of one photo: the most probable class, its probability, and whether that is enough to show it."""

    value: str
    probability: float
    is_sure: bool

    @property
    def shown(self) -> str:
        """The class, or `UNSURE`."""
        return self.value if self.is_sure else UNSURE


@dataclass(frozen=True)
class Guesses:
    """Guesses of all labels of n photos.

    Attributes:
        values: for each of `LABELS` (n,) str, the most probable class.
        probabilities: for each of `LABELS` (n,) float32, of these classes.
        sure: for each of `LABELS` (n,) bool, whether they are probable enough to be shown.
    """

    values: Mapping[str, np.ndarray]
    probabilities: Mapping[str, np.ndarray]
    sure: Mapping[str, np.ndarray]

    def of(self, row: int, label: str) -> Guess:
        """One label of the photo in a row."""
        value, probability = str(self.values[label][row]), round(float(self.probabilities[label][row]), 6)
        return Guess(value, probability, bool(self.sure[label][row]))

    def take(self, rows: np.ndarray) -> "Guesses":
        """Those of some photos."""
        kinds = self.values, self.probabilities, self.sure
        return Guesses(*({name: column[rows] for name, column in kind.items()} for kind in kinds))

    def shown(self, label: str) -> np.ndarray:
        """(n,) str, the classes, `UNSURE` where they are not probable enough."""
        return np.where(self.sure[label], self.values[label], UNSURE)


@dataclass(frozen=True)
class Seen:
    """What the photos of a query show of one label, by the attribute model.

    Attributes:
        shares: each class and its probability, the mean over the photos; the most probable first.
        is_sure: whether the first one is a sure guess of each photo.
    """

    shares: tuple[tuple[str, float], ...]
    is_sure: bool


def seen_labels(features: Features, attributes: AttributeModel, familiarity: Familiarity | None) -> dict[str, Seen]:
    """What n photos of a query show, for each of `LABELS`; arguments as of `guess_labels`, which tells what is sure."""
    guesses, posteriors = guess_labels(features, attributes, familiarity), attributes.posteriors(features)
    seen = {}
    for name in LABELS:
        means = posteriors[name].mean(axis=0)
        classes = attributes.classes(name)
        order = np.argsort(-means, kind="stable")
        shares = tuple((str(classes[i]), float(means[i])) for i in order)
        is_sure = bool(guesses.sure[name].all() and (guesses.values[name] == shares[0][0]).all())
        seen[name] = Seen(shares, is_sure)
    return seen


def guess_labels(features: Features, attributes: AttributeModel, familiarity: Familiarity | None) -> Guesses:
    """Guesses what n photos show.

    Args:
        features: of the photos.
        attributes: tells type and color.
        familiarity: tells photos of clothes from others; None to take all for photos of clothes.
    """
    posteriors = attributes.posteriors(features)
    values = {name: np.array(attributes.classes(name))[posteriors[name].argmax(axis=1)] for name in LABELS}
    probabilities = {name: posteriors[name].max(axis=1) for name in LABELS}
    is_familiar = True if familiarity is None else familiarity.score(features) >= familiarity.threshold
    sure = {name: (probabilities[name] >= SURE_FROM) & is_familiar for name in LABELS}
    sure["color"] &= _fits_color(features, values["color"])
    return Guesses(values, probabilities, sure)


def _fits_color(features: Features, colors: np.ndarray) -> np.ndarray:
    """Whether enough of each garment is nearest to the color (n,) str; true where it is no color of the vocabulary."""
    families = color_families()
    shares = nearest_shares(features.color, list(families.values()))
    fits = np.ones(len(colors), bool)
    for column, name in enumerate(families):
        fits[colors == name] = shares[colors == name, column] >= LEAST_PART
    return fits
