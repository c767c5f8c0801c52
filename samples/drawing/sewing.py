"""Sewing kit: cloth and trims, seams and buttons, folds, sleeves, and a figure to wear them.

Garment units: the axis of the body is x = 0, y points down, a garment is about 190 units tall.
"""

import math

import numpy as np

from samples.drawing.cloth import Part
from samples.drawing.palette import RGB, Look, darker, to_hex
from samples.drawing.paths import Point, disc, filled, flip, lens, polygon, pt, stroke, symmetric, wedge

Rng = np.random.Generator
SKINS: tuple[RGB, ...] = (
    (238, 205, 180), (222, 178, 146), (190, 138, 102), (140, 94, 66), (96, 62, 44),
    (226, 222, 214), (178, 176, 172),
)  # fmt: skip


def cloth(look: Look, d: str, **options: object) -> Part:
    """A piece of the main cloth."""
    defaults = {"pattern": look.pattern, "texture": look.texture, "shine": look.shine}
    return Part(d, to_hex(look.main), **(defaults | options))


def trim(look: Look, d: str, color: RGB, **options: object) -> Part:
    """A plain piece in another color."""
    defaults = {"texture": look.texture, "shine": look.shine, "crumple": 0.2, "bulge": 1.5, "roundness": 5.0}
    return Part(d, to_hex(color), **(defaults | options))


def both_sides(part: Part) -> list[Part]:
    """A piece and its mirror image."""
    return [part, part.mapped(flip)]


def seam(look: Look, d: str, width: float = 0.9, dash: str = "2.4 1.5") -> str:
    """A line of stitching, slightly sunk."""
    groove = stroke(d, "#000000", width * 1.7, opacity=0.18)
    return groove + stroke(d, to_hex(look.stitch), width, dash)


def button(x: float, y: float, radius: float, color: RGB) -> str:
    """A small button with a shadow."""
    rim = to_hex(darker(color, 0.35))
    holes = "".join(filled(disc(x + dx, y, radius * 0.14), rim) for dx in (-radius * 0.3, radius * 0.3))
    return (
        filled(disc(x + 0.5, y + 0.7, radius * 1.12), "#000000", 0.35)
        + filled(disc(x, y, radius), to_hex(color))
        + filled(disc(x - radius * 0.2, y - radius * 0.25, radius * 0.6), "#ffffff", 0.25)
        + holes
    )


def fan(center: Point, angles: tuple[float, float], lengths: tuple[float, float], n: int, rng: Rng) -> list[str]:
    """Creases that run out from one point, as at a crotch; angles in degrees, 0 = right, 90 = down."""
    marks = []
    for k in range(n):
        a = math.radians(angles[0] + (angles[1] - angles[0]) * (k + rng.uniform(0.2, 0.8)) / n)
        length, start = rng.uniform(*lengths), rng.uniform(1, 6)
        p = (center[0] + start * math.cos(a), center[1] + start * math.sin(a))
        q = (center[0] + length * math.cos(a), center[1] + length * math.sin(a))
        marks.append(lens(p, q, rng.uniform(1.2, 2.6), rng.normal(0, 3)))
    return marks


def drape(top: tuple[float, float, float], hem: tuple[float, float, float], n: int, rng: Rng) -> tuple[list, list]:
    """Hanging folds between `top` and `hem`, each (left, right, y): (ridges, valleys)."""
    ridges, valleys = [], []
    for k in range(n):
        for group, half in ((ridges, 0.25), (valleys, 0.75)):
            s = (k + half + rng.uniform(-0.1, 0.1)) / n
            start = (top[0] + s * (top[1] - top[0]), top[2] + rng.uniform(0, 0.35) * (hem[2] - top[2]))
            end = (hem[0] + s * (hem[1] - hem[0]), hem[2])
            group.append(wedge(start, end, (hem[1] - hem[0]) / n * rng.uniform(0.35, 0.6)))
    return ridges, valleys


def long_folds(left: float, right: float, top: float, bottom: float, n: int, rng: Rng) -> list[str]:
    """A few loose folds, more upright than not, scattered over a box."""
    marks = []
    for _ in range(n):
        x, y = rng.uniform(left, right), rng.uniform(top, bottom)
        length, lean = rng.uniform(0.25, 0.55) * (bottom - top), rng.normal(0, 0.3)
        p, q = (x - lean * length / 2, y - length / 2), (x + lean * length / 2, y + length / 2)
        marks.append(lens(p, q, rng.uniform(1.4, 3.2), rng.normal(0, 5)))
    return marks


# Sleeves and arms


def limb(
    start: Point, width: float, angle: float, length: float, end: float, bend: float, tuck: float = 20.0
) -> tuple[str, list[Point]]:
    """A tapering tube from `start` (its outer corner), as path data, and its corners.

    Args:
        start: outer end of the opening, at the shoulder.
        width: width at the opening.
        angle: direction in degrees from straight down, outward.
        length: along the outer edge.
        end: width at the far end.
        bend: how far the lower half turns back inward, in degrees.
        tuck: how far the tube reaches under the body.

    Returns:
        The outline, and [outer end, inner end, outer elbow, inner elbow].
    """
    a, b = math.radians(angle), math.radians(angle - bend)
    u, v = (math.sin(a), math.cos(a)), (math.sin(b), math.cos(b))
    inward_a, inward_b = (-u[1], u[0]), (-v[1], v[0])
    half = length / 2
    elbow = (start[0] + u[0] * half, start[1] + u[1] * half)
    tip = (elbow[0] + v[0] * half, elbow[1] + v[1] * half)
    middle = (width * 0.45 + end * 0.55) if length > 60 else (width + end) / 2
    inner_elbow = (elbow[0] + inward_a[0] * middle, elbow[1] + inward_a[1] * middle)
    inner_tip = (tip[0] + inward_b[0] * end, tip[1] + inward_b[1] * end)
    # An armhole is cut steeper than square to the sleeve.
    cut = math.radians(90 - 0.55 * (90 - angle))
    root = (start[0] - math.cos(cut) * width, start[1] + math.sin(cut) * width)
    inside = (start[0] - tuck, start[1] + 3)
    bulge = (
        start[0] + u[0] * half * 0.4 - inward_a[0] * 2.5,
        start[1] + u[1] * half * 0.4 - inward_a[1] * 2.5,
    )
    turn_out = (elbow[0] + u[0] * half * 0.12, elbow[1] + u[1] * half * 0.12)
    d = (
        f"M{pt(inside)} L{pt(start)} Q{pt(bulge)} {pt(elbow)} Q{pt(turn_out)} {pt(tip)} L{pt(inner_tip)} "
        f"L{pt(inner_elbow)} L{pt(root)} L{pt((root[0] - 0.4 * tuck, root[1] + 2))} Z"
    )
    return d, [tip, inner_tip, elbow, inner_elbow]


