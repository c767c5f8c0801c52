"""What is searched, behind one interface: the gallery in this process, or a vector database (`cbir.milvus`).

An index may hold more than fits into memory. So nobody asks it for everything: it counts, gives few photos at a time,
and candidates for a query, which are then scored and ranked like a gallery of their own.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cbir.bundle import Bundle
from cbir.features import Features
from cbir.gallery import Gallery, check_filters
from cbir.guesses import guess_labels
from cbir.labels import LABELS, Task
from cbir.options import SearchOptions
from cbir.similarity import EVEN_WEIGHT
from cbir.words import Wanted


@dataclass(frozen=True)
class Query:
    """Photos that are searched with, ready to be scored; none where words alone are.

    Attributes:
        features: of the q photos.
        ids: (q,), each photo's id in the index; None for a photo from outside.
        labels: for each of `LABELS` (q,) str, "" where unknown, as of photos from outside.
        seconds: time taken to read and embed the photos.
    """

    features: Features
    ids: tuple[str | None, ...]
    labels: Mapping[str, np.ndarray]
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What a search does: its options, checked and read.

    Attributes:
        options: with the name of the method.
        task: what photos are scored for.
        wanted: what words and color ask for.
        without_colors: colors that most probably no item should have.
    """

    options: SearchOptions
    task: Task
    wanted: Wanted
    without_colors: tuple[str, ...] = ()

    @property
    def weight(self) -> float:
        """Of the color against the type, from 0 to 1."""
        return EVEN_WEIGHT if self.options.weight is None else self.options.weight


@dataclass(frozen=True)
class Shortlist:
    """Candidates for a query.

    Attributes:
        gallery: the candidates, and the items that the query is made of.
        is_whole: whether nothing else could be among the matches; else some may be missing.
    """

    gallery: Gallery
    is_whole: bool


class Index(ABC):
    """Photos that can be found. Safe to share between threads."""

    @property
    @abstractmethod
    def gallery(self) -> Gallery | None:
        """All of it, where it is in this process; None where it is not."""

    @property
    @abstractmethod
    def has_guesses(self) -> bool:
        """Whether photos without labels have guesses."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def classes(self, label: str) -> list[str]:
        """As `Gallery.classes`."""

    @abstractmethod
    def counts(
        self, types: Sequence[str] = (), colors: Sequence[str] = (), *, guessed: bool = False
    ) -> dict[str, dict[str, int]]:
        """As `Gallery.counts`."""

    @abstractmethod
    def count(self, types: Sequence[str], colors: Sequence[str]) -> int:
        """Number of photos that the filters leave; errors as in `check`."""

    @abstractmethod
    def items(self, ids: Sequence[str]) -> Gallery:
        """A few photos, in the order given.

        Raises:
            UnknownNameError: there is no such photo.
        """

    @abstractmethod
    def found(self, ids: Sequence[str]) -> Gallery:
        """Those of these photos that are there, each once, in the order given."""

    @abstractmethod
    def sample(self, seed: int, n: int, types: Sequence[str] = (), colors: Sequence[str] = ()) -> Gallery:
        """At most n of the photos that the filters leave; the same seed gives the same, in the same order.

        Raises:
            UnknownNameError, CbirError: as in `check`.
        """

    @abstractmethod
    def shortlist(self, query: Query, plan: Plan) -> Shortlist:
        """Candidates for a query: at least as many as are asked for, as far as there are so many."""

    def check(self, types: Sequence[str], colors: Sequence[str]) -> None:
        """Checks filters; errors as in `cbir.gallery.check_filters`."""
        check_filters(self.classes, types, colors)

    def random_id(self, seed: int) -> str:
        """The id that a seed draws: the same seed always draws the same."""
        return str(self.sample(seed, 1).ids[0])


class GalleryIndex(Index):
    """A gallery in this process."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery

    @property
    def gallery(self) -> Gallery:
        """The gallery itself."""
        return self._gallery

    @property
    def has_guesses(self) -> bool:
        """As `Index.has_guesses`."""
        return self._gallery.guesses is not None

    def __len__(self) -> int:
        return len(self._gallery)

    def classes(self, label: str) -> list[str]:
        """As `Gallery.classes`."""
        return self._gallery.classes(label)

    def counts(
        self, types: Sequence[str] = (), colors: Sequence[str] = (), *, guessed: bool = False
    ) -> dict[str, dict[str, int]]:
        """As `Gallery.counts`."""
        return self._gallery.counts(types, colors, guessed=guessed)

    def count(self, types: Sequence[str], colors: Sequence[str]) -> int:
        """As `Index.count`."""
        return int(self._gallery.selection(types, colors).sum())

    def items(self, ids: Sequence[str]) -> Gallery:
        """As `Index.items`."""
        return self._gallery.take(np.array([self._gallery.row(id) for id in ids], int))

    def found(self, ids: Sequence[str]) -> Gallery:
        """As `Index.found`."""
        return self.items([id for id in dict.fromkeys(ids) if id in self._gallery])

    def sample(self, seed: int, n: int, types: Sequence[str] = (), colors: Sequence[str] = ()) -> Gallery:
        """Of each pair of labels one, then of each a second, and so on: see `Gallery.sample`."""
        return self._gallery.take(self._gallery.sample(seed, types, colors)[:n])

    def random_id(self, seed: int) -> str:
        """As `Gallery.random_id`."""
        return self._gallery.random_id(seed)

    def shortlist(self, query: Query, plan: Plan) -> Shortlist:
        """All of it."""
        return Shortlist(self._gallery, True)


def with_guesses(bundle: Bundle, gallery: Gallery) -> Gallery:
    """Photos by the backbone of a bundle, with guesses where labels are unknown and the bundle can tell."""
    if bundle.attributes is None or all((gallery.labels[name] != "").all() for name in LABELS):
        return gallery
    return replace(gallery, guesses=guess_labels(gallery.features, bundle.attributes, bundle.familiarity))
