"""Times of several ways to do one thing, taken in turns, so that whatever else the machine does meets all of them."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tqdm import tqdm

from train.evaluation.markdown import markdown_table


@dataclass(frozen=True)
class Table:
    """One table of results.

    Attributes:
        title: what it shows, with sizes and threads.
        columns: headings.
        rows: cells as text.
        figures: the same and more, as JSON.
        text: the table in Markdown, in place of columns and rows.
    """

    title: str
    columns: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)
    text: str = ""

    def markdown(self) -> str:
        """Title and table."""
        return f"{self.title}:\n\n{self.text or markdown_table(self.columns, self.rows)}"


def in_turns(works: Mapping[str, Callable[[], object]], repeats: int, seconds: float, name: str) -> dict[str, float]:
    """Median wall time of each piece of work.

    Args:
        works: by name.
        repeats: rounds, each of which does every work once; one more at first, that does not count.
        seconds: no new round begins after so many, but three are done.
        name: of the progress bar.

    Returns:
        Milliseconds by name.
    """
    times: dict[str, list[float]] = {key: [] for key in works}
    begun = time.perf_counter()
    with tqdm(total=repeats + 1, desc=name, unit="round") as bar:
        for number in range(repeats + 1):
            if number > 3 and time.perf_counter() - begun > seconds:
                break
            for key, work in works.items():
                start = time.perf_counter()
                work()
                if number:
                    times[key].append(1000 * (time.perf_counter() - start))
            bar.update()
    return {key: statistics.median(values) for key, values in times.items()}


def milliseconds(value: float) -> str:
    """A time as a cell."""
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def ratio(value: float, other: float) -> str:
    """How many times a time is another."""
    return f"{value / other:.2f}"
