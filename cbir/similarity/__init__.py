"""Similarity methods: how each is fitted and how it scores.

Each method is one entry of `SIMILARITIES`. It *encodes* a photo once, into the numbers it compares, and *compares*
codes; a gallery is encoded when it is loaded, so that a search costs one encoding and one comparison. Scores are
larger for closer photos. Those of learned methods are probabilities.

Legend: n photos, q queries, g gallery items, d numbers in an embedding, p numbers in a code, m pairs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from scipy.special import logit, logsumexp

from cbir.errors import DataError, UnknownNameError
from cbir.features import Features, unit
from cbir.labels import LABELS, Task
from cbir.similarity.pairs import pair_features
from train.data.split import Pairs

BLIND = "blind"  # the key of a model that was fitted on the pairs of all tasks at once, as published
PRINCIPAL_AXES = 400  # of a photo's features, on which attributes are fitted
PART_VARIANCE = 1000  # of each part of the features, summed over dimensions
PARTS = ("embedding", "color", "learned")  # of `Features`, in the order in which models see them


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
ATTRIBUTES = {
    "type": AttributeSettings(("embedding",), 0.01, "balanced"),
    "color": AttributeSettings(PARTS, 0.003, None),
}
FOLDS = 3  # for posteriors of photos by models that did not see them
AGREEMENT_FLOOR = 1e-4  # of the probability that two photos agree, or differ: some labels are wrong
PAIR_C = 0.1
FOREST_TREES = 50
FOREST_LEAVES = 128  # a tree: keeps a forest under 2 MB and a search quick
FOREST_CHUNK = 20_000  # pairs scored at a time: bounds memory


@dataclass(frozen=True)
class Model:
    """What a method learned, in forms that are stored without running code.

    Attributes:
        arrays: numbers.
        graphs: ONNX models.
        settings: JSON values, e.g. class names.
    """

    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    graphs: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TrainingSet:
    """What methods are fitted on: photos of the train side only.

    Attributes:
        features: of n photos.
        labels: label columns, each (n,) str, "" where unknown.
        pairs: pairs of these photos for each label column, none with a photo that is `tuned`.
        seed: makes fitting repeatable.
        tuned: (n,) bool, the photos that a color network learned from: their features tell more of their color than
            those of any other photo will.
    """

    features: Features
    labels: Mapping[str, np.ndarray]
    pairs: Mapping[str, Pairs]
    seed: int
    tuned: np.ndarray

    @cached_property
    def attributes(self) -> Model:
        """The attribute model that all learned methods share, see `attribute_posteriors`.

        The logits of each label are divided by a temperature (Guo et al., On calibration of modern neural networks,
        2017) that makes the labels of photos that the model did not see as probable as possible.
        """
        arrays = dict(self._attributes.arrays)
        for label, temperature in self._temperatures.items():
            for name in ("weights", "offset"):
                arrays[f"{label}.{name}"] = arrays[f"{label}.{name}"] / np.float32(temperature)
        return Model(arrays, settings=self._attributes.settings)

    @cached_property
    def out_of_fold_posteriors(self) -> np.ndarray:
        """Posteriors of each photo by models that did not see it: (n, p) float32, zeros for those that are `tuned`.

        A pair model fitted on posteriors of photos that their own model has seen would learn to trust them too much
        (Wolpert, Stacked generalization, 1992).
        """
        parts = []
        for label in LABELS:
            powered = self._out_of_fold[:, _columns(self._attributes, label)] ** (1 / self._temperatures[label])
            parts.append(powered / np.maximum(powered.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny))
        return np.concatenate(parts, axis=1).astype(np.float32)

    @cached_property
    def _attributes(self) -> Model:
        return _fit_attributes(self.features, self.labels, self.seed)

    @cached_property
    def _out_of_fold(self) -> np.ndarray:
        from sklearn.model_selection import KFold

        settings = self._attributes.settings
        posteriors = np.zeros((len(self.features), sum(map(len, settings["classes"].values()))), np.float32)
        if self.tuned.any():
            folds = [(np.flatnonzero(self.tuned), np.flatnonzero(~self.tuned))]
        else:
            folds = KFold(FOLDS, shuffle=True, random_state=self.seed).split(posteriors)
        for rest, fold in folds:
            model = _fit_attributes(self.features.take(rest), {k: v[rest] for k, v in self.labels.items()}, self.seed)
            found = attribute_posteriors(self.features.take(fold), model)
            for label in LABELS:
                # A fold may lack a rare class: its probability is then 0.
                columns = _columns(self._attributes, label)
                known = settings["classes"][label]
                for column, name in enumerate(model.settings["classes"][label]):
                    posteriors[fold, columns.start + known.index(name)] = found[label][:, column]
        return posteriors

    @cached_property
    def _temperatures(self) -> dict[str, float]:
        found = {}
        for label in LABELS:
            classes = np.array(self._attributes.settings["classes"][label])
            rows = np.flatnonzero(~self.tuned & (self.labels[label] != ""))
            posteriors = self._out_of_fold[rows][:, _columns(self._attributes, label)]
            true = np.searchsorted(classes, self.labels[label][rows])
            # Of a class that its fold lacks, a photo says nothing about how sure the others should be.
            possible = posteriors[np.arange(len(rows)), true] > 0
            found[label] = _best_temperature(posteriors[possible], true[possible])
        return found


@dataclass(frozen=True)
class Similarity:
    """One method.

    Attributes:
        name: what `--method` and the endpoints take.
        title: what people read.
        explanation: one line for people.
        encode: features of n photos, and the model -> (n, p) float32 codes.
        compare: codes (q, p) and (g, p), the model and a label column or `BLIND` -> (q, g) float32 scores.
        fit: learns a model; None where there is nothing to learn.
    """

    name: str
    title: str
    explanation: str
    encode: Callable[[Features, Model], np.ndarray]
    compare: Callable[[np.ndarray, np.ndarray, Model, str], np.ndarray]
    fit: Callable[[TrainingSet], Model] | None = None

    @property
    def is_learned(self) -> bool:
        """Whether it needs a fitted model; its scores are then probabilities."""
        return self.fit is not None

    def score_codes(
        self, queries: np.ndarray, gallery: np.ndarray, model: Model, task: Task | None, color_weight: float = 0.5
    ) -> np.ndarray:
        """Scores encoded photos: see `score`.

        Where a learned method scores type and color, its score is type^(2 (1 - w)) * color^(2 w), w being
        `color_weight`, 0 to 1: a half gives the product of both, 0 ranks by the type alone, 1 by the color alone.
        """
        if not self.is_learned or task is None:
            return self.compare(queries, gallery, model, BLIND)
        by_label = [self.compare(queries, gallery, model, label) for label in task.labels]
        if task.labels == LABELS:
            by_label = [by_label[0] ** (2 - 2 * color_weight), by_label[1] ** (2 * color_weight)]
        # Labels are close to independent given the photos: all agree with the product of their probabilities.
        return np.multiply.reduce(by_label)

    def score(self, queries: Features, gallery: Features, model: Model, task: Task | None) -> np.ndarray:
        """Scores every query against every gallery item.

        Args:
            queries: features of q photos.
            gallery: features of g photos.
            model: what `fit` learned; ignored by methods that learn nothing.
            task: what should match; None for the task-blind score of the published protocol.

        Returns:
            (q, g) float32, finite, larger is closer, each score independent of the other rows.
        """
        return self.score_codes(self.encode(queries, model), self.encode(gallery, model), model, task)


def similarity(name: str) -> Similarity:
    """Looks a method up.

    Raises:
        UnknownNameError: no method of that name.
    """
    if name not in SIMILARITIES:
        raise UnknownNameError("method", name, SIMILARITIES)
    return SIMILARITIES[name]


# --- geometric methods -------------------------------------------------------------------------------------------


def _encode_cosine(features: Features, model: Model) -> np.ndarray:
    return unit(features.embedding)


def _compare_cosine(queries: np.ndarray, gallery: np.ndarray, model: Model, label: str) -> np.ndarray:
    return queries @ gallery.T


def _encode_raw(features: Features, model: Model) -> np.ndarray:
    return features.embedding


def _compare_inverse_euclidean(queries: np.ndarray, gallery: np.ndarray, model: Model, label: str) -> np.ndarray:
    # |a - b|^2 by a matrix product, in double precision: in single, nearly equal photos would cancel to noise.
    a, b = queries.astype(np.float64), gallery.astype(np.float64)
    squared = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)[None] - 2 * a @ b.T
    return (1 / (1 + np.sqrt(np.maximum(squared, 0)))).astype(np.float32)


# --- attributes --------------------------------------------------------------------------------------------------


def _fit_attributes(features: Features, labels: Mapping[str, np.ndarray], seed: int) -> Model:
    """Fits one multinomial Logistic Regression a label: see `ATTRIBUTES`.

    It is fitted on principal components, which costs a fraction of the time and loses nothing; the rotation is then
    folded into the weights.

    Raises:
        DataError: the photos show fewer than two classes of a label.
    """
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression

    # One penalty holds for all parts, so each gets the same total variance, whatever its number of dimensions.
    arrays = {
        "color_mean": features.color.mean(axis=0),
        "color_scale": (features.color.std(axis=0) + 1e-3) * np.sqrt(features.color.shape[1] / PART_VARIANCE),
    }
    for name, vectors in (("embedding", unit(features.embedding)), ("learned", unit(features.learned))):
        arrays[f"{name}_mean"] = vectors.mean(axis=0)
        arrays[f"{name}_scale"] = np.sqrt(vectors.var(axis=0).sum(keepdims=True) / PART_VARIANCE) + 1e-9
    inputs = _attribute_inputs(features, arrays)
    classes = {}
    for label in LABELS:
        known = labels[label] != ""
        if len(shown := np.unique(labels[label][known])) < 2:
            raise DataError(
                f"expected photos of at least two classes of {label} to fit on, got {known.sum()} photos of "
                f"{', '.join(shown) or 'none'}"
            )
        settings = ATTRIBUTES[label]
        sizes = [getattr(features, name).shape[1] for name in PARTS]
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
        arrays[f"{label}.weights"] = np.zeros((len(weights), inputs.shape[1]))
        arrays[f"{label}.weights"][:, columns] = weights @ pca.components_
        arrays[f"{label}.offset"] = offset - weights @ pca.components_ @ pca.mean_
        classes[label] = regression.classes_.tolist()
    return Model({k: np.asarray(v, np.float32) for k, v in arrays.items()}, settings={"classes": classes})


def _best_temperature(posteriors: np.ndarray, classes: np.ndarray) -> float:
    """The temperature under which the classes (n,) int of photos are the most probable by posteriors (n, k)."""
    from scipy.optimize import minimize_scalar

    logits = np.log(np.maximum(posteriors.astype(np.float64), 1e-12))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        return float(np.mean(logsumexp(scaled, axis=1) - scaled[np.arange(len(classes)), classes]))

    return float(np.exp(minimize_scalar(loss, bounds=(-1.5, 1.5), method="bounded").x))


def _attribute_inputs(features: Features, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    parts = {"embedding": unit(features.embedding), "color": features.color, "learned": unit(features.learned)}
    scaled = [(parts[name] - arrays[f"{name}_mean"]) / arrays[f"{name}_scale"] for name in PARTS]
    return np.concatenate(scaled, axis=1).astype(np.float32)


def attribute_posteriors(features: Features, model: Model) -> dict[str, np.ndarray]:
    """Probability of each class of each label.

    Returns:
        For each label column (n, classes) float32, rows summing to 1, classes as in `model.settings["classes"]`.
    """
    x = _attribute_inputs(features, model.arrays)
    posteriors = {}
    for label in LABELS:
        logits = x @ model.arrays[f"{label}.weights"].T + model.arrays[f"{label}.offset"]
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        posteriors[label] = exp / exp.sum(axis=1, keepdims=True)
    return posteriors


def _columns(model: Model, label: str) -> slice:
    sizes = [len(model.settings["classes"][name]) for name in LABELS]
    stop = sum(sizes[: LABELS.index(label) + 1])
    return slice(stop - sizes[LABELS.index(label)], stop)


def _encode_posteriors(features: Features, model: Model) -> np.ndarray:
    return np.concatenate(list(attribute_posteriors(features, model).values()), axis=1)


def _fit_attribute_agreement(training: TrainingSet) -> Model:
    return training.attributes


def _compare_attribute_agreement(queries: np.ndarray, gallery: np.ndarray, model: Model, label: str) -> np.ndarray:
    """Probability that both have the same label: sum over classes of p(query) p(item)."""
    if label == BLIND:
        return np.mean([_compare_attribute_agreement(queries, gallery, model, one) for one in LABELS], axis=0)
    columns = _columns(model, label)
    return queries[:, columns] @ gallery[:, columns].T


# --- methods on pairs --------------------------------------------------------------------------------------------
# All rest on the class probabilities of the two photos: on raw embeddings a pair model would have to find from pairs
# alone what labels say outright. And all see the log-odds that the photos agree, by these probabilities. Half of the
# pairs are positive, far more than of photos at random, so that the probability of agreement itself is too low for
# them; its log-odds are off by a constant, which a linear model learns (Platt, Probabilistic outputs for support vector
# machines, 1999).


def _pairs_by_key(training: TrainingSet) -> dict[str, Pairs]:
    return {**training.pairs, BLIND: Pairs.concatenate([training.pairs[label] for label in LABELS])}


def _agreement_of_pairs(left: np.ndarray, right: np.ndarray, model: Model) -> np.ndarray:
    """What `_compare_attribute_agreement` says of m pairs: codes (m, p) twice -> (m, labels)."""
    parts = [_columns(model, label) for label in LABELS]
    return np.stack([(left[:, part] * right[:, part]).sum(axis=1) for part in parts], axis=1)


def _log_odds(agreement: np.ndarray) -> np.ndarray:
    return logit(np.clip(agreement, AGREEMENT_FLOOR, 1 - AGREEMENT_FLOOR))


def _pair_inputs(left: np.ndarray, right: np.ndarray, model: Model) -> np.ndarray:
    """What Logistic Regression and Random Forest see of m pairs: codes (m, p) twice -> (m, 2p + labels)."""
    return np.concatenate([pair_features(left, right), _log_odds(_agreement_of_pairs(left, right, model))], axis=1)


def _fit_logistic_regression(training: TrainingSet) -> Model:
    """Logistic Regression on [(a-b)^2, a*b, log-odds of agreement], the first two folded into an inner product.

    With weights u on the squared differences and v on the products, their part of the logit of a pair is
    sum u (a^2 + b^2) + (v - 2u) a b + c = f(a) + f(b) + sum w a b + c, where w = v - 2u and f(a) = sum u a^2: one
    matrix product scores a whole gallery.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    codes, arrays = training.out_of_fold_posteriors.astype(np.float64), dict(training.attributes.arrays)
    for key, pairs in _pairs_by_key(training).items():
        x = _pair_inputs(codes[pairs.left], codes[pairs.right], training.attributes)
        scaler = StandardScaler().fit(x)
        regression = LogisticRegression(C=PAIR_C, max_iter=1000).fit(scaler.transform(x), pairs.same)
        weights = regression.coef_[0] / scaler.scale_
        squared, product, agreement = np.split(weights, [codes.shape[1], 2 * codes.shape[1]])
        arrays[f"pairs.{key}.squared"] = squared.astype(np.float32)
        arrays[f"pairs.{key}.product"] = (product - 2 * squared).astype(np.float32)
        arrays[f"pairs.{key}.agreement"] = agreement.astype(np.float32)
        arrays[f"pairs.{key}.offset"] = np.float32([regression.intercept_[0] - weights @ scaler.mean_])
    return Model(arrays, settings=training.attributes.settings)


