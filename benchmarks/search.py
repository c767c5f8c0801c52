"""What a search costs, by method and size of the gallery, beside scikit-learn and FAISS on the same numbers."""

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.galleries import synthetic_features, synthetic_models
from benchmarks.timing import Table, in_turns, milliseconds, ratio
from cbir.features import Features
from cbir.labels import TASKS
from cbir.ranking import top_k
from cbir.similarity import EVEN_WEIGHT
from cbir.similarity.pairs import pair_features

K = 20  # matches
QUERIES = 16  # that take turns
MOST_PAIRS = 200_000_000  # numbers in features of pairs that scikit-learn is given; it takes as many at most
MOST_COPIED = 150_000_000  # numbers that NearestNeighbors is given: it makes copies
TASK = "type"  # which methods on pairs have one model for


def search(sizes: list[tuple[int, int]], repeats: int, seconds: float) -> list[Table]:
    """One table per size (g, d)."""
    return [_of_size(g, d, repeats, seconds) for g, d in sizes]


def _of_size(g: int, d: int, repeats: int, seconds: float) -> Table:
    import faiss
    from sklearn.neighbors import NearestNeighbors

    with tempfile.TemporaryDirectory() as folder:
        features = synthetic_features(Path(folder), g, d)
        models, forest, regression = synthetic_models(features)
        id_order = np.random.default_rng(0).permutation(g)
        turn = _Turn()
        works: dict[str, Callable[[], object]] = {}
        codes_seconds = {}
        for method in models.methods:
            start = time.perf_counter()
            codes = method.encode(features, models.of(method))
            codes_seconds[method.name] = time.perf_counter() - start
            works[method.name] = _Search(method, models, codes, features, id_order, turn)
        single = np.ascontiguousarray(features.embedding, np.float32)
        for name, index in (("FAISS flat, inner product", faiss.IndexFlatIP), ("FAISS flat, L2", faiss.IndexFlatL2)):
            flat = index(d)
            flat.add(single)
            works[name] = lambda flat=flat: flat.search(single[[turn.row]], K)  # type: ignore[misc]
        if g * d <= MOST_COPIED:
            for metric in ("cosine", "euclidean"):
                neighbors = NearestNeighbors(n_neighbors=K, algorithm="brute", metric=metric).fit(single)
                name = f"NearestNeighbors, {metric}"
                works[name] = lambda one=neighbors: one.kneighbors(single[[turn.row]])  # type: ignore[misc]
        if g * 2 * d <= MOST_PAIRS:
            lengths = np.linalg.norm(single, axis=1, keepdims=True)

            def pairs() -> np.ndarray:
                units = single / lengths
                return pair_features(units[[turn.row]], units)

            works["predict_proba of Logistic Regression"] = lambda: regression.predict_proba(pairs())[:, 1]
            works["predict_proba of Random Forest"] = lambda: forest.predict_proba(pairs())[:, 1]
        times = in_turns(works, repeats, seconds, f"search, {g:,} x {d}")
    opponents = {
        "agreement_and_likeness": "FAISS flat, inner product",
        "attribute_agreement": "FAISS flat, inner product",
        "cosine": "FAISS flat, inner product",
        "inverse_euclidean": "FAISS flat, L2",
        "logistic_regression": "predict_proba of Logistic Regression",
        "random_forest": "predict_proba of Random Forest",
    }
    rows = []
    for name, value in times.items():
        beside = opponents.get(name, "")
        quicker = f"{times[beside] / value:.1f} x {beside}" if beside in times else "-"
        rows.append([name, milliseconds(value), ratio(value, times["FAISS flat, inner product"]), quicker])
    title = (
        f"One search among {g:,} items x {d}, the {K} best of all: milliseconds, medians of at most {repeats} rounds, "
        f"{os.cpu_count()} cores, task {TASK!r}"
    )
    columns = ["method", "ms", "to FAISS flat", "quicker than"]
    return Table(title, columns, rows, {"name": f"search {g} x {d}", "ms": times, "encoding seconds": codes_seconds})


class _Turn:
    """Gives each round another query."""

    def __init__(self) -> None:
        self.row = 0

    def advance(self) -> int:
        self.row = (self.row + 1) % QUERIES
        return self.row


class _Search:
    """A search for one item of the gallery: its codes, the scores of all, the best."""

    def __init__(
        self,
        method: Any,  # noqa: ANN401
        models: Any,  # noqa: ANN401
        codes: Any,  # noqa: ANN401
        features: Features,
        id_order: np.ndarray,
        turn: _Turn,
    ) -> None:
        self._method, self._model, self._codes = method, models.of(method), codes
        self._features, self._id_order, self._turn = features, id_order, turn

    def __call__(self) -> np.ndarray:
        query = self._method.encode(self._features.take([self._turn.advance()]), self._model)
        scores = self._method.compare(query, self._codes, self._model, TASKS[TASK], EVEN_WEIGHT)[0]
        return top_k(scores, self._id_order, K)
