"""Searching: a bundle and a query give ranked matches.

Legend: q photos of a query, g gallery items, k matches.
"""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from PIL import Image

from cbir.bundle import Bundle, load_bundle_backbone
from cbir.errors import BundleError, CbirError, UnknownNameError
from cbir.features import Features, extract
from cbir.features.backbone import Backbone, Box
from cbir.guesses import UNSURE, Seen, guess_labels, seen_labels
from cbir.images import crop_image, load_image
from cbir.index import GalleryIndex, Index, Plan, Query, with_guesses
from cbir.labels import LABELS, TASKS, Task
from cbir.options import DEFAULT_OPTIONS, SearchOptions
from cbir.ranking import Ranker, SearchResult, no_colors
from cbir.similarity import Similarity
from cbir.words import Wanted, read_color, read_words

Photo = bytes | str | os.PathLike | Image.Image  # whatever `load_image` takes
Crop = tuple[float, float, float, float]  # see `crop_image`


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

    def __init__(
        self,
        bundle: Bundle,
        backbone: Backbone | None = None,
        reader: Reader | None = None,
        index: Index | None = None,
    ) -> None:
        """Binds a bundle to its backbone.

        Args:
            bundle: what to search.
            backbone: embeds query photos; None to load the bundle's at the first photo.
            reader: reads query photos; None for one after another.
            index: what is searched, by the models of the bundle; None for its own gallery, in this process.

        Raises:
            BundleError: the backbone is not the one that made the bundle.
        """
        self.bundle = bundle
        self.index = GalleryIndex(with_guesses(bundle, bundle.gallery)) if index is None else index
        self.reader = reader or Reader()
        self._backbone = None
        self._whole = None if self.index.gallery is None else Ranker(bundle, self.index.gallery)
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
        if self._whole is not None:
            self._whole.warm_up()
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
        return self.index.counts(options.types, options.colors, guessed=guessed)

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
        self.index.check(options.types, options.colors)

    def wanted(self, options: SearchOptions) -> Wanted:
        """What words and color ask for.

        Raises:
            CbirError: a word is no name of a color, nor of a type that is known here.
        """
        attributes = self.bundle.attributes
        types = {*self.index.classes("type"), *(attributes.classes("type") if attributes else ())} - {UNSURE}
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
        nothing = self.index.items([])
        return Query(nothing.features, (), nothing.labels, 0.0)

    def query(self, images: Photo | Sequence[Photo], *, ids: Sequence[str] = (), crop: Crop | None = None) -> Query:
        """Reads and embeds what is searched with, for `rank`; arguments and errors as in `search`."""
        sources = cast("Sequence[Photo]", images if isinstance(images, list | tuple) else [images])
        if not len(sources) + len(ids):
            raise CbirError("expected at least one photo or id to search with, got none")
        if crop is not None and not sources:
            raise CbirError("expected a photo to crop, got ids alone: give no crop")
        items = self.index.items(ids)
        start = time.perf_counter()
        # One after another: however many there are, no more than one is in memory.
        crops = [crop] + [None] * len(sources)
        parts = [self.reader.features(self, source, part) for source, part in zip(sources, crops, strict=False)]
        labels = {name: np.append(np.full(len(sources), ""), items.labels[name]) for name in LABELS}
        features = Features.concatenate([*parts, items.features])
        return Query(features, (*[None] * len(sources), *ids), labels, time.perf_counter() - start)

    def rank(self, query: Query, options: SearchOptions = DEFAULT_OPTIONS) -> SearchResult:
        """Ranks items for a query; errors as in `search`."""
        plan = self.plan(query, options)
        if self._whole is not None:
            return self._whole.rank(query, plan)
        start = time.perf_counter()
        shortlist = self.index.shortlist(query, plan)
        found = Ranker(self.bundle, shortlist.gallery).rank(query, plan)
        seconds = query.seconds + time.perf_counter() - start
        return replace(found, seconds=seconds, is_shortlist=not shortlist.is_whole)

    def plan(self, query: Query, options: SearchOptions) -> Plan:
        """What a search does; errors as in `search`."""
        self.check(options)
        options = replace(options, method=self._method(options).name)
        colors = self._colors(query) if options.other_colors else ()
        return Plan(options, self.task(options), self.wanted(options), colors)

    def labels(self, query: Query) -> QueryLabels:
        """What the photos of a query show: their labels if they are gallery items, else the most probable ones."""
        known = dict(query.labels)
        is_known = {name: known[name] != "" for name in LABELS}
        if self.bundle.attributes is None:
            return QueryLabels(known, is_known)
        guessed = guess_labels(query.features, self.bundle.attributes, self.bundle.familiarity).values
        return QueryLabels({name: np.where(is_known[name], known[name], guessed[name]) for name in LABELS}, is_known)

    def seen(self, query: Query) -> dict[str, Seen]:
        """What the photos of a query show by the attribute model, whatever their labels; empty where neither is."""
        if self.bundle.attributes is None or not query.ids:
            return {}
        return seen_labels(query.features, self.bundle.attributes, self.bundle.familiarity)

    def _colors(self, query: Query) -> tuple[str, ...]:
        """The colors of a query's photos."""
        if not query.ids:
            raise CbirError("expected a photo whose color is left out, got none: give one, or take all colors")
        colors = set(self.labels(query).values["color"].tolist())
        if "" in colors:
            raise no_colors()
        return tuple(sorted(colors))

    def _method(self, options: SearchOptions) -> Similarity:
        methods = {method.name: method for method in self.methods}
        name = options.method or self.bundle.default_method
        if name not in methods:
            raise UnknownNameError("method", name, methods)
        return methods[name]

    def _check_backbone(self, backbone: Backbone) -> Backbone:
        made_by = self.bundle.manifest.backbone
        if backbone.fingerprint != made_by.fingerprint:
            raise BundleError(
                "the bundle was made with {backbone} (weights: {origin}), got {got} with other weights or "
                "preprocessing: give the same with --weights FILE",
                **{"backbone": made_by.name, "origin": made_by.weights.origin, "got": backbone.name},
            )
        return backbone
