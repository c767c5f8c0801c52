"""Charts as plain SVG in the theme's colors, readable in light and dark; drawn by `templates/charts.html`.

Lines differ by dashes too, not by color alone. Here is where their marks stand, in units of the drawing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cbir.report import Curve, Reliability
from cbir.report_tables import pairs_counted
from cbir.ui.texts import Words

WIDTH, HEIGHT = 300, 190
LEFT, RIGHT, TOP, BOTTOM = 50, 8, 8, 34  # margins
DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "1 2")


@dataclass(frozen=True)
class Line:
    """A line through (x, y) points, in the style of its number."""

    number: int
    points: tuple[tuple[float, float], ...]

    @property
    def dashes(self) -> str:
        """How it is broken."""
        return DASHES[self.number % len(DASHES)]


@dataclass(frozen=True)
class Bar:
    """A bar of a series ("same" or "different")."""

    series: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Point:
    """A disk; the title says what it stands for."""

    x: float
    y: float
    radius: float
    title: str


@dataclass(frozen=True)
class Guide:
    """A line to compare with, from (x, y) to (x, y)."""

    start: tuple[float, float]
    end: tuple[float, float]


@dataclass(frozen=True)
class Axes:
    """What the axes mean, and the values at their ends."""

    x_title: str
    y_title: str
    x_range: tuple[float, float] = (0.0, 1.0)
    y_range: tuple[float, float] = (0.0, 1.0)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Where a point of the data stands in the drawing."""
        across, up = ((v - low) / (high - low) for v, (low, high) in ((x, self.x_range), (y, self.y_range)))
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


@dataclass(frozen=True)
class Chart:
    """A chart; marks are drawn in the order of their fields.

    Attributes:
        title: above it; may be empty.
        axes: of it.
        x_ticks: texts below the start, middle and end of the x axis.
        y_ticks: beside the y axis, from below.
        bars, guides, points, lines: marks.
    """

    title: str
    axes: Axes
    x_ticks: tuple[str, ...]
    y_ticks: tuple[str, ...]
    bars: tuple[Bar, ...] = ()
    guides: tuple[Guide, ...] = ()
    points: tuple[Point, ...] = ()
    lines: tuple[Line, ...] = ()

    @property
    def label(self) -> str:
        """What a screen reader says."""
        return " – ".join(filter(None, [self.title, self.axes.x_title, self.axes.y_title]))


def precision_recall(curves: Sequence[Curve], title: str, words: Words) -> Chart:
    """The precision-recall curves of methods, one line each."""
    axes = Axes(words("report_recall"), words("report_precision"))
    lines = tuple(
        Line(i, tuple(axes.place(x, y) for x, y in zip(curve.recall, curve.precision, strict=True)))
        for i, curve in enumerate(curves)
    )
    return Chart(title, axes, *_ticks(axes, words), lines=lines)


def histogram(
    edges: Sequence[float],
    series: tuple[Sequence[int], Sequence[int]],
    axes_titles: tuple[str, str],
    title: str,
    words: Words,
    threshold: float | None = None,
) -> Chart:
    """Bars of two series, each as shares of its own.

    Args:
        edges: n + 1 edges of n bins.
        series: n counts each, drawn as "same" and "different".
        axes_titles: of x and y.
        title: above it.
        words: the language.
        threshold: where to draw a line across; None for nowhere.
    """
    shares = [[n / max(sum(counts), 1) for n in counts] for counts in series]
    top = max(map(max, shares)) or 1.0
    axes = Axes(*axes_titles, (edges[0], edges[-1]), (0.0, top))
    bars = []
    for name, values in zip(("same", "different"), shares, strict=True):
        for low, high, share in zip(edges, edges[1:], values, strict=False):
            (x, y), (right, bottom) = axes.place(low, share), axes.place(high, 0)
            bars.append(Bar(name, x, y, right - x, bottom - y))
    guides = () if threshold is None else (Guide(axes.place(threshold, top), axes.place(threshold, 0)),)
    return Chart(title, axes, *_ticks(axes, words), bars=tuple(bars), guides=guides)


def reliability(found: Reliability, title: str, words: Words) -> Chart:
    """Share of pairs of the same label by their score; larger disks stand for more pairs."""
    axes = Axes(words("report_score"), words("report_same"))
    most = max(found.n_pairs)
    points = tuple(
        Point(*axes.place(score, share), 2 + 5 * (n / most) ** 0.5, words.text(pairs_counted(n)))
        for score, share, n in zip(found.mean_score, found.share_same, found.n_pairs, strict=True)
    )
    return Chart(title, axes, *_ticks(axes, words), guides=(Guide(axes.place(0, 0), axes.place(1, 1)),), points=points)


def _ticks(axes: Axes, words: Words) -> tuple[tuple[str, ...], tuple[str, ...]]:
    x, y = (
        tuple(_tick(low + share * (high - low), words) for share in (0, 0.5, 1))
        for low, high in (axes.x_range, axes.y_range)
    )
    return x, y


def _tick(value: float, words: Words) -> str:
    return words.decimal(value, 2).rstrip("0").rstrip(".,") or "0"
