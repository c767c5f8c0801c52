"""What is served at the moment. Photos that change while the app runs put a whole new one in its place, at once.

Whoever began with the old one finishes with it: its retriever, handlers and endpoints do not change.
"""

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

import gradio as gr
from gradio.utils import get_upload_folder

from cbir.own_photos import OwnPhotos
from cbir.search import Retriever
from cbir.ui.api import ENDPOINTS, Endpoints
from cbir.ui.errors import show_errors
from cbir.ui.handlers import Handlers
from cbir.ui.texts import Words
from cbir.ui.thumbnails import Thumbnails
from cbir.ui.turns import resting
from cbir.ui.uploads import Uploads


class RescanJson(TypedDict):
    """What changed: numbers of photos, and why some are left out, by id."""

    added: int
    changed: int
    removed: int
    unreadable: dict[str, str]
    photos: int


@dataclass(frozen=True)
class _Served:
    retriever: Retriever
    thumbnails: Thumbnails
    handlers: Handlers
    published: dict[str, Callable[..., Any]]  # endpoints by name


class Serving:
    """The page's handlers and the endpoints over the retriever of the moment. Safe to share between threads."""

    def __init__(self, retriever: Retriever, photos: OwnPhotos | None = None) -> None:
        """Serves a retriever.

        Args:
            retriever: what is searched at first.
            photos: whose bundle it searches, where `rescan` should be able to bring it up to date.
        """
        self.photos = photos
        self.uploads = Uploads(Path(get_upload_folder()).resolve())
        self._controls: dict[str, Any] = {}
        self._updating = threading.Lock()
        self._now = self._served(retriever, Thumbnails(retriever.index), is_renewed=False)

    @property
    def retriever(self) -> Retriever:
        """What is searched now."""
        return self._now.retriever

    @property
    def thumbnails(self) -> Thumbnails:
        """Its pictures."""
        return self._now.thumbnails

    @property
    def handlers(self) -> Handlers:
        """The handlers over it; all of them share their controls."""
        return self._now.handlers

    @property
    def events(self) -> "Events":
        """Event handlers for Gradio."""
        return Events(lambda: self._now.handlers)

    def endpoint(self, name: str) -> Callable[..., Any]:
        """An endpoint for Gradio: the one that is current when it is called."""
        return _dispatched(self._now.published[name], lambda: self._now.published[name])

    def update(self) -> RescanJson:
        """Brings what is served up to date with the photos, and tells what changed. Searches go on meanwhile.

        Raises:
            DataError, NoPhotosError: the photos cannot be read; what is served stays.
            CbirError: they are being read already.
        """
        assert self.photos is not None
        with resting():  # others compute meanwhile; and it is done to its end, whoever waits for it
            changes = self.photos.update()
            with self._updating:
                before, bundle = self._now, self.photos.bundle
                if bundle is not before.retriever.bundle:
                    retriever = Retriever(bundle, before.retriever.backbone, before.retriever.reader)
                    retriever.warm_up()
                    self._now = self._served(retriever, before.thumbnails.updated(retriever.index), is_renewed=True)
                    before.thumbnails.remove_all_but(self._now.thumbnails)
        return {
            "added": len(changes.added),
            "changed": len(changes.changed),
            "removed": len(changes.removed),
            "unreadable": changes.unreadable,
            "photos": len(bundle.gallery),
        }

    @show_errors
    def rescan(self) -> RescanJson:
        """Reads photos that are new or changed in the folder that is served, and drops those that are gone.

        Returns:
            How many photos changed, and which cannot be read.
        """
        return self.update()

    @show_errors
    def rescan_page(self, request: gr.Request) -> str:
        """The same from the page, which tells the visitor what changed -> something new each time."""
        changes = self.update()
        words = Words.of(request)
        numbers = {name: words.number(changes[name]) for name in ("added", "changed", "removed")}
        unreadable = words.number(len(changes["unreadable"]))
        gr.Info(words("rescanned", **numbers, unreadable=unreadable), title=words("done"))
        return str(time.monotonic_ns())

    def _served(self, retriever: Retriever, thumbnails: Thumbnails, is_renewed: bool) -> _Served:
        handlers = Handlers(retriever, thumbnails, self.uploads, self._controls, is_renewed)
        endpoints = Endpoints(retriever, thumbnails)
        return _Served(retriever, thumbnails, handlers, {name: endpoints.published(name) for name in ENDPOINTS})


class Events:
    """Stands in for `Handlers`: each method calls that of the handlers which are current when it is called.

    Attributes:
        controls: of all handlers.
    """

    def __init__(self, current: Callable[[], Handlers]) -> None:
        self._current = current
        self.controls = current().controls

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return _dispatched(getattr(self._current(), name), lambda: getattr(self._current(), name))


def _dispatched(model: Callable[..., Any], current: Callable[[], Callable[..., Any]]) -> Callable[..., Any]:
    """A function with the name, signature and docstring of `model` that calls whatever is current."""

    @functools.wraps(model)
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        return current()(*args, **kwargs)

    return call
