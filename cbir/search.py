"""Searching: a bundle and a query give ranked matches.

Legend: q photos of a query, g gallery items, k matches.
"""

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

import numpy as np
from PIL import Image

from cbir.bundle import Bundle, load_bundle_backbone
from cbir.errors import BundleError, CbirError, UnknownNameError
from cbir.familiarity import EVEN
from cbir.features import NEAR_DUPLICATE, Features, extract, unit
from cbir.features.backbone import Backbone, Box
from cbir.gallery import Gallery
from cbir.guesses import UNSURE, Guess, Seen, guess_labels, seen_labels
from cbir.images import crop_image, load_image
from cbir.labels import LABELS, TASKS, Task
from cbir.options import DEFAULT_OPTIONS, SearchOptions
from cbir.similarity import EVEN_WEIGHT, Similarity
from cbir.similarity.codes import Codes, kept, take
from cbir.similarity.likeness import MatchFigures, match_figures
from cbir.version import __version__
from cbir.wanted import LEAST_SHARE, Fit, fit_wanted
from cbir.words import Wanted, read_color, read_words

KEPT_FROM = 100_000  # photos of a gallery whose codes are kept in the cache
OUTSIDE = -1  # the row of a query photo that is no gallery item

Photo = bytes | str | os.PathLike | Image.Image  # whatever `load_image` takes
Crop = tuple[float, float, float, float]  # see `crop_image`


