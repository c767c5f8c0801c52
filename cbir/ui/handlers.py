"""What happens in the page. Every function here is called by Gradio, with values as the browser sent them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlencode

import gradio as gr
import numpy as np
from gradio.components import Component
from gradio.processing_utils import save_bytes_to_cache, save_file_to_cache
from gradio.utils import get_upload_folder

from cbir.compare import compare
from cbir.errors import ImageError, UnknownNameError
from cbir.explain import explain
from cbir.export import FORMATS
from cbir.features import Features
from cbir.headers import format_of
from cbir.index import Query
from cbir.map import GalleryMap
from cbir.options import OPTIONS, Option
from cbir.search import Retriever
from cbir.similarity.attributes import AttributeModel
from cbir.ui import report, views
from cbir.ui.address import SearchState
from cbir.ui.chips import chips
from cbir.ui.clients import CALLER
from cbir.ui.errors import show_errors
from cbir.ui.examples import Example, load_examples
from cbir.ui.inputs import (
    browsed,
    checked_batch,
    checked_names,
    checked_seed,
    checked_text,
    crop_of,
    event_value,
    no_photo,
    photo_at,
    upload_path,
)
from cbir.ui.limits import MAX_ADDRESS
from cbir.ui.log import compared, searched
from cbir.ui.texts import Words
from cbir.ui.thumbnails import Thumbnails, picture_url
from cbir.ui.uploads import Uploads

N_CATALOGUE = 24  # pictures shown while there is no query, and added by "more"
N_MAPPED = 3000  # points of the map, at most, beside those of results
N_FETCHED = 500  # likewise, where what is searched is not in this process
FILE_NAME = "apparel-search"  # of results that are saved
LIMITED = ("weight", "other_colors")  # options that others may leave no use for

Values = dict[Component, Any]  # of controls


@dataclass(frozen=True)
class PageState:
    """What the controls hold: the query's photos, and the rest.

    Attributes:
        path: the picture in the photo widget; None where it is empty.
        more: paths of further photos.
        search: the rest; `search.id` is the item whose thumbnail the photo widget shows, if it is one.
    """

    path: str | None
    more: list[str]
    search: SearchState

    @property
    def photos(self) -> list[str]:
        """Paths of all photos."""
        return [*filter(None, [self.path]), *self.more]

    @property
    def uploads(self) -> str:
        """Photos from outside, as `restore` reads them; the browser keeps them in its history, beside the address."""
        photo = [("photo", self.path)] if self.path and not self.search.id else []
        return urlencode([*photo, *(("more", path) for path in self.more)], safe="/")


@dataclass(frozen=True)
class Handlers:
    """Event handlers of one page. The photo widget holds the query: an upload, or the picture of an item.

    Handlers that search take the values of all controls and give those that change. Gradio names events after their
    functions, and the names of the endpoints are taken: see `cbir.ui.api`.

    Attributes:
        retriever: what is searched.
        thumbnails: its pictures.
        uploads: photos from outside.
        controls: by name; those of options have the names of their parameters. The layout fills it.
        is_renewed: whether the page was built with another gallery, so that it has to be told of this one.
    """

    retriever: Retriever
    thumbnails: Thumbnails
    uploads: Uploads
    controls: dict[str, Any] = field(default_factory=dict)
    is_renewed: bool = False

    @cached_property
    def start(self) -> SearchState:
        """What the page is asked for at first."""
        return SearchState().with_values(method=self.retriever.bundle.default_method)

    @cached_property
    def examples(self) -> list[Example]:
        """Photos to try the search with."""
        return load_examples()

    # --- searching ---

    @show_errors
    def refresh(self, request: gr.Request, values: Values) -> Values:
        """Searches with what the controls hold, after any change; when they hold nothing, the catalogue shows."""
        state, words = self._state(values), Words.of(request)
        if state.photos or state.search.options().description:
            return self._answer(state, words)
        results, line = self.catalogue(words, state.search)
        return self._shown(results, line, state, words)

    @show_errors
    def browse(self, request: gr.Request, event: gr.EventData, values: Values) -> Values:
        """More pictures of the catalogue, or others."""
        tiles, _ = self.catalogue(Words.of(request), self._state(values).search, *browsed(event))
        return self._values(results=tiles)

    def catalogue(self, words: Words, search: SearchState, seed: int = 0, n: int = N_CATALOGUE) -> tuple[str, str]:
        """Pictures of what the filters leave of the gallery, n in the order of a seed, and the line above them."""
        index, filters = self.retriever.index, self._filters(search)
        items, n_left = index.sample(seed, n, *filters), index.count(*filters)
        tiles = views.catalogue_tiles(items, self.thumbnails, (seed, n, N_CATALOGUE), n_left, words)
        line = views.catalogue(n_left, filters, self._changed(search), words)
        return tiles, line

    def _answer(self, state: PageState, words: Words) -> Values:
        options = state.search.options()
        self.retriever.check(options)
        query = self._query(state)
        result = self.retriever.rank(query, options)
        searched(result)
        first = state.photos[0] if state.photos else None
        name = None if state.search.id or first is None else Path(first).name
        files = {FILE_NAME + suffix: write(result, self.retriever.bundle, name) for suffix, write in FORMATS.items()}
        picture = picture_url(first, self.retriever.reader) if first else ""
        seen = chips(self.retriever, query, options, words)
        line = views.found(result, self.retriever.index, picture, seen, self._changed(state.search), words)
        return self._shown(views.tiles(result, self.thumbnails, files, words), line, state, words)

    def _shown(self, tiles: str, line: str, state: PageState, words: Words) -> Values:
        search = state.search
        filters = {o.parameter: {"choices": self.choices(o, words, search)} for o in OPTIONS if o.label}
        unusable = self._unusable(search.values)
        usable = {name: {"interactive": name not in unusable} for name in LIMITED}
        changes = {name: gr.update(**change) for name, change in (filters | usable).items()}
        here = "&".join(filter(None, [search.query_string(self.start), state.uploads]))
        return self._values(results=tiles, line=line, here=here, **changes)

    def _query(self, state: PageState) -> Query:
        crop = crop_of(state.search.crop)
        if not state.photos:
            if state.search.options().description:
                return self.retriever.no_photo
            raise no_photo()
        if state.search.id and crop is None:
            return self.retriever.query(state.more, ids=[state.search.id])
        return self.retriever.query(state.photos, crop=crop)

    def _state(self, values: Values) -> PageState:
        given = {name: values[control] for name, control in self.controls.items() if control in values}
        path = upload_path(given["photo"], self.thumbnails) if given["photo"] else None
        more = [upload_path(file, self.thumbnails) for file in checked_batch(given["more"] or [])]
        options = {o.parameter: given[o.parameter] for o in OPTIONS}
        options |= {o.parameter: checked_names(o.parameter, options[o.parameter] or []) for o in OPTIONS if o.is_list}
        options |= {o.parameter: options[o.parameter] or "" for o in OPTIONS if o.is_text or o.is_swatch}
        options |= {o.parameter: o.at_rest for o in OPTIONS if o.parameter in self._unusable(options)}
        item_id = self.thumbnails.id_at(path) or "" if path else ""
        crop = checked_text("crop", given["crop"] or "")
        return PageState(path, more, SearchState(item_id, crop, options))

    def _unusable(self, values: Mapping[str, Any]) -> set[str]:
        """Controls that others leave no use for: they rest, and cannot be changed."""
        learned = [method.name for method in self.retriever.methods if method.is_learned]  # not a set: of anything
        unusable = {"other_colors"} if values["match"] == "color" else set()
        is_weighed = values["method"] in learned and values["match"] == "both"
        if not is_weighed or (values["other_colors"] and not unusable):
            unusable.add("weight")
        return unusable

    def _values(self, **values: object) -> Values:
        """Values by the names of their controls, as Gradio takes them."""
        return {self.controls[name]: value for name, value in values.items()}

    # --- choosing the query ---

    @show_errors
    def random_photo(self, request: gr.Request, seed: int, last_seed: int | None) -> Values:
        """The picture of the next seed, or of the one that the person typed."""
        return self._photo_of(checked_seed(seed) + 1 if seed == last_seed else seed)

    @show_errors
    def repeat_photo(self, request: gr.Request, seed: int) -> Values:
        """The picture of exactly this seed."""
        return self._photo_of(seed)

    @show_errors
    def choose_example(self, request: gr.Request, event: gr.EventData) -> Values:
        """An example becomes the photo, as if it had been uploaded."""
        path = next((example.path for example in self.examples if example.name == event_value(event, "example")), None)
        if path is None:
            raise no_photo()
        return self._values(photo=self._uploaded(save_file_to_cache(path, get_upload_folder())), crop="")

    @show_errors
    def take(self, request: gr.Request, taken: str) -> Values:
        """What was pasted, dropped or typed becomes the photo: the path of an upload, or the address of a picture.

        A number follows, behind `#`, so that the same one can be taken twice.
        """
        source = checked_text("photo", taken, MAX_ADDRESS).rpartition("#")[0]
        if not source.lower().startswith(("http://", "https://")):
            return self._values(photo=upload_path({"path": source}, self.thumbnails), crop="")
        photo, _ = photo_at(source, self.thumbnails)
        if isinstance(photo, bytes):
            self.retriever.reader.picture(photo)  # raises for anything else than a photo
            name = f"photo.{str(format_of(photo[:64])).lower()}"
            photo = self._uploaded(save_bytes_to_cache(photo, name, get_upload_folder()))
        return self._values(photo=photo, crop="")

    def _uploaded(self, path: str) -> str:
        """A file that the app itself put where uploads are, kept and deleted as these."""
        self.uploads.add(CALLER.get().client, [path])
        return path

    @show_errors
    def drop_unreadable(self, request: gr.Request, values: Values) -> Values:
        """Empties the controls of photos that cannot be read; the search has said so."""
        state = self._state(values)
        more = [path for path in state.more if self._is_readable(path)]
        kept = {"more": gr.skip() if more == state.more else more or None}
        if state.path is None or self._is_readable(state.path):
            return self._values(photo=gr.skip(), crop=gr.skip(), **kept)
        return self._values(photo=None, crop="", **kept)

    def _is_readable(self, path: str) -> bool:
        try:
            self.retriever.reader.picture(path)
        except ImageError:
            return False
        return True

    @show_errors
    def pick(self, request: gr.Request, event: gr.EventData, values: Values) -> Values:
        """Why the result that was clicked on was found."""
        item_id = event_value(event, "pick")
        guesses = self.retriever.index.items([item_id]).guesses_of(0)
        state, words = self._state(values), Words.of(request)
        # Of several photos the first is explained.
        crop, found = crop_of(state.search.crop), None
        if state.search.id and crop is None:
            found = explain(self.retriever, item_id, query_id=state.search.id)
        elif state.photos:
            found = explain(self.retriever, item_id, state.photos[0], crop=crop)
        return self._values(details=views.details(item_id, guesses, found, words))

    def _photo_of(self, seed: int) -> Values:
        path = self.thumbnails.path(self.retriever.index.random_id(checked_seed(seed)))
        return self._values(photo=path, seed=seed, last_seed=seed, crop="")

    # --- the address ---

    @show_errors
    def restore(self, request: gr.Request, address: str) -> Values:
        """An address -> photo, more photos, the controls that it sets, and something new each time.

        It may name uploads as well (`PageState.uploads`).
        """
        search = SearchState.from_query_string(checked_text("address", address, MAX_ADDRESS), self.start)
        uploads = parse_qs(address.removeprefix("?").partition("#")[0])
        photo, more = (uploads.get(name, []) for name in ("photo", "more"))
        now = str(time.monotonic_ns())
        # The page has just loaded, without a search in its address (`page.js` numbers those that it asks for): what the
        # visitor has chosen meanwhile stays.
        if "#" not in address and search == self.start and not photo and not more:
            # The page shows what it was built with, in English, until something is searched or shown again.
            return self._values(restored=now if self.is_renewed or Words.of(request) != Words() else gr.skip())
        for option in OPTIONS:
            known = self.known(option)
            if known and search.values[option.parameter] not in known:
                raise UnknownNameError(option.parameter, search.values[option.parameter], known)
        self.retriever.index.check(*self._filters(search))
        path = None
        if search.id:
            path = self.thumbnails.path(search.id)
        elif photo:
            path = self._kept(photo[-1])
        more = [self._kept(path) for path in checked_batch(more)]
        # One box shows words and color, where both can be changed.
        described = " ".join(filter(None, [search.values["words"], search.values["color"]]))
        values = {**search.values, "words": described, "color": ""}
        return self._values(photo=path, more=more or None, crop=search.crop, **values, restored=now)

    def _kept(self, path: object) -> str:
        """The path of an upload, while there is one."""
        resolved = upload_path({"path": path}, self.thumbnails)
        if not Path(resolved).is_file():
            raise ImageError("your photo is no longer here, uploads are deleted after some hours: choose it again")
        return resolved

    def welcome(self, request: gr.Request) -> Values:
        """What the server says, in the visitor's language: it has said it in English."""
        words, bundle = Words.of(request), self.retriever.bundle
        if words == Words() and not self.is_renewed:
            return self._values(heading=gr.skip())
        named = {o.parameter: gr.update(choices=self.choices(o, words)) for o in OPTIONS if o.choices or o.label}
        return self._values(
            heading=views.heading(words),
            notices=views.notices(bundle, words),
            foot=views.foot(bundle, self.retriever.index, words),
            examples=views.examples(self.examples, words),
            dialogs=views.dialogs(words),
            **named,
        )

    def known(self, option: Option) -> list[str]:
        """What an option may be, for this bundle; empty where that is not a choice of one."""
        return [m.name for m in self.retriever.methods] if option.name == "method" else list(option.choices)

    def choices(self, option: Option, words: Words, search: SearchState | None = None) -> list[tuple[str, str]]:
        """What an option may be: what people read, and its name.

        Values of a label come with the number of pictures that each would leave of the search.
        """
        if option.name == "method":
            methods = self.retriever.methods
            return [
                (f"{words.method(m.name, m.title)}\n{words.explanation(m.name, m.explanation)}", m.name)
                for m in methods
            ]
        if option.label:
            index, filters = self.retriever.index, self._filters(search or self.start)
            counts, guessed = (
                index.counts(*filters)[option.label],
                index.counts(*filters, guessed=True)[option.label],
            )
            return [(words.count(name, n, guessed[name]), name) for name, n in counts.items()]
        return [(words(f"{option.parameter}_{name}"), name) for name in option.choices]

    def _filters(self, search: SearchState) -> tuple[list[str], list[str]]:
        return search.values["types"], search.values["colors"]

    def _changed(self, search: SearchState) -> int:
        """How many options are not as at the start."""
        return sum(search.values[name] != value for name, value in self.start.values.items())

    def _settings(self, search: SearchState, **values: object) -> str:
        """The address, behind an id, of the same search with other values and without a photo."""
        return replace(search, id="", crop="").with_values(**values).query_string(self.start)

    # --- the other tabs ---

    @show_errors
    def show_tab(self, request: gr.Request, values: Values) -> Values:
        """What the open tab shows; the others stay as they are."""
        state, words = self._state(values), Words.of(request)
        views_of = {"compare": self._comparison, "map": self._map, "report": self._report}
        tab = values[self.controls["open_tab"]]
        return self._values(
            **{name: view(state, words) if name == tab else gr.skip() for name, view in views_of.items()}
        )

    def _comparison(self, state: PageState, words: Words) -> str:
        if not state.photos:
            return views.nothing_yet(words)
        found = compare(self.retriever, self._query(state), state.search.options())
        compared(found)
        settings = {name: self._settings(state.search, method=name) for name in found.by_method}
        return views.comparison(found, self.thumbnails.url, settings, words)

    def _map(self, state: PageState, words: Words) -> str:
        index = self.retriever.index
        items = index.sample(0, N_MAPPED if index.gallery is not None else N_FETCHED)
        place, found = None, []
        options = state.search.options()
        if state.photos or options.description:
            query = self._query(state)
            place = self._places(query.features).mean(axis=0) if state.photos else None
            found = [match.id for match in self.retriever.rank(query, options).matches]
            if any(id not in items for id in found):
                items = index.found([*items.ids.tolist(), *found])
        places = self._places(items.features)
        rows = [items.row(id) for id in found]
        return views.collection_map(items, len(index), places, place, rows, self.thumbnails, words)

    def _report(self, state: PageState, words: Words) -> str:
        return report.page(self.retriever.bundle, self.thumbnails, words)

    def _places(self, features: Features) -> np.ndarray:
        bundle = self.retriever.bundle
        gallery_map, attributes = cast("GalleryMap", bundle.map), cast("AttributeModel", bundle.attributes)
        return gallery_map.positions(features, attributes)  # the tab is there only where both are
