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
        is_blind: whether any one of them is enough: methods are then asked for the score that is not told the task.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    is_blind: bool = False

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
        return (np.logical_or if self.is_blind else np.logical_and).reduce(agree)

    def probability(self, agreement: Mapping[str, np.ndarray]) -> np.ndarray:
        """How probable it is that an item is relevant, from the probability that each label agrees.

        Labels are close to independent given the photos.
        """
        by_label = [agreement[name] for name in self.labels]
        if self.is_blind:
            return 1 - np.multiply.reduce([1 - probability for probability in by_label])
        return np.multiply.reduce(by_label)


# The task that methods are not told, and the column of figures of the pairs of both labels at once, as published.
BLIND = "any"

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("type", "Same type", ("type",)),
        Task("color", "Same color", ("color",)),
        Task("both", "Same type and color", ("type", "color")),
        Task(BLIND, "Same type or color", ("type", "color"), is_blind=True),
    )
}
RETRIEVAL_TASKS = tuple(name for name, task in TASKS.items() if not task.is_blind)  # what rankings are evaluated by
