"""Synthetic galleries of any size, and methods to search them with. What they find means nothing; what it costs does.

Features are clusters of numbers that are not negative, as embeddings are after a ReLU. Weights are random, except the
forest, which is fitted on pairs of the first items: its trees would have no depth otherwise.

Legend: g items, d numbers in an embedding.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from skl2onnx import to_onnx
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from cbir.bundle import Bundle, DatasetInfo, Manifest, save_bundle
from cbir.features import Features, unit
from cbir.features.backbone import load_backbone
from cbir.features.color_descriptor import COLOR_DIM
from cbir.gallery import Gallery
from cbir.labels import BLIND, LABELS
from cbir.similarity import Models
from cbir.similarity.attributes import AttributeModel, LabelModel, Scaler
from cbir.similarity.likeness import Likeness
from cbir.similarity.pairs import PairForest, PairRegression, PairWeights, pair_features
from train.fit.likeness import AXES
from train.fit.pairs import FOREST_LEAVES, FOREST_TREES, LEAST_LEAF

CLASSES = {"type": ("dress", "pants", "shirt", "shoes", "shorts"), "color": ("black", "blue", "brown", "green", "red")}
PAIRS = 6000  # that the forest is fitted on
PART = 10_000  # items made at a time
BACKBONE = "efficientnet-lite2"  # of bundles


def synthetic_features(folder: Path, g: int, d: int) -> Features:
    """Features of g items in half precision, in files, as those of a bundle are."""
    rng = np.random.default_rng(0)
    n = min(PART, g)
    centres = rng.normal(size=(30, d)).astype(np.float32)
    values = 0.6 * centres[rng.integers(0, 30, n)] + rng.normal(size=(n, d), scale=0.8) - 0.3
    parts = {"embedding": np.maximum(values, 0), "color": rng.random((n, COLOR_DIM)) / 10}
    arrays = {}
    for name, first in parts.items():
        path = folder / f"{name}.npy"
        array = np.lib.format.open_memmap(path, "w+", np.float16, (g, first.shape[1]))
        for start in range(0, g, PART):
            stop = min(start + PART, g)
            # Random numbers for a million items would take minutes: further items are the first, brighter or darker.
            scale = rng.uniform(0.8, 1.25, (n, 1)).astype(np.float32)
            array[start:stop] = (first * scale)[rng.permutation(n)][: stop - start]
        array.flush()
        arrays[name] = np.load(path, mmap_mode="r")
    return Features(**{name: np.asarray(array) for name, array in arrays.items()})


def synthetic_bundle(folder: Path, g: int) -> Path:
    """Writes a bundle of g items with every method, as `BACKBONE` would give it; the pictures are one grey dot."""
    backbone = load_backbone(BACKBONE)
    picture = io.BytesIO()
    Image.new("RGB", (8, 8), "grey").save(picture, "JPEG")
    features = synthetic_features(folder, g, backbone.dim)
    rng = np.random.default_rng(2)
    labels = {name: np.array(classes)[rng.integers(0, len(classes), g)] for name, classes in CLASSES.items()}
    ids = np.array([f"{number:07}.jpg" for number in range(g)])
    splits = np.full(g, "train")
    gallery = Gallery(ids, labels, features, [picture.getvalue()] * g, splits)
    manifest = Manifest(f"{g:,} synthetic items", backbone.describe(), DatasetInfo("synthetic", g), seed=0)
    return save_bundle(Bundle(gallery, synthetic_models(features)[0], manifest), folder / "bundle")


def synthetic_models(features: Features) -> tuple[Models, RandomForestClassifier, LogisticRegression]:
    """Methods for these features; and the forest and the regression as scikit-learn has them."""
    rng = np.random.default_rng(1)
    d = features.embedding.shape[1]

    def scaler(width: int) -> Scaler:
        return Scaler(np.zeros(width, np.float32), np.ones(1, np.float32))

    def label(classes: tuple[str, ...]) -> LabelModel:
        weights = rng.normal(size=(len(classes), d + COLOR_DIM)).astype(np.float32)
        return LabelModel(classes, weights, np.zeros(len(classes), np.float32))

    scalers = {"embedding": scaler(d), "color": scaler(COLOR_DIM), "learned": scaler(0)}
    attributes = AttributeModel(**scalers, by_label={name: label(CLASSES[name]) for name in LABELS})
    projection = (rng.normal(size=(d + COLOR_DIM, AXES)) / np.sqrt(d)).astype(np.float16)
    likeness = Likeness(**scalers, projection=projection, even=0.6)

    some = unit(features.embedding[: min(len(features), 4000)])
    left, right = rng.integers(0, len(some), (2, PAIRS))
    x = pair_features(some[left], some[right])
    same = (some[left] * some[right]).sum(axis=1) > np.median((some[left] * some[right]).sum(axis=1))
    forest = RandomForestClassifier(
        FOREST_TREES, max_leaf_nodes=FOREST_LEAVES, min_samples_leaf=LEAST_LEAF, random_state=0
    ).fit(x, same)
    regression = LogisticRegression(C=3e-4, max_iter=50).fit(x, same)
    squared, product = np.split(regression.coef_[0].astype(np.float32), 2)
    weights = PairWeights(squared, product - 2 * squared, regression.intercept_.astype(np.float32))
    graph = to_onnx(forest, x[:1], options={"zipmap": False}).SerializeToString()
    tasks = (*LABELS, BLIND)
    by_method = {
        "logistic_regression": PairRegression(dict.fromkeys(tasks, weights)),
        "random_forest": PairForest(dict.fromkeys(tasks, graph)),
    }
    return Models(attributes, likeness, by_method), forest, regression
