"""What training takes after embedding, step by step, on drawn features of photos."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from benchmarks.galleries import CLASSES
from benchmarks.timing import Table
from cbir.bundle import Bundle, DatasetInfo, Manifest
from cbir.features import Features
from cbir.features.backbone import BackboneInfo
from cbir.features.color_descriptor import COLOR_DIM
from cbir.features.weights import WeightsInfo
from cbir.gallery import Gallery
from train.data.split import near_duplicate_groups, split_by_group
from train.evaluate import evaluate
from train.fit import fit_methods
from train.fit.views import PHOTOS, VIEWS, Views

T = TypeVar("T")


def training(sizes: list[tuple[int, int]]) -> list[Table]:
    """One table per size (g, d)."""
    return [_of_size(g, d) for g, d in sizes]


def _of_size(g: int, d: int) -> Table:
    """Seconds of each step for g photos x d, without views and pictures, which have to be embedded."""
    features, labels = _photos(g, d)
    seconds: dict[str, float] = {}

    def timed(name: str, work: Callable[[], T]) -> T:
        start = time.perf_counter()
        done = work()
        seconds[name] = time.perf_counter() - start
        return done

    is_test = timed(
        "near duplicates and split", lambda: split_by_group(near_duplicate_groups(features.embedding), 0.2, 0)
    )
    fit_on = {name: column[~is_test] for name, column in labels.items()}
    views = _views(features.take(~is_test))
    models = timed("fitting", lambda: fit_methods(features.take(~is_test), fit_on, views, 0))
    ids = np.array([f"{n}.jpg" for n in range(g)])
    gallery = Gallery(ids, labels, features, [b"\xff\xd8\xff"] * g, np.where(is_test, "test", "train"))
    about = BackboneInfo("synthetic", d, "0" * 64, WeightsInfo("none"))
    bundle = Bundle(gallery, models, Manifest("synthetic", about, DatasetInfo("synthetic", g), seed=0))
    timed("evaluating", lambda: evaluate(bundle))
    rows = [[name, f"{value:.1f}"] for name, value in [*seconds.items(), ("together", sum(seconds.values()))]]
    title = f"Training after embedding, {g:,} drawn photos x {d}: seconds, {os.cpu_count()} cores"
    return Table(title, ["step", "seconds"], rows, {"name": f"training {g} x {d}", **seconds})


def _views(features: Features) -> Views:
    """Views of some photos: the same numbers with noise."""
    rng = np.random.default_rng(2)
    rows = np.repeat(rng.permutation(len(features))[:PHOTOS], VIEWS)
    seen = features.take(rows)
    noisy = (np.maximum(part + rng.normal(size=part.shape, scale=0.1), 0) for part in (seen.embedding, seen.color))
    return Views(Features(*(part.astype(np.float32) for part in noisy)), rows)


def _photos(g: int, d: int) -> tuple[Features, dict[str, np.ndarray]]:
    """Features that tell the type well and the color a little, as embeddings of photos do."""
    rng = np.random.default_rng(0)
    rows = {name: rng.integers(0, len(classes), g) for name, classes in CLASSES.items()}
    embedding = 0.8 * rng.normal(size=(5, d))[rows["type"]] + 0.25 * rng.normal(size=(5, d))[rows["color"]]
    embedding += rng.normal(size=(g, 60)) @ rng.normal(size=(60, d), scale=0.3) + rng.normal(size=(g, d), scale=0.8)
    color = np.abs(0.2 * rng.normal(size=(5, COLOR_DIM))[rows["color"]] + 0.2 * rng.normal(size=(g, COLOR_DIM)))
    parts = (np.maximum(embedding, 0), color)
    features = Features(*(part.astype(np.float16).astype(np.float32) for part in parts))
    return features, {name: np.array(classes)[rows[name]] for name, classes in CLASSES.items()}