@dataclass(frozen=True)
class Query:
    """Photos that are searched with, ready to be scored; none where words alone are.

    Attributes:
        features: of the q photos.
        rows: (q,) int, each photo's row in the gallery; `OUTSIDE` for a photo from outside.
        seconds: time taken to read and embed the photos.
    """

    features: Features
    rows: np.ndarray
    seconds: float


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
    """

    matches: list[Match]
    method: str
    task: str
    seconds: float
    query_id: str | None = None
    options: SearchOptions = DEFAULT_OPTIONS
    doubt: str = ""
    n_hidden: int = 0

    @property
    def is_confident(self) -> bool:
        """Whether the best match deserves to be shown as one."""
        return not self.doubt


@dataclass(frozen=True)
class QueryLabels:
    """What the q photos of a query show.

    Attributes:
        values: for each of `LABELS` (q,) str: the known label; where unknown, the most probable; "" where the bundle
            has no learned method to tell it by.
        known: for each of `LABELS` (q,) bool, whether it is the known one.
    """

    values: dict[str, np.ndarray]
    known: dict[str, np.ndarray]


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


class Reader:
    """What reading and embedding a photo takes, one after another. The app takes turns instead (`cbir.ui.reader`)."""

    def picture(self, photo: Photo, crop: Crop | None = None) -> Image.Image:
        """Decodes a photo; errors as in `load_image` and `crop_image`."""
        image = load_image(photo)
        return image if crop is None else crop_image(image, crop)

    def features(self, retriever: "Retriever", photo: Photo, crop: Crop | None = None) -> Features:
        """Decodes and embeds one photo; errors as in `picture`."""
        return extract([self.picture(photo, crop)], retriever.backbone)

    def contributions(
        self, retriever: "Retriever", image: Image.Image, direction: np.ndarray
    ) -> tuple[np.ndarray, Box]:
        """As `Backbone.contributions`."""
        return retriever.backbone.contributions(image, direction)


class Retriever:
    """Searches the gallery of a bundle. Safe to share between threads."""

    def __init__(self, bundle: Bundle, backbone: Backbone | None = None, reader: Reader | None = None) -> None:
        """Binds a bundle to its backbone.

        Args:
            bundle: what to search.
            backbone: embeds query photos; None to load the bundle's at the first photo.
            reader: reads query photos; None for one after another.

        Raises:
            BundleError: the backbone is not the one that made the bundle.
        """
        self.bundle = bundle
        self.gallery = _with_guesses(bundle)
        self.reader = reader or Reader()
        self._backbone = None
        self._codes: dict[Callable, Codes] = {}
        if backbone is not None:
            self._backbone = self._check_backbone(backbone)

    @property
    def backbone(self) -> Backbone:
        """The backbone, loaded at first use.

        Raises:
            BackboneError: its weights are not to be had.
            BundleError: they are not the weights that made the bundle.
        """
        if self._backbone is None:
            self._backbone = self._check_backbone(load_bundle_backbone(self.bundle))
        return self._backbone

    @property
    def methods(self) -> list[Similarity]:
        """The methods that this bundle can score with."""
        return self.bundle.methods

    def warm_up(self) -> None:
        """Does before the first search what every search would otherwise wait for: codes and the backbone."""
        for method in self.methods:
            self._gallery_codes(method)
        self._fit(SearchOptions(color="black"))
        self.backbone  # noqa: B018 - loads it

    def search(
        self,
        images: Photo | Sequence[Photo] = (),
        options: SearchOptions = DEFAULT_OPTIONS,
        *,
        ids: Sequence[str] = (),
        crop: Crop | None = None,
    ) -> SearchResult:
        """Finds the gallery items that are closest to a photo, or to several at once.

        An item's score is the mean of its scores for each photo (late fusion): every method is fitted on pairs of real
        photos, and a mean embedding would be that of no photo.

        Args:
            images: whatever `load_image` takes, or a list of such; none where the options have words or a color.
            options: what to do.
            ids: gallery items to search with as well; they are never among the matches.
            crop: the part of the first photo to search with, see `crop_image`; further photos are taken whole.

        Raises:
            ImageError: a photo cannot be read, or the crop is not a valid box.
            UnknownNameError: no such method, id, type or color.
            CbirError: the options ask for what the bundle or the method cannot do, or there is nothing to search with.
        """
        self.check(options)
        is_without_photo = isinstance(images, list | tuple) and not images and not ids and crop is None
        if is_without_photo and options.description:
            return self.rank(self.no_photo, options)
        return self.rank(self.query(images, ids=ids, crop=crop), options)

    def search_by_id(self, id: str, options: SearchOptions = DEFAULT_OPTIONS) -> SearchResult:
        """Finds the gallery items that are closest to one of them; errors as in `search`."""
        return self.search([], options, ids=[id])

    def facets(self, options: SearchOptions = DEFAULT_OPTIONS, *, guessed: bool = False) -> dict[str, dict[str, int]]:
        """Numbers to show beside the filters, of all items or of guessed ones: see `Gallery.counts`."""
        return self.gallery.counts(options.types, options.colors, guessed=guessed)

    def check(self, options: SearchOptions) -> None:
        """Raises what `search` would raise because of the options alone, before any photo is read.

        Raises:
            UnknownNameError: no such method, type or color.
            CbirError: a weight for a method that scores no labels, words that name nothing, or a weight where words
                name the type alone.
        """
        method, wanted = self._method(options), self.wanted(options)
        if options.weight is not None and wanted and not wanted.colors:
            raise CbirError("a weight needs two labels that should match: match both, or give no weight")
        if options.weight is not None and not wanted and not method.is_learned:
            raise CbirError(
                "{method} does not tell type from color: choose a learned method, or give no weight",
                method=method.title,
            )
        self.gallery.selection(options.types, options.colors)

    def wanted(self, options: SearchOptions) -> Wanted:
        """What words and color ask for.

        Raises:
            CbirError: a word is no name of a color, nor of a type that is known here.
        """
        attributes = self.bundle.attributes
        types = {*self.gallery.classes("type"), *(attributes.classes("type") if attributes else ())} - {UNSURE}
        wanted = read_words(options.words, types)
        colors = (read_color(options.color),) if options.color.strip() else ()
        return replace(wanted, colors=tuple(dict.fromkeys((*wanted.colors, *colors))))

    def task(self, options: SearchOptions) -> Task:
        """What a photo is scored for: what should match, except what words name.

        Where they name all of it, the photo still counts by its type.
        """
        wanted = self.wanted(options)
        named = {name for name, values in (("type", wanted.types), ("color", wanted.colors)) if values}
        left = [name for name in options.scored_task.labels if name not in named]
        return TASKS[left[0] if left else "type"] if named else options.scored_task

    @property
    def no_photo(self) -> Query:
        """The query of a search by words and color alone."""
        return Query(self.gallery.features.take([]), np.array([], int), 0.0)

    def query(self, images: Photo | Sequence[Photo], *, ids: Sequence[str] = (), crop: Crop | None = None) -> Query:
        """Reads and embeds what is searched with, for `rank` and `scores`; arguments and errors as in `search`."""
        sources = cast("Sequence[Photo]", images if isinstance(images, list | tuple) else [images])
        if not len(sources) + len(ids):
            raise CbirError("expected at least one photo or id to search with, got none")
        if crop is not None and not sources:
            raise CbirError("expected a photo to crop, got ids alone: give no crop")
        rows = np.array([OUTSIDE] * len(sources) + [self.gallery.row(id) for id in ids])
        start = time.perf_counter()
        # One after another: however many there are, no more than one is in memory.
        crops = [crop] + [None] * len(sources)
        parts = [self.reader.features(self, source, part) for source, part in zip(sources, crops, strict=False)]
        parts.append(self.gallery.features.take(rows[len(sources) :]))
        return Query(Features.concatenate(parts), rows, time.perf_counter() - start)

    def scores(self, query: Query, options: SearchOptions = DEFAULT_OPTIONS) -> np.ndarray:
        """Scores of all gallery items, whatever the filters: (g,) float32, larger is closer."""
        return self._scores(query, options, self._fit(options))

    def _scores(self, query: Query, options: SearchOptions, fit: Fit | None) -> np.ndarray:
        closeness = self._closeness(query, options) if len(query.rows) else None
        if fit is not None:
            return fit.score(closeness, 0.5 if options.weight is None else options.weight)
        if closeness is None:
            raise CbirError("expected at least one photo or id to search with, got none")
        return closeness

    def _fit(self, options: SearchOptions) -> Fit | None:
        """How well items fit words and color; None where there are none."""
        wanted = self.wanted(options)
        return fit_wanted(self.gallery, self.bundle.attributes, wanted) if wanted else None

    def _closeness(self, query: Query, options: SearchOptions) -> np.ndarray:
        """Scores of all gallery items by the photos of a query: (g,) float32."""
        method = self._method(options)
        model, codes = self.bundle.models.of(method), self._gallery_codes(method)
        weight = EVEN_WEIGHT if options.weight is None else options.weight
        # Photo by photo: then its scores do not depend, not even by rounding, on those beside it.
        by_photo = [
            method.compare(method.encode(query.features.take([i]), model), codes, model, self.task(options), weight)
            for i in range(len(query.features))
        ]
        return np.mean(by_photo, axis=0)[0]

    def rank(self, query: Query, options: SearchOptions = DEFAULT_OPTIONS) -> SearchResult:
        """Ranks gallery items for a query; errors as in `search`."""
        self.check(options)
        options = replace(options, method=self._method(options).name)
        start = time.perf_counter()
        gallery = self.gallery
        fit = self._fit(options)
        scores = self._scores(query, options, fit)
        taking_part = gallery.selection(options.types, options.colors)
        if fit is not None and fit.type is not None:
            taking_part &= fit.type > 0  # known to be of another type
        taking_part[query.rows[query.rows != OUTSIDE]] = False  # an item never answers itself
        if options.other_colors:
            taking_part &= self._has_other_color(query)
        ranked = np.where(taking_part, -scores if options.least_similar else scores, -math.inf)
        rows = top_k(ranked, gallery.id_order, len(gallery) if options.hide_near_duplicates else options.k)
        n_hidden = 0
        if options.hide_near_duplicates:
            kept = self._without_near_duplicates(rows, query, options.k)
            n_hidden = (kept[-1] + 1 if len(kept) == options.k else len(rows)) - len(kept)
            rows = rows[kept]
        task = self.task(options)
        matches = self._matches(query, rows, scores, task, fit)
        is_item = len(query.rows) == 1 and query.rows[0] != OUTSIDE
        query_id = str(gallery.ids[query.rows[0]]) if is_item else None
        seconds = query.seconds + time.perf_counter() - start
        doubt = "" if not matches or options.least_similar else self._doubt(query, matches[0])
        method, task_name = (options.method, task.name) if len(query.rows) else ("", "")
        return SearchResult(matches, method, task_name, seconds, query_id, options, doubt, n_hidden)

    def _matches(self, query: Query, rows: np.ndarray, scores: np.ndarray, task: Task, fit: Fit | None) -> list[Match]:
        """The items of some rows, in order of rank."""
        gallery = self.gallery
        unknown = np.full(len(rows), np.nan)
        share = unknown if fit is None or fit.color is None else fit.color[rows]
        if len(query.rows):
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
        models = self.bundle.models
        method, model = models.telling, models.of(models.telling)
        return match_figures(method.encode(photo, model), take(self._gallery_codes(method), rows), model, task)

    def _doubt(self, query: Query, best: Match) -> str:
        """As in `SearchResult`."""
        familiarity = self.bundle.familiarity
        if familiarity is not None and (familiarity.score(query.features) < familiarity.threshold).any():
            return "unfamiliar"
        if best.color_share is not None and best.color_share < LEAST_SHARE:
            return "other_color"
        return "" if best.probability is None or best.probability >= EVEN else "unlikely"

    def labels(self, query: Query) -> QueryLabels:
        """What the photos of a query show: their labels if they are gallery items, else the most probable ones."""
        rows = query.rows
        known = {name: np.where(rows == OUTSIDE, "", self.gallery.labels[name][rows]) for name in LABELS}
        is_known = {name: known[name] != "" for name in LABELS}
        if self.bundle.attributes is None:
            return QueryLabels(known, is_known)
        guessed = guess_labels(query.features, self.bundle.attributes, self.bundle.familiarity).values
        return QueryLabels({name: np.where(is_known[name], known[name], guessed[name]) for name in LABELS}, is_known)

    def seen(self, query: Query) -> dict[str, Seen]:
        """What the photos of a query show by the attribute model, whatever their labels; empty where neither is."""
        if self.bundle.attributes is None or not len(query.rows):
            return {}
        return seen_labels(query.features, self.bundle.attributes, self.bundle.familiarity)

    def _without_near_duplicates(self, rows: np.ndarray, query: Query, k: int) -> list[int]:
        """Places among the rows, best first, of the first k with neither the query's picture nor a better one's."""
        gallery = self.gallery.features.embedding
        n = len(query.rows)
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
        """(g,) str, the most probable where unknown."""
        known, guesses = self.gallery.labels["color"], self.gallery.guesses
        return known if guesses is None else np.where(known != "", known, guesses.values["color"])

    def _has_other_color(self, query: Query) -> np.ndarray:
        """(g,) bool, which items most probably have a color that no photo of the query has."""
        if not len(query.rows):
            raise CbirError("expected a photo whose color is left out, got none: give one, or take all colors")
        colors = self.labels(query).values["color"]
        if (colors == "").any() or (self._item_colors == "").any():
            raise CbirError(
                "other colors cannot be told without a label: this bundle has no learned method, search one that has"
            )
        return ~np.isin(self._item_colors, colors)

    def _method(self, options: SearchOptions) -> Similarity:
        methods = {method.name: method for method in self.methods}
        name = options.method or self.bundle.default_method
        if name not in methods:
            raise UnknownNameError("method", name, methods)
        return methods[name]

    def _gallery_codes(self, method: Similarity) -> Codes:
        if method.encode not in self._codes:
            self._codes[method.encode] = self._encoded(method)
        return self._codes[method.encode]

    def _encoded(self, method: Similarity) -> Codes:
        """Codes of the gallery; of a large one, those that were worked out before, which takes a second."""
        features, model = self.gallery.features, self.bundle.models.of(method)
        if len(self.gallery) < KEPT_FROM or self.bundle.loaded_revision is None:
            return method.encode(features, model)
        made_by = f"{self.bundle.revision} {method.name} {__version__}"
        return kept(made_by, features.embedding, lambda: method.encode(features, model))

    def _check_backbone(self, backbone: Backbone) -> Backbone:
        made_by = self.bundle.manifest.backbone
        if backbone.fingerprint != made_by.fingerprint:
            raise BundleError(
                "the bundle was made with {backbone} (weights: {origin}), got {got} with other weights or "
                "preprocessing: give the same with --weights FILE",
                **{"backbone": made_by.name, "origin": made_by.weights.origin, "got": backbone.name},
            )
        return backbone


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _with_guesses(bundle: Bundle) -> Gallery:
    """The gallery of a bundle, with guesses where labels are unknown and the bundle can tell."""
    gallery = bundle.gallery
    if bundle.attributes is None or all((gallery.labels[name] != "").all() for name in LABELS):
        return gallery
    return replace(gallery, guesses=guess_labels(gallery.features, bundle.attributes, bundle.familiarity))
