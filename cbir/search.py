"""Searching: a bundle and a query give ranked matches.

Legend: g gallery items, k matches.
"""

import os
import time
from dataclasses import dataclass

import numpy as np
from PIL import Image

from cbir.backbones import Backbone, load_backbone
from cbir.bundle import Bundle
from cbir.errors import BundleError, CbirError, UnknownNameError
from cbir.features import Features, extract
from cbir.images import load_image
from cbir.pairs import TASKS, Task
from cbir.similarity import DEFAULT_METHOD, SIMILARITIES, Model, Similarity

DEFAULT_TASK = "both"
DEFAULT_K = 12


@dataclass(frozen=True)
class Match:
    """A gallery item found for a query: its id, rank from 1, score (larger is closer) and labels ("" unknown)."""

    id: str
    rank: int
    score: float
    labels: dict[str, str]


@dataclass(frozen=True)
class SearchResult:
    """Matches in order of rank, and how they were found.

    Attributes:
        matches: k of them, or all that there are.
        method: name of the similarity method.
        task: name of the task.
        seconds: time taken from the decoded query to the matches.
        query_id: the gallery item that was the query; None for a photo from outside.
    """

    matches: list[Match]
    method: str
    task: str
    seconds: float
    query_id: str | None = None


def top_k(scores: np.ndarray, id_order: np.ndarray, k: int) -> np.ndarray:
    """Ranks by (-score, id), so that equal scores never depend on row order or chunking.

    Args:
        scores: (g,) float; -inf leaves an item out.
        id_order: (g,) int, place of each item's id in alphabetical order (`Gallery.id_order`).
        k: how many at most.

    Returns:
        (k,) int rows, best first; fewer where fewer items take part.
    """
    order = np.lexsort((id_order, -scores))[:k]
    return order[np.isfinite(scores[order])]


class Retriever:
    """Searches the gallery of a bundle. Safe to share between threads."""

    def __init__(self, bundle: Bundle, backbone: Backbone | None = None) -> None:
        """Binds a bundle to its backbone.

        Args:
            bundle: what to search.
            backbone: embeds query photos; None to load the bundle's at the first photo.

        Raises:
            BundleError: the backbone is not the one that made the bundle.
        """
        self.bundle = bundle
        self.gallery = bundle.gallery
        self._backbone = None
        self._codes: dict[str, np.ndarray] = {}
        if backbone is not None:
            self._backbone = self._check(backbone)

    @property
    def backbone(self) -> Backbone:
        """The backbone, loaded at first use.

        Raises:
            BackboneError: its weights are not to be had.
            BundleError: they are not the weights that made the bundle.
        """
        if self._backbone is None:
            self._backbone = self._check(load_backbone(self.bundle.manifest["backbone"]["name"]))
        return self._backbone

    @property
    def methods(self) -> list[Similarity]:
        """The methods that this bundle can score with."""
        return [m for m in SIMILARITIES.values() if not m.is_learned or m.name in self.bundle.models]

    def warm_up(self) -> None:
        """Does before the first search what every search would otherwise wait for: codes and the backbone."""
        for method in self.methods:
            self._gallery_codes(method)
        self.backbone  # noqa: B018 - loads it

    def search(
        self,
        image: bytes | str | os.PathLike | Image.Image,
        method: str = DEFAULT_METHOD,
        task: str = DEFAULT_TASK,
        k: int = DEFAULT_K,
    ) -> SearchResult:
        """Finds the k closest gallery items of a photo.

        Args:
            image: whatever `load_image` takes.
            method: a name in `SIMILARITIES` that the bundle has a model for.
            task: a name in `TASKS`.
            k: number of matches, at least 1; more than there are gives all.

        Raises:
            ImageError: the photo cannot be read.
            UnknownNameError: no such method or task.
            CbirError: k is not a whole number of at least 1.
        """
        chosen = self._checked(method, task, k)
        photo = load_image(image)
        start = time.perf_counter()
        features = extract([photo], self.backbone)
        return self._ranked(features, *chosen, k, start)

    def search_by_id(
        self, id: str, method: str = DEFAULT_METHOD, task: str = DEFAULT_TASK, k: int = DEFAULT_K
    ) -> SearchResult:
        """Finds the k closest other items of a gallery item; arguments and errors as in `search`."""
        chosen = self._checked(method, task, k)
        start = time.perf_counter()
        row = self.gallery.row(id)
        return self._ranked(self.gallery.features.take(slice(row, row + 1)), *chosen, k, start, query_row=row)

    def _checked(self, method: str, task: str, k: int) -> tuple[Similarity, Task]:
        methods = {m.name: m for m in self.methods}
        if method not in methods:
            raise UnknownNameError("method", method, methods)
        if task not in TASKS:
            raise UnknownNameError("task", task, TASKS)
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise CbirError(f"expected a whole number of results of at least 1, got {k!r}")
        return methods[method], TASKS[task]

    def _ranked(
        self,
        query: Features,
        method: Similarity,
        task: Task,
        k: int,
        start: float,
        query_row: int | None = None,
    ) -> SearchResult:
        model = self._model(method)
        scores = method.score_codes(method.encode(query, model), self._gallery_codes(method), model, task)[0]
        if query_row is not None:
            scores[query_row] = -np.inf  # an item never answers itself
        gallery = self.gallery
        matches = [
            Match(str(gallery.ids[row]), rank, float(scores[row]), gallery.labels_of(row))
            for rank, row in enumerate(top_k(scores, gallery.id_order, k), start=1)
        ]
        query_id = None if query_row is None else str(gallery.ids[query_row])
        return SearchResult(matches, method.name, task.name, time.perf_counter() - start, query_id)

    def _model(self, method: Similarity) -> Model:
        return self.bundle.models.get(method.name, Model())

    def _gallery_codes(self, method: Similarity) -> np.ndarray:
        if method.name not in self._codes:
            self._codes[method.name] = method.encode(self.gallery.features, self._model(method))
        return self._codes[method.name]

    def _check(self, backbone: Backbone) -> Backbone:
        made_by = self.bundle.manifest["backbone"]
        if backbone.fingerprint != made_by["fingerprint"]:
            raise BundleError(
                f"the bundle was made with {made_by['name']} (weights: {made_by['weights']['origin']}), got "
                f"{backbone.name} with other weights or preprocessing: give the same with --weights FILE"
            )
        return backbone
