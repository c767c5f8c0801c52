"""The vocabulary: what photos are labelled with, and what may be asked to match.

Legend: q queries, g gallery items.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

LABELS = ("type", "color")


@dataclass(frozen=True)
class Task:
    """What must agree for a photo to be relevant.

    Attributes:
        name: what `--match` and the endpoints take.
        title: what people read.
        labels: the label columns that must agree.
    """

    name: str
    title: str
    labels: tuple[str, ...]

    def relevance(
        self,
        queries: Mapping[str, np.ndarray],
        gallery: Mapping[str, np.ndarray],
        rows: slice | np.ndarray = slice(None),
    ) -> np.ndarray:
        """Which gallery items are relevant to which queries.

        Args:
            queries: label columns, each (q,) str.
            gallery: label columns, each (g,) str.
            rows: the queries asked for, all by default.

        Returns:
            (q, g) bool. An unknown label ("") agrees with nothing.
        """
        agree = [
            (queries[name][rows][:, None] == gallery[name][None]) & (gallery[name] != "")[None] for name in self.labels
        ]
        return np.logical_and.reduce(agree)


TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("type", "Same type", ("type",)),
        Task("color", "Same color", ("color",)),
        Task("both", "Same type and color", ("type", "color")),
    )
}

# The key of what was fitted or evaluated on the pairs of all tasks at once, as published: it is not told which task.
POOLED = "pooled"
