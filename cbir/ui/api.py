"""The endpoints for programs. Their names, parameters and JSON are stable; `README.md` shows how to call them.

The types below and in `cbir.export` are what `gradio_client`'s `view_api()`, the OpenAPI page and MCP clients show; MCP
clients read the docstrings too.
"""

import functools
import inspect
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, TypedDict, cast, get_args, get_origin

from gradio import FileData

from cbir.compare import compare
from cbir.errors import CbirError
from cbir.explain import HeatMap, explain
from cbir.export import (
    ComparisonJson,
    GuessesJson,
    LabelsJson,
    MatchJson,
    ResultJson,
    comparison_json,
    guesses_json,
    result_json,
)
from cbir.labels import TASKS
from cbir.options import DEFAULT_OPTIONS, OPTIONS, Option, SearchOptions
from cbir.ranking import SearchResult
from cbir.search import Crop, Photo, Retriever
from cbir.ui.errors import show_errors
from cbir.ui.heat import data_uri, overlay
from cbir.ui.inputs import (
    checked_batch,
    checked_ids,
    checked_names,
    checked_options,
    checked_seed,
    checked_text,
    photo_at,
    photo_source,
)
from cbir.ui.limits import MAX_K_KEPT, RESULTS_KEPT
from cbir.ui.log import compared, searched
from cbir.ui.texts import Words
from cbir.ui.thumbnails import Thumbnails
from cbir.version import API_VERSION

# Options that an endpoint takes, where it does not take all: /compare searches by every method.
TAKEN = {
    "compare": [option for option in OPTIONS if option.name != "method"],
    "facets": [option for option in OPTIONS if option.label],
}
DRAWN_BELOW = 2**31  # seeds that the server draws
MAX_NAMED = 100  # values of a label that the schema of an endpoint names


_SEARCHES = ("search", "search_by_id", "search_together", "search_many", "compare", "explain")
ENDPOINTS = (*_SEARCHES, "facets", "random", "methods")


class FoundJson(MatchJson):
    """One result; `thumbnail` is an address relative to the app's own."""

    thumbnail: str


class SearchJson(ResultJson):
    """Answer of a search; `query_id` is null when the query was a photo, or several."""

    matches: list[FoundJson]  # type: ignore[misc]  # each match with its thumbnail


class BatchItemJson(TypedDict):
    """What one photo of a batch gave: either a result, or what was wrong with it in one line."""

    result: SearchJson | None
    error: str | None


class CountsJson(TypedDict):
    """Number of pictures by type and by color."""

    type: dict[str, int]
    color: dict[str, int]


class FacetsJson(CountsJson):
    """Number of pictures by type and by color; `guessed` tells how many of these are guesses, not known labels."""

    guessed: CountsJson


class EvidenceJson(TypedDict):
    """One label: the most probable class of query and item, and the probability that both show the same."""

    query: str
    query_probability: float
    item: str
    item_probability: float
    agreement: float


class HeatMapJson(TypedDict):
    """What regions add to the likeness.

    `values` has a row of numbers for each row of regions; `color` is what the colors of the whole photo add; `box` is
    the part of the photo that the regions cover: left, top, right, bottom as fractions; `picture` is a data: address of
    the photo with the regions in orange.
    """

    values: list[list[float]]
    color: float
    box: list[float]
    picture: str


class ExplanationJson(TypedDict):
    """Why an item was found; maps are null where the backbone cannot make any, `is_exact` says whether they add up.

    `probability`, null where it cannot be told, is that of the same type and color.
    """

    id: str
    query_id: str | None
    sentence: str
    evidence: dict[str, EvidenceJson]
    probability: float | None
    likeness: float
    is_same_picture: bool
    query_map: HeatMapJson | None
    item_map: HeatMapJson | None
    is_exact: bool


class ItemJson(TypedDict):
    """One picture of the gallery."""

    seed: int
    id: str
    labels: LabelsJson
    guesses: GuessesJson
    thumbnail: str


class MethodJson(TypedDict):
    """One method that this bundle can score with."""

    name: str
    label: str
    explanation: str
    is_probability: bool


