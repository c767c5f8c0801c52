"""What happens in the page. Every function here is called by Gradio, with values as the browser sent them."""

import base64
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder

from cbir.compare import compare
from cbir.errors import CbirError, ImageError, UnknownNameError
from cbir.explain import explain
from cbir.export import FORMATS
from cbir.features import Features
from cbir.headers import format_of
from cbir.images import load_image, thumbnail
from cbir.map import map_positions
from cbir.pairs import LABELS, TASKS
from cbir.search import Crop, Query, Retriever
from cbir.similarity import DEFAULT_METHOD
from cbir.ui import report, views
from cbir.ui.address import FLAGS, Asked, crop_of
from cbir.ui.errors import clear_errors
from cbir.ui.texts import Words
from cbir.ui.thumbnails import Thumbnails, file_url

N_CATALOGUE = 18  # pictures shown while there is no query
FILE_NAME = "apparel-search"  # of results that are saved
N_REMEMBERED = 64  # queries whose features are kept
MAX_BATCH = 64  # photos of one call: they are held at once, and a batch holds a place of the queue until it is done


def upload_path(payload: object, thumbnails: Thumbnails) -> str:
    """Path of a file that was uploaded, or of a thumbnail.

    Gradio checks only payloads that carry its mark, and browsers may send any: what counts is where the file lies.
    The error is the same for every other path, so that nobody learns which files there are.
    """
    if not payload:
        raise ImageError(Words()("no_photo"))
    path = payload.get("path") if isinstance(payload, dict) else None
    if isinstance(path, str) and path:
        try:
            resolved = Path(path).resolve()
            uploads = Path(get_upload_folder()).resolve()
        except (OSError, RuntimeError, ValueError):  # a name too long, a loop of links, a null character
            raise ImageError(Words()("not_uploaded")) from None
        if thumbnails.id_at(str(resolved)) or uploads in resolved.parents:
            return str(resolved)
    raise ImageError(Words()("not_uploaded"))


def picture_url(path: str) -> str:
    """Address of what a browser shows of a photo: the file, or a small JPEG where it is a TIFF, which few show."""
    with contextlib.suppress(OSError), Path(path).open("rb") as file:
        if format_of(file.read(64)) == "TIFF":
            jpeg = thumbnail(load_image(path))
            return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
    return file_url(path)


def checked_batch(files: object) -> list[object]:
    """The files of one call, if these are a list that is not too long."""
    if not isinstance(files, list) or len(files) > MAX_BATCH:
        got = len(files) if isinstance(files, list) else files
        raise CbirError(f"expected a list of at most {MAX_BATCH} photos, got {got!r}")
    return files


def checked_seed(seed: object) -> int:
    """The seed, if it can be one."""
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise CbirError(f"expected a seed that is a whole number of at least 0, got {seed!r}")
    return seed


def default_method(retriever: Retriever) -> str:
    """The method chosen at first; not every bundle can score with the usual one."""
    names = [method.name for method in retriever.methods]
    return DEFAULT_METHOD if DEFAULT_METHOD in names else names[0]


@dataclass(frozen=True)
class Asking:
    """What the controls hold: the query's photos, and the rest.

    Attributes:
        path: the picture in the photo widget; None for none.
        more: paths of further photos.
        asked: the rest; `asked.id` is the item whose thumbnail the photo widget shows, if it is one.
    """

    path: str | None
    more: list[str]
    asked: Asked