def _compare_logistic_regression(queries: np.ndarray, gallery: np.ndarray, model: Model, label: str) -> np.ndarray:
    squared, product = model.arrays[f"pairs.{label}.squared"], model.arrays[f"pairs.{label}.product"]
    alone = (queries**2 @ squared)[:, None] + (gallery**2 @ squared)[None]
    logits = alone + (queries * product) @ gallery.T + model.arrays[f"pairs.{label}.offset"]
    agreement = [_compare_attribute_agreement(queries, gallery, model, one) for one in LABELS]
    weights = model.arrays[f"pairs.{label}.agreement"]
    return _sigmoid(logits + sum(weight * _log_odds(part) for weight, part in zip(weights, agreement, strict=True)))


def _fit_attributes_and_likeness(training: TrainingSet) -> Model:
    """Logistic Regression on few numbers of a pair: probability and log-odds that each label agrees, and cosine.

    The log-odds suit a pair of one task; of pairs of all tasks at once, the probability says more.
    """
    from sklearn.linear_model import LogisticRegression

    posteriors, embedding = training.out_of_fold_posteriors, unit(training.features.embedding)
    arrays, settings = dict(training.attributes.arrays), training.attributes.settings
    for key, pairs in _pairs_by_key(training).items():
        agreement = _agreement_of_pairs(posteriors[pairs.left], posteriors[pairs.right], training.attributes)
        cosine = (embedding[pairs.left] * embedding[pairs.right]).sum(axis=1, keepdims=True)
        x = np.concatenate([agreement, _log_odds(agreement), cosine], axis=1).astype(np.float64)
        regression = LogisticRegression(C=PAIR_C, max_iter=1000).fit(x, pairs.same)
        arrays[f"pairs.{key}.weights"] = regression.coef_[0].astype(np.float32)
        arrays[f"pairs.{key}.offset"] = regression.intercept_.astype(np.float32)
    return Model(arrays, settings=settings)


