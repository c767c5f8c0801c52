"""Fits the attribute model: which type and color a photo shows.

Legend: n photos, p classes of all labels, k classes of a label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.utils.parallel import Parallel, delayed

from cbir.errors import DataError
from cbir.features import Features, unit
from cbir.labels import LABELS
from cbir.similarity.attributes import AttributeModel, LabelModel, Scaler, scaled_parts

PARTS = ("embedding", "color", "learned")  # of `Features`, in the order in which `scaled_parts` lays them
PRINCIPAL_AXES = 400  # of a photo's features, on which attributes are fitted
PART_VARIANCE = 1000  # of each part of the features, summed over dimensions
FOLDS = 3  # for posteriors of photos by models that did not see them


@dataclass(frozen=True)
class AttributeSettings:
    """How one label's model is fitted.

    Attributes:
        parts: of `PARTS`, those that it sees.
        c: inverse strength of the penalty.
        class_weight: as scikit-learn takes it.
    """

    parts: tuple[str, ...]
    c: float
    class_weight: str | None


# Where photos are taken elsewhere, the colors of backgrounds and the shares of types differ: a model of the type that
# knew either would be misled. All chosen by cross-validation inside the train side, and, where that tells no
# difference, by photos of another source.
SETTINGS = {
    "type": AttributeSettings(("embedding",), 0.01, "balanced"),
    "color": AttributeSettings(PARTS, 0.003, None),
}


@dataclass(frozen=True)
class FittedAttributes:
    """The attribute model, and what it was calibrated by.

    Attributes:
        model: fitted on all n photos, calibrated.
        unseen: (n, p) float32, posteriors of each photo by models that did not see it; zeros for photos that a color
            network was tuned on.
        temperatures: for each of `LABELS`, what its logits were divided by.
    """

    model: AttributeModel
    unseen: np.ndarray
    temperatures: Mapping[str, float]


def fit_attributes(
    features: Features, labels: Mapping[str, np.ndarray], seed: int, tuned: np.ndarray
) -> FittedAttributes:
    """Fits the attribute model and calibrates it.

    The logits of each label are divided by a temperature (Guo et al., On calibration of modern neural networks, 2017)
    that makes the labels of photos that the model did not see as probable as possible.

    Args:
        features: of n photos of the train side.
        labels: label columns, each (n,) str, "" where unknown.
        seed: makes fitting repeatable.
        tuned: (n,) bool, the photos that a color network was tuned on: their color features are optimistic.

    Raises:
        DataError: the photos show fewer than two classes of a label.
    """
    if tuned.any():
        folds = [(np.flatnonzero(tuned), np.flatnonzero(~tuned))]
    else:
        folds = list(KFold(FOLDS, shuffle=True, random_state=seed).split(features.embedding))

    def fit(rows: np.ndarray | slice) -> AttributeModel:
        return _fit(features.take(rows), {name: column[rows] for name, column in labels.items()}, seed)

    fitted_on = (slice(None), *(rest for rest, _ in folds))
    model, *others = Parallel(n_jobs=-1, prefer="threads")(delayed(fit)(rows) for rows in fitted_on)
    unseen = _unseen_posteriors(model, others, features, [fold for _, fold in folds])
    temperatures, by_label, parts = {}, {}, []
    for label in LABELS:
        fitted, posteriors = model.by_label[label], unseen[:, model.columns(label)]
        rows = np.flatnonzero(~tuned & (labels[label] != ""))
        true = np.searchsorted(np.array(fitted.classes), labels[label][rows])
        # Photos whose true class is missing from their fold say nothing about the temperature.
        possible = posteriors[rows, true] > 0
        temperature = _best_temperature(posteriors[rows][possible], true[possible])
        by_label[label] = replace(
            fitted,
            weights=fitted.weights / np.float32(temperature),
            offset=fitted.offset / np.float32(temperature),
        )
        powered = posteriors ** (1 / temperature)
        parts.append(powered / np.maximum(powered.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny))
        temperatures[label] = temperature
    unseen = np.concatenate(parts, axis=1).astype(np.float32)
    return FittedAttributes(replace(model, by_label=by_label), unseen, temperatures)


def _fit(features: Features, labels: Mapping[str, np.ndarray], seed: int) -> AttributeModel:
    """Fits one multinomial Logistic Regression per label: see `SETTINGS`.

    It is fitted on principal components, which costs a fraction of the time and loses nothing; the rotation is then
    folded into the weights.
    """
    # One penalty holds for all parts, so each gets the same total variance, whatever its number of dimensions.
    color_scale = (features.color.std(axis=0) + 1e-3) * np.sqrt(features.color.shape[1] / PART_VARIANCE)
    scalers = {
        "embedding": _unit_scaler(features.embedding),
        "color": Scaler(_single(features.color.mean(axis=0)), _single(color_scale)),
        "learned": _unit_scaler(features.learned),
    }
    inputs = scaled_parts(features, **scalers)
    sizes = [getattr(features, name).shape[1] for name in PARTS]
    by_label = {}
    for label in LABELS:
        known = labels[label] != ""
        if len(shown := np.unique(labels[label][known])) < 2:
            raise DataError(
                f"expected photos of at least two classes of {label} to fit on, got {known.sum()} photos of "
                f"{', '.join(shown) or 'none'}"
            )
        settings = SETTINGS[label]
        columns = np.repeat([name in settings.parts for name in PARTS], sizes)
        x = inputs[:, columns]
        pca = PCA(min(PRINCIPAL_AXES, *x.shape), svd_solver="randomized", random_state=seed).fit(x)
        # In double precision: in single, the solver stops far from the optimum.
        components = pca.transform(x).astype(np.float64)
        regression = LogisticRegression(C=settings.c, max_iter=2000, class_weight=settings.class_weight)
        regression.fit(components[known], labels[label][known])
        weights, offset = regression.coef_, regression.intercept_
        if len(regression.classes_) == 2:  # scikit-learn then keeps one row, the log-odds of the second class
            weights, offset = np.concatenate([-weights, weights]) / 2, np.concatenate([-offset, offset]) / 2
        all_weights = np.zeros((len(weights), inputs.shape[1]))
        all_weights[:, columns] = weights @ pca.components_
        all_offset = offset - weights @ pca.components_ @ pca.mean_
        by_label[label] = LabelModel(tuple(regression.classes_.tolist()), _single(all_weights), _single(all_offset))
    return AttributeModel(**scalers, by_label=by_label)


def _unit_scaler(vectors: np.ndarray) -> Scaler:
    vectors = unit(vectors)
    scale = np.sqrt(vectors.var(axis=0).sum(keepdims=True) / PART_VARIANCE) + 1e-9
    return Scaler(_single(vectors.mean(axis=0)), _single(scale))


def _single(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float32)


def _unseen_posteriors(
    model: AttributeModel, others: Sequence[AttributeModel], features: Features, folds: Sequence[np.ndarray]
) -> np.ndarray:
    """Posteriors of photos by models that did not see them: (n, p) float32, in the order of the model's classes.

    Args:
        model: fitted on all photos.
        others: fitted on the rest of each fold.
        features: of n photos.
        folds: rows of each.
    """
    posteriors = np.zeros((len(features), model.columns(LABELS[-1]).stop), np.float32)
    for other, fold in zip(others, folds, strict=True):
        found = other.posteriors(features.take(fold))
        for label in LABELS:
            # A fold may lack a rare class: its probability is then 0.
            start, known = model.columns(label).start, model.classes(label)
            for column, name in enumerate(other.classes(label)):
                posteriors[fold, start + known.index(name)] = found[label][:, column]
    return posteriors


def _best_temperature(posteriors: np.ndarray, classes: np.ndarray) -> float:
    """The temperature under which the classes (n,) int of photos are the most probable by posteriors (n, k)."""
    logits = np.log(np.maximum(posteriors.astype(np.float64), 1e-12))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(logsumexp(scaled, axis=1) - scaled[np.arange(len(classes)), classes]))

    return float(np.exp(minimize_scalar(loss, bounds=(-1.5, 1.5), method="bounded").x))
