"""Ranking: the photos of a gallery, or of a shortlist from an index, in order of what a search asks for.

Legend: q photos of a query, g gallery items, k matches.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cbir.bundle import Bundle
from cbir.errors import CbirError
from cbir.familiarity import EVEN
from cbir.features import NEAR_DUPLICATE, Features, unit
from cbir.gallery import Gallery
from cbir.guesses import Guess
from cbir.index import Plan, Query
from cbir.labels import LABELS, Task
from cbir.options import DEFAULT_OPTIONS, SearchOptions
from cbir.similarity import SIMILARITIES, Similarity
from cbir.similarity.codes import Codes, kept, take
from cbir.similarity.likeness import MatchFigures, match_figures
from cbir.version import __version__
from cbir.wanted import LEAST_SHARE, Fit, fit_wanted
from cbir.words import Wanted, read_color

KEPT_FROM = 100_000  # photos of a gallery whose codes are kept in the cache


@dataclass(frozen=True)
class Match:
    """A gallery item found for a query; of several photos, probability and likeness are means over them.

    A search without a photo has no likeness.

    Attributes:
        id: of the item.
        rank: from 1.
        score: of the method that ranked it, larger is closer.
        labels: of the item, "" where unknown.
        probability: that query and item agree in the labels of the task, whatever the method; without a photo, that the
            item shows a type that words name. None where the bundle has no learned method to tell it by, and where
            words name no type.
        likeness: how alike the two look, from 0 to 1, whatever the method; 1 for the same picture.
        is_same_picture: whether the item shows the picture of a photo of the query.
        guesses: of those labels that are unknown, where the bundle can tell.
        color_share: how much of the garment has the colors that are searched for, from 0 to 1; None for none.
    """

    id: str
    rank: int
    score: float
    labels: dict[str, str]
    probability: float | None
    likeness: float | None
    is_same_picture: bool
    guesses: dict[str, Guess]
    color_share: float | None


@dataclass(frozen=True)
class SearchResult:
    """Matches in order of rank, and how they were found.

    Attributes:
        matches: k of them, or all that there are; may be empty.
        method: name of the similarity method; "" for a search without a photo.
        task: name of the task that was scored; "" likewise.
        seconds: time taken from the query to the matches.
        query_id: the gallery item that was the query; None for a photo from outside, or for several.
        options: what the search was asked to do.
        doubt: why the best match does not deserve to be shown as one: "unfamiliar" where a photo does not look like
            clothes, see `cbir.familiarity`; "other_color" where too little of the garment has the colors that are
            searched for; "unlikely" where it is more probably wrong than right; else "", also where there are no
            matches or the least similar were asked for.
        n_hidden: how many near duplicates were left out above the last match.
        is_shortlist: whether only some of the items were scored, so that better ones may have been missed.
    """

    matches: list[Match]
    method: str
    task: str
    seconds: float
    query_id: str | None = None
    options: SearchOptions = DEFAULT_OPTIONS
    doubt: str = ""
    n_hidden: int = 0
    is_shortlist: bool = False

    @property
    def is_confident(self) -> bool:
        """Whether the best match deserves to be shown as one."""
        return not self.doubt


def top_k(scores: np.ndarray, id_order: np.ndarray, k: int) -> np.ndarray:
    """Ranks by (-score, id), so that equal scores never depend on row order or chunking.

    Args:
        scores: (g,) float; -inf leaves an item out.
        id_order: (g,) int, place of each item's id in alphabetical order (`Gallery.id_order`).
        k: how many at most.

    Returns:
        (k,) int rows, best first; fewer where fewer items take part.
    """
    rows = np.arange(len(scores))
    if 0 < k < len(scores):  # only what reaches the k-th best score is put in order
        rows = np.flatnonzero(scores >= np.partition(scores, len(scores) - k)[len(scores) - k])
    order = rows[np.lexsort((id_order[rows], -scores[rows]))][:k]
    return order[np.isfinite(scores[order])]


class Ranker:
    """Scores and ranks the photos of one gallery. Safe to share between threads."""

    def __init__(self, bundle: Bundle, gallery: Gallery) -> None:
        """Binds the models of a bundle to photos.

        Args:
            bundle: with the models.
            gallery: its own photos, or others by the same backbone.
        """
        self._bundle = bundle
        self.gallery = gallery
        self._codes: dict[Callable, Codes] = {}

    def warm_up(self) -> None:
        """Does what the first search would wait for: codes of all methods, and what compares colors."""
        for method in self._bundle.methods:
            self._gallery_codes(method)
        some = self.gallery.take(np.arange(min(1, len(self.gallery))))
        fit_wanted(some, None, Wanted(colors=(read_color("black"),)))

    def scores(self, query: Query, plan: Plan) -> np.ndarray:
        """Scores of all items, whatever the filters: (g,) float32, larger is closer."""
        return self._scores(query, plan, self._fit(plan))

    def rank(self, query: Query, plan: Plan) -> SearchResult:
        """Ranks the items that take part."""
        start = time.perf_counter()
        options, gallery = plan.options, self.gallery
        fit = self._fit(plan)
        scores = self._scores(query, plan, fit)
        taking_part = gallery.shown_as(options.types, options.colors)
        if fit is not None and fit.type is not None:
            taking_part &= fit.type > 0  # known to be of another type
        taking_part[[gallery.row(id) for id in query.ids if id is not None]] = False  # an item never answers itself
        if plan.without_colors:
            taking_part &= self._has_other_color(plan.without_colors)
        ranked = np.where(taking_part, -scores if options.least_similar else scores, -math.inf)
        rows = top_k(ranked, gallery.id_order, len(gallery) if options.hide_near_duplicates else options.k)
        n_hidden = 0
        if options.hide_near_duplicates:
            kept = self._without_near_duplicates(rows, query, options.k)
            n_hidden = (kept[-1] + 1 if len(kept) == options.k else len(rows)) - len(kept)
            rows = rows[kept]
        matches = self._matches(query, rows, scores, plan.task, fit)
        query_id = query.ids[0] if len(query.ids) == 1 else None
        seconds = query.seconds + time.perf_counter() - start
        doubt = "" if not matches or options.least_similar else self._doubt(query, matches[0])
        method, task_name = (options.method, plan.task.name) if query.ids else ("", "")
        return SearchResult(matches, method, task_name, seconds, query_id, options, doubt, n_hidden)

    def _scores(self, query: Query, plan: Plan, fit: Fit | None) -> np.ndarray:
        closeness = self._closeness(query, plan) if query.ids else None
        if fit is not None:
            return fit.score(closeness, plan.weight)
        if closeness is None:
            raise CbirError("expected at least one photo or id to search with, got none")
        return closeness

    def _fit(self, plan: Plan) -> Fit | None:
        """How well items fit words and color; None where there are none."""
        return fit_wanted(self.gallery, self._bundle.attributes, plan.wanted) if plan.wanted else None

    def _closeness(self, query: Query, plan: Plan) -> np.ndarray:
        """Scores of all items by the photos of a query: (g,) float32."""
        method = SIMILARITIES[plan.options.method]
        model, codes = self._bundle.models.of(method), self._gallery_codes(method)
        # Photo by photo: then its scores do not depend, not even by rounding, on those beside it.
        by_photo = [
            method.compare(method.encode(query.features.take([i]), model), codes, model, plan.task, plan.weight)
            for i in range(len(query.features))
        ]
        return np.mean(by_photo, axis=0)[0]

    def _matches(self, query: Query, rows: np.ndarray, scores: np.ndarray, task: Task, fit: Fit | None) -> list[Match]:
        """The items of some rows, in order of rank."""
        gallery = self.gallery
        unknown = np.full(len(rows), np.nan)
        share = unknown if fit is None or fit.color is None else fit.color[rows]
        if query.ids:
            # Photo by photo, as in `scores`.
            by_photo = [self._figures(query.features.take([i]), rows, task) for i in range(len(query.features))]
            probability = np.mean([found.probability for found in by_photo], axis=0)
            likeness = np.mean([found.likeness for found in by_photo], axis=0)
            figures = probability, likeness, np.any([found.is_same_picture for found in by_photo], axis=0)
        else:
            figures = unknown if fit is None or fit.type is None else fit.type[rows], unknown, np.zeros(len(rows), bool)
        # Column by column: one by one, numpy takes most of the time of a long answer.
        labels = zip(*(gallery.labels[name][rows].tolist() for name in LABELS), strict=True)
        columns = (
            gallery.ids[rows].tolist(),
            scores[rows].tolist(),
            labels,
            *(part.tolist() for part in (*figures, share)),
        )
        return [
            Match(
                id=id,
                rank=rank,
                score=score,
                labels=dict(zip(LABELS, values, strict=True)),
                probability=_known(probable),
                likeness=_known(alike),
                is_same_picture=same,
                guesses=gallery.guesses_of(rows[rank - 1]) if gallery.guesses else {},
                color_share=_known(part),
            )
            for rank, (id, score, values, probable, alike, same, part) in enumerate(zip(*columns, strict=True), start=1)
        ]

    def _figures(self, photo: Features, rows: np.ndarray, task: Task) -> MatchFigures:
        """Of the items of some rows, (k,) each."""
        models = self._bundle.models
        method, model = models.telling, models.of(models.telling)
        return match_figures(method.encode(photo, model), take(self._gallery_codes(method), rows), model, task)

    def _doubt(self, query: Query, best: Match) -> str:
        """As in `SearchResult`."""
        familiarity = self._bundle.familiarity
        if familiarity is not None and (familiarity.score(query.features) < familiarity.threshold).any():
            return "unfamiliar"
        if best.color_share is not None and best.color_share < LEAST_SHARE:
            return "other_color"
        return "" if best.probability is None or best.probability >= EVEN else "unlikely"

    def _without_near_duplicates(self, rows: np.ndarray, query: Query, k: int) -> list[int]:
        """Places among the rows, best first, of the first k with neither the query's picture nor a better one's."""
        gallery = self.gallery.features.embedding
        n = len(query.ids)
        seen = np.concatenate([unit(query.features.embedding), np.empty((min(k, len(rows)), gallery.shape[1]))])
        kept = []
        for place, row in enumerate(rows):
            if n == len(seen):
                break
            direction = unit(gallery[[row]])[0]
            if (seen[:n] @ direction < NEAR_DUPLICATE).all():
                seen[n] = direction
                kept.append(place)
                n += 1
        return kept

    @cached_property
    def _item_colors(self) -> np.ndarray:
        return self.gallery.probable("color")

    def _has_other_color(self, colors: Sequence[str]) -> np.ndarray:
        """(g,) bool, which items most probably have none of these colors."""
        if (self._item_colors == "").any():
            raise no_colors()
        return ~np.isin(self._item_colors, colors)

    def _gallery_codes(self, method: Similarity) -> Codes:
        if method.encode not in self._codes:
            self._codes[method.encode] = self._encoded(method)
        return self._codes[method.encode]

    def _encoded(self, method: Similarity) -> Codes:
        """Codes of the gallery; of a large one, those that were worked out before, which takes a second."""
        features, model = self.gallery.features, self._bundle.models.of(method)
        if len(self.gallery) < KEPT_FROM or self._bundle.loaded_revision is None:
            return method.encode(features, model)
        made_by = f"{self._bundle.revision} {method.name} {__version__}"
        return kept(made_by, features.embedding, lambda: method.encode(features, model))


def no_colors() -> CbirError:
    """What to raise where colors are asked for that cannot be told."""
    return CbirError(
        "other colors cannot be told without a label: this bundle has no learned method, search one that has"
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