def _encode_attributes_and_likeness(features: Features, model: Model) -> np.ndarray:
    return np.concatenate([_encode_posteriors(features, model), unit(features.embedding)], axis=1)


def _compare_attributes_and_likeness(queries: np.ndarray, gallery: np.ndarray, model: Model, label: str) -> np.ndarray:
    weights, offset = model.arrays[f"pairs.{label}.weights"], model.arrays[f"pairs.{label}.offset"]
    n_posteriors = _columns(model, LABELS[-1]).stop
    cosine = queries[:, n_posteriors:] @ gallery[:, n_posteriors:].T
    agreement = [_compare_attribute_agreement(queries, gallery, model, one) for one in LABELS]
    evidence = [*agreement, *map(_log_odds, agreement), cosine]
    return _sigmoid(sum(weight * part for weight, part in zip(weights, evidence, strict=True)) + offset)


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return (0.5 * (1 + np.tanh(0.5 * logits))).astype(np.float32)  # by tanh: no overflow at either end


def _fit_random_forest(training: TrainingSet) -> Model:
    """Random Forest on what Logistic Regression sees, stored as ONNX."""
    from skl2onnx import to_onnx
    from sklearn.ensemble import RandomForestClassifier

    codes = training.out_of_fold_posteriors
    graphs = {}
    for key, pairs in _pairs_by_key(training).items():
        x = _pair_inputs(codes[pairs.left], codes[pairs.right], training.attributes)
        forest = RandomForestClassifier(
            FOREST_TREES, max_leaf_nodes=FOREST_LEAVES, min_samples_leaf=20, n_jobs=-1, random_state=training.seed
        ).fit(x, pairs.same)
        graphs[key] = to_onnx(forest, x[:1], options={"zipmap": False}).SerializeToString()
    return Model(training.attributes.arrays, graphs, training.attributes.settings)


