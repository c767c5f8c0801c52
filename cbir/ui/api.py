"""The endpoints for programs. Their names, parameters and JSON are stable; `README.md` shows how to call them.

The types below are what `gradio_client`'s `view_api()` and the OpenAPI page show.
"""

from dataclasses import dataclass
from typing import TypedDict

from gradio import FileData

from cbir.pairs import TASKS
from cbir.search import DEFAULT_K, DEFAULT_TASK, Retriever, SearchOptions, SearchResult
from cbir.similarity import DEFAULT_METHOD
from cbir.ui.errors import clear_errors
from cbir.ui.handlers import checked_seed, default_method, upload_path
from cbir.ui.thumbnails import Thumbnails


class LabelsJson(TypedDict):
    """Labels of a picture; "" where unknown."""

    type: str
    color: str


class MatchJson(TypedDict):
    """One result; `thumbnail` is an address relative to the app's own."""

    id: str
    rank: int
    score: float
    labels: LabelsJson
    thumbnail: str


class BundleJson(TypedDict):
    """Which bundle answered."""

    title: str | None
    created: str | None


class SearchJson(TypedDict):
    """Answer of a search; `query_id` is null when the query was an upload."""

    query_id: str | None
    method: str
    match: str
    k: int
    seconds: float
    bundle: BundleJson
    matches: list[MatchJson]


class ItemJson(TypedDict):
    """One picture of the gallery."""

    seed: int
    id: str
    labels: LabelsJson
    thumbnail: str


class MethodJson(TypedDict):
    """One method that this bundle can score with."""

    name: str
    label: str
    explanation: str
    is_probability: bool


class MatchChoiceJson(TypedDict):
    """One value of `match`: the labels that should agree."""

    name: str
    label: str
    labels: list[str]


class MethodsJson(TypedDict):
    """What `method` and `match` may be."""

    default: str
    methods: list[MethodJson]
    match: list[MatchChoiceJson]


@dataclass(frozen=True)
class Endpoints:
    """The four endpoints over one retriever."""

    retriever: Retriever
    thumbnails: Thumbnails

    @clear_errors
    def search(
        self, image: FileData, method: str = DEFAULT_METHOD, match: str = DEFAULT_TASK, k: int = DEFAULT_K
    ) -> SearchJson:
        """Search with a photo.

        Args:
            image: the photo; from Python `gradio_client.handle_file(path)`.
            method: a name from /methods.
            match: what should agree: "type", "color" or "both".
            k: number of results, at least 1; more than there are gives all.

        Returns:
            The matches, closest first.
        """
        return self._answer(self.retriever.search(upload_path(image), SearchOptions(method, match, k)), k)

    @clear_errors
    def search_by_id(
        self, id: str, method: str = DEFAULT_METHOD, match: str = DEFAULT_TASK, k: int = DEFAULT_K
    ) -> SearchJson:
        """Search with a picture of the gallery, which is itself never among the matches.

        Args:
            id: id of the picture, as in the matches of a search.
            method: a name from /methods.
            match: what should agree: "type", "color" or "both".
            k: number of results, at least 1; more than there are gives all.

        Returns:
            The matches, closest first.
        """
        return self._answer(self.retriever.search_by_id(id, SearchOptions(method, match, k)), k)

    @clear_errors
    def random(self, seed: int = 0) -> ItemJson:
        """Pick a picture of the gallery; the same seed picks the same one."""
        gallery = self.retriever.gallery
        item_id = gallery.random_id(checked_seed(seed))
        return {
            "seed": seed,
            "id": item_id,
            "labels": gallery.labels_of(gallery.row(item_id)),
            "thumbnail": self.thumbnails.url(item_id),
        }

    @clear_errors
    def methods(self) -> MethodsJson:
        """List what `method` and `match` may be."""
        return {
            "default": default_method(self.retriever),
            "methods": [
                {
                    "name": method.name,
                    "label": method.label,
                    "explanation": method.explanation,
                    "is_probability": method.is_learned,
                }
                for method in self.retriever.methods
            ],
            "match": [{"name": task.name, "label": task.label, "labels": list(task.labels)} for task in TASKS.values()],
        }

    def _answer(self, result: SearchResult, k: int) -> SearchJson:
        manifest = self.retriever.bundle.manifest
        return {
            "query_id": result.query_id,
            "method": result.method,
            "match": result.task,
            "k": k,
            "seconds": round(result.seconds, 6),
            "bundle": {"title": manifest.get("title"), "created": manifest.get("created")},
            "matches": [
                {
                    "id": match.id,
                    "rank": match.rank,
                    "score": match.score,
                    "labels": match.labels,
                    "thumbnail": self.thumbnails.url(match.id),
                }
                for match in result.matches
            ],
        }
