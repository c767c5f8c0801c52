"""When to say "no confident match".

Scores alone cannot tell: a photo of a lion has a type and a color as sure as a shirt has, since class probabilities
must go somewhere. So two questions are asked. Is the photo *familiar*, i.e. does its embedding lie near the axes along
which photos of clothes differ? (Residual of principal components: Jackson and Mudholkar, Control procedures for
residuals, Technometrics 1979; for networks Wang et al., ViM, CVPR 2022.) And does a learned method, whose scores are
probabilities, hold its best match for more probable than not?

Legend: n photos, d numbers in an embedding, k axes.
"""

import numpy as np

from cbir.features import Features, unit
from cbir.similarity import Model

AXES = 32  # any number from 8 to 64 tells photos of clothes from others about as well
EVEN = 0.5  # a best match below this is more probably wrong than right
ACCEPTED = 0.95  # share of photos of clothes that the level lets pass, at least
REJECTED = 0.99  # share of pictures without clothes that it holds back, where both can be had
FOLDS = 3


def familiarity(features: Features, model: Model) -> np.ndarray:
    """How near photos lie to those that the model was fitted on: (n,) float32, 1 and less, larger is nearer."""
    centred = unit(features.embedding) - model.arrays["mean"]
    axes = model.arrays["axes"]
    return 1 - np.linalg.norm(centred - (centred @ axes.T) @ axes, axis=1)


def fit_familiarity(clothes: Features, others: Features, seed: int) -> Model:
    """Learns the axes along which photos of clothes differ, and the level below which a photo is none of them.

    The level is the lowest that holds `REJECTED` of the other pictures back: photos of clothes in another style than
    those fitted on should pass. Where that would hold back more than 1 - `ACCEPTED` of the clothes, as judged by
    models that did not see them, it is lowered until it does not.

    Args:
        clothes: of at least `FOLDS` photos, all of the train side.
        others: of pictures that show no clothes.
        seed: deals the photos into folds.

    Returns:
        arrays "mean" (d,) and "axes" (k, d); settings "no_match_below", the level, and "accepts_from", the highest it
        could have been.
    """
    folds = np.random.default_rng(seed).permutation(len(clothes)) % FOLDS
    unseen = np.concatenate(
        [familiarity(clothes.take(folds == k), _fit_axes(clothes.take(folds != k))) for k in range(FOLDS)]
    )
    model = _fit_axes(clothes)
    accepts_from = float(np.quantile(unseen, 1 - ACCEPTED))
    settings = {
        "no_match_below": level(familiarity(others, model), accepts_from),
        "accepts_from": accepts_from,
    }
    return Model(model.arrays, settings=settings)


def level(others: np.ndarray, accepts_from: float) -> float:
    """The level by the rule of `fit_familiarity`.

    Args:
        others: (n,) familiarity of pictures that show no clothes.
        accepts_from: the highest level that lets enough clothes pass.
    """
    return min(float(np.quantile(others, REJECTED)), accepts_from)


def _fit_axes(clothes: Features) -> Model:
    vectors = unit(clothes.embedding)
    mean = vectors.mean(axis=0)
    # Eigenvectors of the scatter, in double precision: (d, d), whatever the number of photos.
    scatter = (vectors - mean).T.astype(np.float64) @ (vectors - mean)
    axes = np.linalg.eigh(scatter)[1][:, ::-1][:, : min(AXES, len(vectors) - 1)].T
    # The sign of an axis is arbitrary: its largest number is made positive, so that equal photos give equal files.
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    return Model({"mean": mean, "axes": np.ascontiguousarray(axes, np.float32)})