@dataclass(frozen=True)
class Handlers:
    """Event handlers of one page. The photo widget holds the query: an upload, or the picture of an item.

    Gradio names events after their functions, and the names of the endpoints are taken: see `cbir.ui.api`.
    """

    retriever: Retriever
    thumbnails: Thumbnails

    @cached_property
    def start(self) -> Asked:
        """What the page asks for at first."""
        return Asked(method=default_method(self.retriever))

    # --- searching ---

    @clear_errors
    def answer(self, request: gr.Request, *values: object) -> tuple[Any, ...]:
        """Search with what the controls hold -> results, line, details, address, types, colors."""
        return self._answer(self._asking(values), Words.of(request))

    @clear_errors
    def refresh(self, request: gr.Request, *values: object) -> tuple[Any, ...]:
        """The same after any change, where no photo is no mistake: then the catalogue shows."""
        asking, words = self._asking(values), Words.of(request)
        if asking.path or asking.more:
            return self._answer(asking, words)
        results, line = self.catalogue(words, asking.asked)
        return results, line, "", asking.asked.query_string(self.start), *self._facets(asking.asked, words)

    def catalogue(self, words: Words, asked: Asked) -> tuple[Any, str]:
        """Some pictures from all over what the filters leave of the gallery."""
        gallery = self.retriever.gallery
        rows = np.flatnonzero(gallery.selection(asked.type, asked.color))
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(N_CATALOGUE, len(rows))).round().astype(int))]
        items = [(self.thumbnails.path(gallery.ids[row]), words.garment(gallery.labels_of(row))) for row in rows]
        return gr.update(value=items, selected_index=None), views.catalogue(gallery, words)

    def _answer(self, asking: Asking, words: Words) -> tuple[Any, ...]:
        asked, options, gallery = asking.asked, asking.asked.options(), self.retriever.gallery
        self.retriever.check(options)
        result = self.retriever.rank(self._query(asking), options)
        paths = [self.thumbnails.path(match.id) for match in result.matches]
        items = list(zip(paths, views.captions(result, words), strict=True))
        picture = picture_url(asking.path or asking.more[0])
        name = None if asked.id else Path(asking.path or asking.more[0]).name
        files = {FILE_NAME + suffix: write(result, self.retriever.bundle, name) for suffix, write in FORMATS.items()}
        line = views.found(result, options, gallery, picture, files, words)
        shown = gr.update(value=items, selected_index=None)
        return shown, line, "", asked.query_string(self.start), *self._facets(asked, words)

    def _query(self, asking: Asking) -> Query:
        crop = crop_of(asking.asked.crop)
        if not (asking.path or asking.more):
            raise ImageError(Words()("no_photo"))
        start = time.perf_counter()
        if asking.asked.id and crop is None:
            query = self._read(tuple(asking.more), (asking.asked.id,), None)
        else:
            query = self._read((*filter(None, [asking.path]), *asking.more), (), crop)
        return replace(query, seconds=time.perf_counter() - start)

    @cached_property
    def _read(self) -> Callable[[tuple[str, ...], tuple[str, ...], Crop | None], Query]:
        """Reads and embeds; whoever filters or weighs the same photo again does not wait for it again."""

        @lru_cache(maxsize=N_REMEMBERED)
        def read(paths: tuple[str, ...], ids: tuple[str, ...], crop: Crop | None) -> Query:
            return self.retriever.query(paths, ids=ids, crop=crop)  # Gradio names uploads after their content

        return read

    def _facets(self, asked: Asked, words: Words) -> tuple[Any, Any]:
        return tuple(gr.update(choices=self.filter_choices(label, asked, words)) for label in LABELS)

    def filter_choices(self, label: str, asked: Asked, words: Words) -> list[tuple[str, str]]:
        """Values of a label, each with the number of pictures that it would leave."""
        counts = self.retriever.gallery.counts(asked.type, asked.color)[label]
        return [(f"{words.noun(name)} ({words.number(n)})", name) for name, n in counts.items()]

    def _asking(self, values: Sequence[object]) -> Asking:
        photo, more, crop, method, match, k, types, colors, weight, also = values
        path = upload_path(photo, self.thumbnails) if photo else None
        item_id = self.thumbnails.id_at(path) or "" if path else ""
        asked = Asked(item_id, method, match, k, types or [], colors or [], weight, also or [], crop or "")
        return Asking(path, [upload_path(file, self.thumbnails) for file in checked_batch(more or [])], asked)

    # --- choosing the query ---

    @clear_errors
    def random_photo(self, seed: int, last_seed: int | None) -> tuple[str, int, int, str]:
        """The next seed, or the one that the person typed -> picture, seed shown, seed used, no crop."""
        return self._photo_of(checked_seed(seed) + 1 if seed == last_seed else seed)

    @clear_errors
    def repeat_photo(self, seed: int) -> tuple[str, int, int, str]:
        """Exactly this seed -> picture, seed shown, seed used, no crop."""
        return self._photo_of(seed)

    @clear_errors
    def pick(self, request: gr.Request, event: gr.SelectData, *values: object) -> tuple[Any, Any, Any]:
        """A click on a picture -> photo, crop, details.

        One of the catalogue becomes the query; a result is told about.
        """
        picture = event.value.get("image") if isinstance(event.value, dict) else None
        path = upload_path(picture, self.thumbnails)
        item_id = self.thumbnails.id_at(path)
        if item_id is None:
            raise ImageError(Words()("no_photo"))
        asking, words = self._asking(values), Words.of(request)
        if not (asking.path or asking.more):
            return path, "", ""
        asked, gallery = asking.asked, self.retriever.gallery
        # Of several photos the first is explained.
        crop = crop_of(asked.crop)
        if asked.id and crop is None:
            found = explain(self.retriever, item_id, query_id=asked.id)
        else:
            found = explain(self.retriever, item_id, asking.path or asking.more[0], crop=crop)
        settings = replace(asked, id="", crop="").query_string(self.start)
        labels = gallery.labels_of(gallery.row(item_id))
        return gr.skip(), gr.skip(), views.details(item_id, labels, found, settings, words)

    def _photo_of(self, seed: int) -> tuple[str, int, int, str]:
        return self.thumbnails.path(self.retriever.gallery.random_id(checked_seed(seed))), seed, seed, ""

    # --- the address ---

    @clear_errors
    def restore(self, address: str) -> tuple[Any, ...]:
        """An address -> photo, no more photos, the controls that it sets, and something new each time."""
        asked = Asked.from_query_string(address, self.start)
        for name, known in (("method", [m.name for m in self.retriever.methods]), ("match", list(TASKS))):
            if getattr(asked, name) not in known:
                raise UnknownNameError(name, getattr(asked, name), known)
        self.retriever.gallery.selection(asked.type, asked.color)
        path = None
        if asked.id:
            self.retriever.gallery.row(asked.id)  # raises for one that is unknown
            path = self.thumbnails.path(asked.id)
        controls = (asked.crop, asked.method, asked.match, asked.k, asked.type, asked.color, asked.weight, asked.also)
        return path, None, *controls, str(time.monotonic_ns())

    def welcome(self, request: gr.Request) -> tuple[Any, ...]:
        """What the server says, in the visitor's language -> heading, notices, match, method, also, line."""
        words, bundle = Words.of(request), self.retriever.bundle
        return (
            views.heading(bundle, words),
            views.notices(bundle, words),
            *(gr.update(choices=choices) for choices in self.choices(words)),
        )

    def choices(self, words: Words) -> tuple[list[tuple[str, str]], ...]:
        """Choices of match, method and also: what people read, and its name."""
        methods = [
            (f"{words.method(m.name, m.label)}\n{words.explanation(m.name, m.explanation)}", m.name)
            for m in self.retriever.methods
        ]
        return (
            [(words(f"match_{name}"), name) for name in TASKS],
            methods,
            [(words(name), name) for name in FLAGS],
        )

    # --- the other tabs ---

    @clear_errors
    def show_tab(self, request: gr.Request, tab: str, *values: object) -> tuple[Any, Any, Any]:
        """What the open tab shows -> comparison, map, report; the others stay as they are."""
        asking, words = self._asking(values), Words.of(request)
        views_of = {"compare": self._comparison, "map": self._map, "report": self._report}
        return tuple(view(asking, words) if name == tab else gr.skip() for name, view in views_of.items())

    def _comparison(self, asking: Asking, words: Words) -> str:
        if not (asking.path or asking.more):
            return views.nothing_yet(words)
        found = compare(self.retriever, self._query(asking), asking.asked.options())
        settings = {
            name: replace(asking.asked, id="", crop="", method=name).query_string(self.start)
            for name in found.by_method
        }
        return views.comparison(found, self.thumbnails.url, settings, words)

    def _map(self, asking: Asking, words: Words) -> str:
        retriever = self.retriever
        place, rows = None, []
        if asking.path or asking.more:
            query, options = self._query(asking), asking.asked.options()
            place = self._places(query.features).mean(axis=0)
            rows = [retriever.gallery.row(match.id) for match in retriever.rank(query, options).matches]
        return views.collection_map(retriever.gallery, self._gallery_places, place, rows, words)

    def _report(self, asking: Asking, words: Words) -> str:
        return report.page(self.retriever.bundle, self.thumbnails, words)

    def _places(self, features: Features) -> np.ndarray:
        bundle = self.retriever.bundle
        return map_positions(features, bundle.models[default_method(self.retriever)], bundle.manifest["map"])

    @cached_property
    def _gallery_places(self) -> np.ndarray:
        return self._places(self.retriever.gallery.features)