def _compare_random_forest(queries: np.ndarray, gallery: np.ndarray, model: Model, label: str) -> np.ndarray:
    session = _onnx_session(model.graphs[label])
    scores = np.empty((len(queries), len(gallery)), np.float32)
    for row, query in enumerate(queries):
        for start in range(0, len(gallery), FOREST_CHUNK):
            part = gallery[start : start + FOREST_CHUNK]
            x = _pair_inputs(np.broadcast_to(query, part.shape), part, model)
            scores[row, start : start + FOREST_CHUNK] = session.run(["probabilities"], {"X": x})[0][:, 1]
    return np.minimum(scores, 1)  # the mean of many ones may exceed it by a rounding error


@lru_cache(maxsize=8)
def _onnx_session(graph: bytes) -> Any:  # noqa: ANN401 - onnxruntime has no typed session
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    return onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])


SIMILARITIES: dict[str, Similarity] = {
    method.name: method
    for method in (
        Similarity(
            "attributes_and_likeness",
            "Attributes and likeness",
            "Attribute agreement together with general likeness, in the proportions that pairs of photos taught it.",
            _encode_attributes_and_likeness,
            _compare_attributes_and_likeness,
            _fit_attributes_and_likeness,
        ),
        Similarity(
            "attribute_agreement",
            "Attribute agreement",
            "How probable it is that both photos show the same type and color, by what each photo shows.",
            _encode_posteriors,
            _compare_attribute_agreement,
            _fit_attribute_agreement,
        ),
        Similarity(
            "cosine",
            "Cosine",
            "The angle between the two photos' embeddings: general likeness, nothing learned from clothes.",
            _encode_cosine,
            _compare_cosine,
        ),
        Similarity(
            "inverse_euclidean",
            "Inverse Euclidean distance",
            "1 / (1 + distance) of the two photos' embeddings: general likeness, nothing learned from clothes.",
            _encode_raw,
            _compare_inverse_euclidean,
        ),
        Similarity(
            "logistic_regression",
            "Logistic Regression on pairs",
            "A linear model of pairs of photos that learned which pairs match.",
            _encode_posteriors,
            _compare_logistic_regression,
            _fit_logistic_regression,
        ),
        Similarity(
            "random_forest",
            "Random Forest on pairs",
            "Decision trees over pairs of photos that learned which pairs match.",
            _encode_posteriors,
            _compare_random_forest,
            _fit_random_forest,
        ),
    )
}
DEFAULT_METHOD = "attributes_and_likeness"