class MatchChoiceJson(TypedDict):
    """One value of `match`: the labels that should agree; where methods are not told which, any one of them."""

    name: str
    label: str
    labels: list[str]
    is_blind: bool


class MethodsJson(TypedDict):
    """What `method` and `match` may be, and the version of the endpoints."""

    api_version: str
    default: str
    methods: list[MethodJson]
    match: list[MatchChoiceJson]


@dataclass(frozen=True)
class Endpoints:
    """The endpoints over one retriever. Where a method takes `options`, its endpoint takes each of them by itself."""

    retriever: Retriever
    thumbnails: Thumbnails

    def published(self, name: str) -> Callable[..., Any]:
        """The function that Gradio serves under that name, with the signature and docstring that programs see."""
        return show_errors(_checked(_spelled_out(getattr(self, name), self.retriever)))

    def search(
        self,
        image: FileData | None = None,
        image_url: str = "",
        options: SearchOptions = DEFAULT_OPTIONS,
        crop: list[float] | None = None,
    ) -> SearchJson:
        """Finds the garments of the catalogue that look most like the one in a photo, or that fit words and a color.

        Args:
            image: the photo: an uploaded file (from Python `gradio_client.handle_file(path)`), an address, a data: URI.
                Without one, words and color alone are searched for.
            image_url: address of the photo instead, http or https, on a public host.
            options: what to do.
            crop: the part of the photo to search with: left, top, right, bottom as fractions of its width and height.

        Returns:
            The matches, closest first.
        """
        self.retriever.check(options)
        if options.description and not (image or image_url or crop):
            return self._answer(self.retriever.search(options=options))
        photo, name = self._photo(image, image_url)
        return self._answer(self.retriever.search(photo, options, crop=_crop(crop)), name)

    def search_by_id(self, id: str, options: SearchOptions = DEFAULT_OPTIONS) -> SearchJson:
        """Finds the garments that look most like a picture of the catalogue, which is itself never among the matches.

        Args:
            id: id of the picture, as in the matches of a search or from /random.
            options: what to do.

        Returns:
            The matches, closest first.
        """
        start = time.perf_counter()
        search = self._kept_by_id if options.k <= MAX_K_KEPT else self.retriever.search_by_id
        return self._answer(replace(search(id, options), seconds=time.perf_counter() - start))

    def search_together(
        self,
        images: list[FileData] | None = None,
        ids: list[str] | None = None,
        options: SearchOptions = DEFAULT_OPTIONS,
    ) -> SearchJson:
        """Finds the garments that look most like several pictures at once: scores are the mean over these.

        Args:
            images: photos, as in /search, of one garment or of several that the result should resemble.
            ids: ids of pictures of the catalogue to search with as well.
            options: what to do.

        Returns:
            The matches, closest first.
        """
        self.retriever.check(options)
        photos: list[Photo] = [photo_source(image, self.thumbnails)[0] for image in checked_batch(images or [])]
        return self._answer(self.retriever.search(photos, options, ids=ids or []))

    def search_many(self, images: list[FileData], options: SearchOptions = DEFAULT_OPTIONS) -> list[BatchItemJson]:
        """Searches with each of several photos by itself.

        Args:
            images: at most 64 photos, as in /search.
            options: what to do.

        Returns:
            For each photo, in the order given, its matches, or what was wrong with it.
        """
        self.retriever.check(options)
        answers: list[BatchItemJson] = []
        for image in checked_batch(images):
            try:
                photo, name = self._photo(image, "")
                answers.append({"result": self._answer(self.retriever.search(photo, options), name), "error": None})
            except CbirError as error:
                answers.append({"result": None, "error": str(error)})
        return answers

    def facets(self, options: SearchOptions = DEFAULT_OPTIONS) -> FacetsJson:
        """Counts the pictures of each type and color: types among pictures of these colors, colors among these types.

        Where labels are unknown, guesses count; "unsure" is one of them.

        Args:
            options: what to do.

        Returns:
            How many pictures a search would have to choose from.
        """
        counts, guessed = self.retriever.facets(options), self.retriever.facets(options, guessed=True)
        return cast("FacetsJson", {**counts, "guessed": guessed})

    def compare(
        self,
        image: FileData | None = None,
        image_url: str = "",
        id: str = "",
        options: SearchOptions = DEFAULT_OPTIONS,
        crop: list[float] | None = None,
    ) -> ComparisonJson:
        """Searches by every method at once, and tells how far the methods agree with each other and with the labels.

        Args:
            image: the photo: an uploaded file (from Python `gradio_client.handle_file(path)`), an address, a data: URI.
            image_url: address of the photo instead, http or https, on a public host.
            id: id of a picture of the catalogue to search with instead.
            options: what to do.
            crop: the part of the photo to search with: left, top, right, bottom as fractions of its width and height.

        Returns:
            The matches of each method, and the agreement of every two.
        """
        photos: list[Photo] = []
        name = None
        if image or image_url or not id:
            photo, name = self._photo(image, image_url)
            photos = [photo]
        query = self.retriever.query(photos, ids=[id] if id else [], crop=_crop(crop))
        comparison = compare(self.retriever, query, options)
        compared(comparison)
        return comparison_json(comparison, self.retriever.bundle, name)

    def explain(
        self,
        id: str,
        image: FileData | None = None,
        image_url: str = "",
        query_id: str = "",
        crop: list[float] | None = None,
    ) -> ExplanationJson:
        """Tells why a picture of the catalogue is found for a query: in words, as probabilities, and on both photos.

        Args:
            id: id of the picture that was found.
            image: the photo that was searched with, as in /search.
            image_url: address of the photo instead, http or https, on a public host.
            query_id: id of the picture of the catalogue that was searched with instead.
            crop: the part of the photo that was searched with: left, top, right, bottom as fractions.

        Returns:
            The evidence, in words and numbers.
        """
        photo = self._photo(image, image_url)[0] if image or image_url else None
        found = explain(self.retriever, id, photo, query_id=query_id, crop=_crop(crop))
        words = Words()
        return {
            "id": id,
            "query_id": query_id or None,
            "sentence": " ".join(words.because(label, evidence) for label, evidence in found.evidence.items()),
            "evidence": {label: cast("EvidenceJson", asdict(evidence)) for label, evidence in found.evidence.items()},
            "probability": found.probability,
            "likeness": found.likeness,
            "is_same_picture": found.is_same_picture,
            "query_map": _heat_map(found.query_map),
            "item_map": _heat_map(found.item_map),
            "is_exact": found.is_exact,
        }

    def random(self, seed: int | None = None) -> ItemJson:
        """Picks a picture of the catalogue at random.

        Args:
            seed: a whole number of at least 0; the same one picks the same picture. Without it, one is drawn.

        Returns:
            The picture, and the seed.
        """
        index = self.retriever.index
        seed = secrets.randbelow(DRAWN_BELOW) if seed is None else seed
        item_id = index.random_id(checked_seed(seed))
        item = index.items([item_id])
        return {
            "seed": seed,
            "id": item_id,
            "labels": cast("LabelsJson", item.labels_of(0)),
            "guesses": guesses_json(item.guesses_of(0)),
            "thumbnail": self.thumbnails.url(item_id),
        }

    def methods(self) -> MethodsJson:
        """Lists what `method` and `match` of a search may be, with a line that explains each method.

        Returns:
            The methods, the values of `match`, and the version of the endpoints.
        """
        return {
            "api_version": API_VERSION,
            "default": self.retriever.bundle.default_method,
            "methods": [
                {
                    "name": method.name,
                    "label": method.title,
                    "explanation": method.explanation,
                    "is_probability": method.is_probability,
                }
                for method in self.retriever.methods
            ],
            "match": [
                {"name": task.name, "label": task.title, "labels": list(task.labels), "is_blind": task.is_blind}
                for task in TASKS.values()
            ],
        }

    @cached_property
    def _kept_by_id(self) -> Callable[[str, SearchOptions], SearchResult]:
        """As `Retriever.search_by_id`; the last results are kept."""
        return functools.lru_cache(maxsize=RESULTS_KEPT)(self.retriever.search_by_id)

    def _answer(self, result: SearchResult, name: str | None = None) -> SearchJson:
        searched(result)
        answer = result_json(result, self.retriever.bundle, name)
        matches = [{**match, "thumbnail": self.thumbnails.url(match["id"])} for match in answer["matches"]]
        return cast("SearchJson", {**answer, "matches": matches})

    def _photo(self, image: object, image_url: str) -> tuple[Photo, str | None]:
        """The photo of a call, and what it is called."""
        if image and image_url:
            raise CbirError("expected a photo or its address, got both: give one")
        return photo_at(image_url, self.thumbnails) if image_url else photo_source(image, self.thumbnails)


