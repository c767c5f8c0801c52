"""The searched set: ids, labels, features and thumbnails of photos, row by row.

What a label is *shown as* is the label where it is known, and otherwise, in a gallery with guesses, the guess. Filters
and counts go by what is shown; evaluation and whatever calls itself labels, by known labels alone.

Legend: g photos.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cbir.columns import join_bytes, take_bytes
from cbir.errors import BundleError, CbirError, UnknownNameError
from cbir.features import Features
from cbir.features.backbone import Backbone
from cbir.features.index import Source, index_photos
from cbir.guesses import UNSURE, Guess, Guesses
from cbir.labels import LABELS

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Gallery:
    """g photos that can be found.

    Attributes:
        ids: (g,) str, unique.
        labels: for each of `LABELS` (g,) str, "" where unknown.
        features: of the g photos.
        thumbnails: g JPEG files, in memory or in a file (`cbir.columns`).
        splits: (g,) str: "train" where methods were fitted on the photo, "test" where they were evaluated, else "".
        guesses: of all g photos, to be shown where a label is unknown; None for no guesses.

    Raises:
        BundleError: the columns differ in length, or an id comes twice.
    """

    ids: np.ndarray
    labels: Mapping[str, np.ndarray]
    features: Features
    thumbnails: Sequence[bytes]
    splits: np.ndarray
    guesses: Guesses | None = None

    def __post_init__(self) -> None:
        """Checks the columns once, so that no later code has to."""
        columns: dict[str, Sized] = {
            "features": self.features,
            "thumbnails": self.thumbnails,
            "splits": self.splits,
            **self.labels,
        }
        lengths = {name: len(column) for name, column in columns.items()}
        if set(self.labels) != set(LABELS) or set(lengths.values()) != {len(self.ids)}:
            raise BundleError(
                "a gallery needs {n} rows in each of its columns, got {lengths}", n=len(self.ids), lengths=lengths
            )
        if "" in self._rows:
            raise BundleError("each photo of a gallery needs an id, got an empty one")
        if unknown := set(np.unique(self.splits).tolist()) - {*SPLITS, ""}:
            raise BundleError(
                "photos of a gallery are of the split {known} or none, got {got!r}",
                **{"known": " or ".join(SPLITS), "got": min(unknown)},
            )
        if len(self._rows) != len(self.ids):
            raise BundleError("ids must be unique, got {n} repeated ones", n=len(self.ids) - len(self._rows))

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self.ids.tolist())}

    @cached_property
    def id_order(self) -> np.ndarray:
        """(g,) int, place of each id in alphabetical order: breaks ties between scores."""
        order = np.empty(len(self), int)
        order[np.argsort(self.ids)] = np.arange(len(self))
        return order

    def __contains__(self, id: str) -> bool:
        """Whether a photo has this id."""
        return id in self._rows

    def take(self, rows: np.ndarray) -> "Gallery":
        """The photos of some rows: integer or boolean indices of numpy."""
        rows = np.arange(len(self))[rows]
        labels = {name: column[rows] for name, column in self.labels.items()}
        thumbnails = take_bytes(self.thumbnails, rows)
        guesses = self.guesses and self.guesses.take(rows)
        return Gallery(self.ids[rows], labels, self.features.take(rows), thumbnails, self.splits[rows], guesses)

    @staticmethod
    def concatenate(parts: "Sequence[Gallery]") -> "Gallery":
        """Joins at least one gallery, in order; guesses are left behind.

        Raises:
            BundleError: an id comes twice.
        """
        return Gallery(
            np.concatenate([part.ids for part in parts]),
            {name: np.concatenate([part.labels[name] for part in parts]) for name in LABELS},
            Features.concatenate([part.features for part in parts]),
            join_bytes([part.thumbnails for part in parts]),
            np.concatenate([part.splits for part in parts]),
        )

    def row(self, id: str) -> int:
        """The row of an id.

        Raises:
            UnknownNameError: no photo has it.
        """
        if id not in self._rows:
            raise UnknownNameError("id", id, self._rows)
        return self._rows[id]

    def labels_of(self, row: int) -> dict[str, str]:
        """The labels of a photo, "" where unknown."""
        return {name: str(self.labels[name][row]) for name in LABELS}

    def guesses_of(self, row: int) -> dict[str, Guess]:
        """The guesses of a photo, for those labels that are unknown and guessed."""
        return {name: self.guesses.of(row, name) for name in LABELS if self.guesses and not self.labels[name][row]}

    def is_guessed(self, label: str) -> np.ndarray:
        """(g,) bool, whether the label is shown as a guess."""
        return self.labels[label] == "" if self.guesses is not None else np.zeros(len(self), bool)

    @cached_property
    def shown(self) -> dict[str, np.ndarray]:
        """For each of `LABELS` (g,) str, what it is shown as; "" where it is neither known nor guessed."""
        if self.guesses is None:
            return dict(self.labels)
        return {name: np.where(self.labels[name] != "", self.labels[name], self.guesses.shown(name)) for name in LABELS}

    def probable(self, label: str) -> np.ndarray:
        """(g,) str, the label, the most probable where it is unknown; "" where it is not guessed either."""
        known = self.labels[label]
        return known if self.guesses is None else np.where(known != "", known, self.guesses.values[label])

    def classes(self, label: str) -> list[str]:
        """What a label is shown as here, in alphabetical order, `UNSURE` last; without "" for unknown."""
        return list(self._classes[label])

    @cached_property
    def _classes(self) -> dict[str, list[str]]:
        values = {label: np.unique(shown).tolist() for label, shown in self.shown.items()}
        return {label: sorted(filter(None, some), key=lambda value: value == UNSURE) for label, some in values.items()}

    @cached_property
    def _places(self) -> dict[str, np.ndarray]:
        """For each of `LABELS` (g,) int, the place in `classes` of what is shown; their number where nothing is."""
        places = {}
        for label, shown in self.shown.items():
            values, classes = np.unique(shown), self._classes[label]
            place = {value: place for place, value in enumerate(classes)}
            in_classes = np.array([place.get(value, len(classes)) for value in values.tolist()], np.int32)
            places[label] = in_classes[np.searchsorted(values, shown)]
        return places

    def selection(self, types: Sequence[str] = (), colors: Sequence[str] = ()) -> np.ndarray:
        """Which photos are shown as one of these types and as one of these colors; empty for any.

        Returns:
            (g,) bool.

        Raises:
            UnknownNameError: no photo is shown so.
            CbirError: no photo has a known label, or a guess of it.
        """
        check_filters(self.classes, types, colors)
        return self.shown_as(types, colors)

    def shown_as(self, types: Sequence[str], colors: Sequence[str]) -> np.ndarray:
        """As `selection`, whatever is asked for."""
        return self._having("type", types) & self._having("color", colors)

    def counts(
        self, types: Sequence[str] = (), colors: Sequence[str] = (), *, guessed: bool = False
    ) -> dict[str, dict[str, int]]:
        """Number of photos shown as each type and as each color, as shops show them beside their filters.

        Types are counted among the photos of these colors, colors among those of these types: a number says how many
        photos there would be to see with that value alone chosen. Photos whose label is neither known nor guessed are
        not counted.

        Args:
            types: that are chosen; empty for any.
            colors: that are chosen; empty for any.
            guessed: count only the photos whose label is a guess.

        Raises:
            UnknownNameError, CbirError: as in `selection`.
        """
        check_filters(self.classes, types, colors)
        among = {"type": self._having("color", colors), "color": self._having("type", types)}
        if guessed:
            among = {label: rows & self.is_guessed(label) for label, rows in among.items()}
        counts = {}
        for label, rows in among.items():
            numbers = np.bincount(self._places[label][rows], minlength=len(self._classes[label]))
            counts[label] = dict(zip(self._classes[label], numbers.tolist(), strict=False))  # the last are of no class
        return counts

    def _having(self, label: str, values: Sequence[str]) -> np.ndarray:
        if not values:
            return np.ones(len(self), bool)
        is_wanted = [value in values for value in self._classes[label]]
        return np.array([*is_wanted, False])[self._places[label]]

    def sample(self, seed: int, types: Sequence[str] = (), colors: Sequence[str] = ()) -> np.ndarray:
        """What the filters leave, shuffled, with every class among the first.

        Args:
            seed: the same one always gives the same order.
            types: as in `selection`.
            colors: as in `selection`.

        Returns:
            (n,) int rows: of each pair that labels are shown as one, then of each a second, and so on.
        """
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(self.selection(types, colors)))
        classes = np.zeros(len(rows), np.int64)
        for name in LABELS:
            classes = classes * (len(self._classes[name]) + 1) + self._places[name][rows]
        order = np.argsort(classes, kind="stable")
        starts = np.searchsorted(classes[order], classes[order])
        turn = np.empty(len(rows), int)
        turn[order] = np.arange(len(rows)) - starts
        return rows[np.argsort(turn, kind="stable")]

    def random_id(self, seed: int) -> str:
        """The id that a seed draws: the same seed always draws the same."""
        return str(self.ids[np.random.default_rng(seed).integers(len(self))])


def check_filters(classes: Callable[[str], list[str]], types: Sequence[str], colors: Sequence[str]) -> None:
    """Checks what photos should be shown as.

    Args:
        classes: gives what a label is shown as.
        types: that are chosen.
        colors: that are chosen.

    Raises:
        UnknownNameError: no photo is shown so.
        CbirError: no photo has a known label, or a guess of it.
    """
    for label, values in (("type", types), ("color", colors)):
        known = classes(label) if values else []
        if values and not known:
            raise CbirError(
                "expected no {label} to choose by, got {value!r}: no photo here has a known {label}",
                label=label,
                value=values[0],
            )
        for value in values:
            if value not in known:
                raise UnknownNameError(label, value, known)


def index_gallery(
    ids: Sequence[str], sources: Iterable[Source], labels: Mapping[str, Sequence[str]], backbone: Backbone
) -> tuple[Gallery, dict[str, str]]:
    """Makes a gallery of photos: reads and embeds them, with a progress bar.

    Args:
        ids: of n photos, unique.
        sources: for each photo the file's bytes or its path, read one after the other.
        labels: for each of `LABELS` n values, "" where unknown.
        backbone: embeds them.

    Returns:
        The gallery of the photos that could be read, in the order given and in no split yet, and for every other photo
        its id and why it could not be read.

    Raises:
        NoPhotosError: none of the photos can be read.
    """
    indexed = index_photos(zip(ids, sources, strict=True), len(ids), backbone)
    rows = {id: row for row, id in enumerate(ids)}
    kept = [rows[id] for id in indexed.ids.tolist()]
    columns = {name: np.array(labels[name], dtype=str)[kept] for name in LABELS}
    splits = np.full(len(kept), "", dtype="<U5")
    return Gallery(indexed.ids, columns, indexed.features, indexed.thumbnails, splits), indexed.unreadable


def report_unreadable(unreadable: Mapping[str, str], source: str) -> None:
    """Prints how many photos were left out, and each with the reason."""
    if unreadable:
        print(f"{len(unreadable)} photos of {source} cannot be read and are left out:")
        for id, reason in unreadable.items():
            print(f"  {id}: {reason}")
