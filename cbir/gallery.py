"""The searched set: ids, labels, features and thumbnails of photos, row by row.

Legend: g photos.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from cbir.errors import BundleError, UnknownNameError
from cbir.features import Features
from cbir.pairs import LABELS


@dataclass(frozen=True)
class Gallery:
    """g photos that can be found.

    Attributes:
        ids: (g,) str, unique.
        labels: for each of `LABELS` (g,) str, "" where unknown.
        features: of the g photos.
        thumbnails: g JPEG files.
        splits: (g,) str: "train" where methods were fitted on the photo, "test" where they were judged, else "".

    Raises:
        BundleError: the columns differ in length, or an id comes twice.
    """

    ids: np.ndarray
    labels: Mapping[str, np.ndarray]
    features: Features
    thumbnails: list[bytes]
    splits: np.ndarray

    def __post_init__(self) -> None:
        """Checks the columns once, so that no later code has to."""
        columns = {
            "features": self.features,
            "thumbnails": self.thumbnails,
            "splits": self.splits,
            **self.labels,
        }
        lengths = {name: len(column) for name, column in columns.items()}
        if set(self.labels) != set(LABELS) or set(lengths.values()) != {len(self.ids)}:
            raise BundleError(f"a gallery needs {len(self.ids)} rows in each of its columns, got {lengths}")
        if not len(self.ids):
            raise BundleError("a gallery needs at least one photo, got none")
        if len(self._rows) != len(self.ids):
            raise BundleError(f"ids must be unique, got {len(self.ids) - len(self._rows)} repeated ones")

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

    def random_id(self, seed: int) -> str:
        """The id that a seed draws: the same seed always draws the same."""
        return str(self.ids[np.random.default_rng(seed).integers(len(self))])