def _checked(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """An endpoint whose texts and lists are of the annotated types, and not too long, when it is called."""
    signature = inspect.signature(endpoint)

    @functools.wraps(endpoint)
    def checked(*args: object, **kwargs: object) -> object:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        for name, value in given.arguments.items():
            parameter = signature.parameters[name]
            if value is None and parameter.default is not parameter.empty:  # a program's way to give none
                given.arguments[name] = parameter.default
            elif _is_text(parameter.annotation):
                checked_text(name, value)
            elif value is not None and any(map(_is_names, (parameter.annotation, *get_args(parameter.annotation)))):
                checked_ids(value) if name == "ids" else checked_names(name, value)
        return endpoint(*given.args, **given.kwargs)

    return checked


def _is_text(annotation: object) -> bool:
    return annotation is str or get_origin(annotation) is Literal


def _is_names(annotation: object) -> bool:
    return get_origin(annotation) is list and _is_text(get_args(annotation)[0])


def _spelled_out(endpoint: Callable[..., Any], retriever: Retriever) -> Callable[..., Any]:
    """An endpoint with a parameter for each search option in place of its `options`."""
    signature = inspect.signature(endpoint)
    if "options" not in signature.parameters:
        return endpoint
    options = TAKEN.get(endpoint.__name__, OPTIONS)
    parameters = {
        parameter.name: parameter
        for given in signature.parameters.values()
        for parameter in ([_parameter(o, retriever) for o in options] if given.name == "options" else [given])
    }
    signature = signature.replace(parameters=list(parameters.values()))

    def spelled_out(*args: object, **kwargs: object) -> object:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        values = dict(given.arguments)
        asked = SearchOptions.of({option.parameter: values.pop(option.parameter) for option in options})
        return endpoint(**values, options=checked_options(asked))

    documented = "".join(f"    {option.parameter}: {_described(option, retriever)}\n" for option in options)
    annotations = {parameter.name: parameter.annotation for parameter in parameters.values()}
    spelled_out.__name__, spelled_out.__qualname__ = endpoint.__name__, endpoint.__qualname__
    spelled_out.__doc__ = (inspect.getdoc(endpoint) or "").replace("    options: what to do.\n", documented)
    spelled_out.__annotations__ = annotations | {"return": signature.return_annotation}
    spelled_out.__signature__ = signature  # type: ignore[attr-defined]
    return spelled_out


def _parameter(option: Option, retriever: Retriever) -> inspect.Parameter:
    choices = _choices(option, retriever)
    named: Any = Literal[*choices] if choices else str
    type_ = list[named] | None if option.is_list else named if choices else option.type
    default = retriever.bundle.default_method if option.name == "method" else None if option.is_list else option.default
    return inspect.Parameter(
        option.parameter, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=type_
    )


def _described(option: Option, retriever: Retriever) -> str:
    choices = _choices(option, retriever)
    values = ", as /facets lists them" if option.label else f": {', '.join(choices)}" if choices else ""
    return f"{option.help}{values}."


def _choices(option: Option, retriever: Retriever) -> tuple[str, ...]:
    """The names that an option may take; none where it takes others, or more than a schema should list."""
    if option.name == "method":
        return tuple(method.name for method in retriever.methods)
    if option.label:
        names = tuple(retriever.facets()[option.label])
        return names if len(names) <= MAX_NAMED else ()
    return option.choices


def _crop(edges: list[float] | None) -> Crop | None:
    return None if edges is None or edges == [] else cast("Crop", edges)  # whether it is one, `crop_image` says


def _heat_map(heat: HeatMap | None) -> HeatMapJson | None:
    if heat is None:
        return None
    values = [[round(float(value), 6) for value in row] for row in heat.values]
    return {"values": values, "color": heat.color, "box": list(heat.box), "picture": data_uri(overlay(heat))}