def sleeve(look: Look, shoulder: Point, width: float, pose: dict, rng: Rng, cuff: RGB | None = None) -> list[Part]:
    """Right sleeve, with hem stitching or a cuff of another color."""
    d, (tip, inner_tip, elbow, inner_elbow) = limb(shoulder, width, **pose)
    away = math.degrees(math.atan2(elbow[1] - inner_elbow[1], elbow[0] - inner_elbow[0]))
    is_long = pose["length"] > 60
    ridges = fan(inner_elbow, (away - 35, away + 35), (10, 24), 3 if is_long else 1, rng)
    valleys = fan(inner_elbow, (away - 45, away + 45), (8, 22), 3 if is_long else 1, rng)
    valleys += fan((shoulder[0] - 8, shoulder[1] + width), (10, 60), (14, 34), 2, rng)
    ridges += fan((shoulder[0] - 8, shoulder[1] + width), (20, 80), (14, 36), 2, rng)
    back = unit(tip, elbow)
    inset = 9 if is_long else 4.5
    line = [(p[0] + back[0] * inset, p[1] + back[1] * inset) for p in (tip, inner_tip)]
    hem = f"M{pt(line[0])} L{pt(line[1])}"
    marks = seam(look, hem, 0.7) if cuff is None else ""
    parts = [cloth(look, d, ridges=tuple(ridges), valleys=tuple(valleys), marks=marks, bulge=7, roundness=9)]
    if cuff is not None:
        along = unit(line[0], line[1])
        grow = [
            (line[0][0] - along[0], line[0][1] - along[1]),
            (line[1][0] + along[0], line[1][1] + along[1]),
        ]
        end = [(p[0] - back[0], p[1] - back[1]) for p in (inner_tip, tip)]
        parts.append(trim(look, polygon(*grow, *end), cuff, shadow=0.3))
    return parts


def unit(a: Point, b: Point) -> Point:
    """Direction from a to b, of length 1."""
    n = math.hypot(b[0] - a[0], b[1] - a[1]) or 1.0
    return (b[0] - a[0]) / n, (b[1] - a[1]) / n


def figure(skin: RGB, shoulder: Point, arm_pose: dict, hips: float, below: RGB | None = None) -> list[Part]:
    """Neck, arms and hips under a garment: a plain shop figure without a face."""
    fill = to_hex(skin)
    look = {"crumple": 0.0, "texture": "skin", "shine": 0.25, "shadow": 0.35}
    neck = symmetric(f"M0,-122 L11,-122 C11,-106 11,-98 15,-92 C24,-86 36,-82 {shoulder[0] - 3},-76 L30,-40 L0,-30")
    turn = math.radians(arm_pose["angle"])
    arm, (tip, inner_tip, elbow, _) = limb(
        (shoulder[0] - 5 * math.cos(turn), shoulder[1] + 2 + 5 * math.sin(turn)),
        21,
        length=126,
        end=10,
        **arm_pose,
    )
    down = unit(elbow, tip)
    fingers = [(p[0] + down[0] * 24 + dx, p[1] + down[1] * 24) for p, dx in ((tip, 2), (inner_tip, -1))]
    arm = arm.replace(f"L{pt(inner_tip)}", f"C{pt(fingers[0])} {pt(fingers[1])} {pt(inner_tip)}")
    parts = both_sides(Part(arm, fill, bulge=8, roundness=9, **look))
    parts.append(Part(neck, fill, bulge=8, roundness=12, **look))
    if below is not None:
        legs = symmetric(f"M0,40 L{hips - 4},40 C{hips + 4},70 {hips + 3},90 {hips},150 L5,150 L0,92")
        marks = stroke("M0,60 L0,150", "#000000", 1.5, opacity=0.4)
        parts.append(Part(legs, to_hex(below), marks=marks, texture="cotton", bulge=10, roundness=16))
    return parts


def buckle(x: float, y: float, w: float, h: float, strap: RGB) -> Part:
    """A metal frame of half width `w` and half height `h` on a strap."""
    frame = polygon((x - w, y - h), (x + w, y - h), (x + w, y + h), (x - w, y + h))
    hole = polygon(
        (x - w * 0.6, y - h * 0.5),
        (x + w * 0.6, y - h * 0.5),
        (x + w * 0.6, y + h * 0.5),
        (x - w * 0.6, y + h * 0.5),
    )
    marks = filled(hole, to_hex(strap)) + stroke(f"M{x - w * 0.7},{y} L{x + w * 0.7},{y}", "#d8c894", 1.1)
    return Part(frame, "#c9b98a", marks=marks, puff=0.8, bulge=1, crumple=0, texture="metal", shine=0.9, shadow=0.5)
