"""What happens in the page. Every function here is called by Gradio, with values as the browser sent them."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np

from cbir.errors import CbirError, ImageError
from cbir.search import Retriever, SearchOptions, SearchResult
from cbir.similarity import DEFAULT_METHOD
from cbir.ui import texts
from cbir.ui.errors import clear_errors
from cbir.ui.thumbnails import Thumbnails, file_url

N_CATALOGUE = 18  # pictures shown while there is no query


def upload_path(payload: object) -> str:
    """Path of an uploaded file; only what Gradio checked to lie among its uploads gets through."""
    if isinstance(payload, dict) and payload.get("meta") == {"_type": "gradio.FileData"} and payload.get("path"):
        return payload["path"]
    raise ImageError(texts.NOT_UPLOADED if payload else texts.NO_PHOTO)


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
class Handlers:
    """Event handlers of one page. The photo widget holds the query: an upload, or the picture of an item.

    Gradio names events after their functions, and the names of the endpoints are taken: see `cbir.ui.api`.
    """

    retriever: Retriever
    thumbnails: Thumbnails

    @clear_errors
    def answer(self, photo: dict | None, method: str, match: str, k: int) -> tuple[Any, str]:
        """Search with what the photo widget holds -> results, the line above them."""
        path = upload_path(photo)
        options = SearchOptions(method, match, k)
        item_id = self.thumbnails.id_at(path)
        if item_id is None:
            result = self.retriever.search(path, options)
        else:
            result = self.retriever.search_by_id(item_id, options)
        return self._show(result, path)

    def refresh(self, photo: dict | None, method: str, match: str, k: int) -> tuple[Any, str]:
        """The same after any change, where no photo is no mistake: then the catalogue shows."""
        return self.answer(photo, method, match, k) if photo else self.catalogue()

    def catalogue(self) -> tuple[Any, str]:
        """Some pictures from all over the gallery."""
        gallery = self.retriever.gallery
        rows = np.unique(np.linspace(0, len(gallery) - 1, min(N_CATALOGUE, len(gallery))).round().astype(int))
        items = [(self.thumbnails.path(gallery.ids[row]), texts.garment(gallery.labels_of(row))) for row in rows]
        return gr.update(value=items, selected_index=None), texts.catalogue(gallery)

    @clear_errors
    def random_photo(self, seed: int, last_seed: int | None) -> tuple[str, int, int]:
        """The next seed, or the one that the person typed -> picture, seed shown, seed used."""
        return self._photo_of(checked_seed(seed) + 1 if seed == last_seed else seed)

    @clear_errors
    def repeat_photo(self, seed: int) -> tuple[str, int, int]:
        """Exactly this seed -> picture, seed shown, seed used."""
        return self._photo_of(seed)

    @clear_errors
    def pick(self, event: gr.SelectData) -> str:
        """A click on a picture makes it the query."""
        path = event.value["image"]["path"]
        if self.thumbnails.id_at(path) is None:
            raise ImageError(texts.NO_PHOTO)
        return path

    def _photo_of(self, seed: int) -> tuple[str, int, int]:
        return self.thumbnails.path(self.retriever.gallery.random_id(checked_seed(seed))), seed, seed

    def _show(self, result: SearchResult, query_path: str) -> tuple[Any, str]:
        paths = [self.thumbnails.path(match.id) for match in result.matches]
        items = list(zip(paths, texts.captions(result), strict=True))
        line = texts.found(result, self.retriever.gallery, file_url(query_path))
        return gr.update(value=items, selected_index=None), line
