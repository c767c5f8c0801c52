"""Helpers for drawing with SVG path data.

Every path is a string of absolute M, L, C, Q and Z commands whose points are written `x,y`, so that one
function can bend a whole drawing: `mapped(d, f)` sends every point through `f`. Units: y points down.
"""

import math
import re
from collections.abc import Callable

Point = tuple[float, float]

_POINT = re.compile(r"(-?[\d.]+(?:e[-+]?\d+)?),(-?[\d.]+(?:e[-+]?\d+)?)")
_D_ATTRIBUTE = re.compile(r' d="([^"]*)"')
_COMMAND = re.compile(r"([MLCQ])([^MLCQZ]*)")


def pt(point: Point) -> str:
    """Writes a point as path data."""
    return f"{point[0]:.2f},{point[1]:.2f}"


def points(d: str) -> list[Point]:
    """All points of path data, control points included."""
    return [(float(x), float(y)) for x, y in _POINT.findall(d)]


def mapped(d: str, f: Callable[[float, float], Point]) -> str:
    """Path data with every point sent through `f`."""
    return _POINT.sub(lambda m: pt(f(float(m[1]), float(m[2]))), d)


def mapped_markup(markup: str, f: Callable[[float, float], Point]) -> str:
    """SVG markup with every `d` attribute sent through `f`."""
    return _D_ATTRIBUTE.sub(lambda m: f' d="{mapped(m[1], f)}"', markup)


def flip(x: float, y: float) -> Point:
    """Mirrors a point at the vertical axis: for `mapped` and `mapped_markup`."""
    return -x, y


def symmetric(half: str) -> str:
    """Closes the right half of an outline, from its top to its bottom on the axis, with its mirror image."""
    segments = [(name, points(args)) for name, args in _COMMAND.findall(half)]
    start = segments[0][1][0]
    ends = [start] + [pts[-1] for _, pts in segments[1:]]
    back = []
    for (name, pts), origin in zip(reversed(segments[1:]), reversed(ends[:-1]), strict=True):
        back.append(name + " ".join(pt(flip(*p)) for p in [*reversed(pts[:-1]), origin]))
    return half + " L" + pt(flip(*ends[-1])) + " " + " ".join(back) + " Z"


def polygon(*corners: Point) -> str:
    """A closed polygon."""
    return "M" + " L".join(pt(p) for p in corners) + " Z"


def box(left: float, top: float, right: float, bottom: float) -> str:
    """A rectangle."""
    return polygon((left, top), (right, top), (right, bottom), (left, bottom))


def disc(x: float, y: float, rx: float, ry: float | None = None) -> str:
    """An ellipse of four curves."""
    ry = rx if ry is None else ry
    a, b = 0.5523 * rx, 0.5523 * ry
    return (
        f"M{x - rx:.2f},{y:.2f} C{x - rx:.2f},{y - b:.2f} {x - a:.2f},{y - ry:.2f} {x:.2f},{y - ry:.2f} "
        f"C{x + a:.2f},{y - ry:.2f} {x + rx:.2f},{y - b:.2f} {x + rx:.2f},{y:.2f} "
        f"C{x + rx:.2f},{y + b:.2f} {x + a:.2f},{y + ry:.2f} {x:.2f},{y + ry:.2f} "
        f"C{x - a:.2f},{y + ry:.2f} {x - rx:.2f},{y + b:.2f} {x - rx:.2f},{y:.2f} Z"
    )


def lens(start: Point, end: Point, width: float, bend: float = 0.0) -> str:
    """A thin shape, pointed at both ends: the mark of one fold."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    nx, ny = -dy / length, dx / length
    mx, my = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
    near = (mx + nx * (bend - width), my + ny * (bend - width))
    far = (mx + nx * (bend + width), my + ny * (bend + width))
    return f"M{pt(start)} Q{pt(near)} {pt(end)} Q{pt(far)} {pt(start)} Z"


def wedge(start: Point, end: Point, width: float) -> str:
    """A shape pointed at its start and `width` wide at its end: a fold that opens toward a hem."""
    return polygon(start, (end[0] - width / 2, end[1]), (end[0] + width / 2, end[1]))


def stroke(d: str, color: str, width: float, dash: str = "", opacity: float = 1.0) -> str:
    """Markup of a line along path data."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<path d="{d}" fill="none" stroke="{color}" stroke-width="{width:.2f}" stroke-linecap="round" '
        f'stroke-linejoin="round" opacity="{opacity:.2f}"{dashed}/>'
    )


def filled(d: str, color: str, opacity: float = 1.0) -> str:
    """Markup of a filled path."""
    return f'<path d="{d}" fill="{color}" opacity="{opacity:.2f}"/>'
