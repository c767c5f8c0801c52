"""Cuts of shirts: T-shirt, button-up, polo, tank top, hoodie, sweater."""

from dataclasses import replace

import numpy as np

from samples.drawing.cloth import Garment, Part
from samples.drawing.palette import RGB, Look, darker, lighter, luminance, pick_look, to_hex
from samples.drawing.paths import Point, box, disc, filled, flip, polygon, pt, stroke, symmetric
from samples.drawing.sewing import SKINS, Rng, both_sides, button, cloth, fan, figure, long_folds, seam, sleeve, trim


def shirt(name: str, rng: Rng) -> Garment:
    """One of six kinds of shirt in the color `name`."""
    kind = rng.choice(["tee", "tee", "button", "button", "polo", "tank", "hoodie", "sweater"])
    texture = {"hoodie": "knit", "sweater": "knit", "button": "linen"}.get(str(kind), "cotton")
    patterned = {"button": 0.45, "tee": 0.25, "sweater": 0.3, "tank": 0.2}.get(str(kind), 0.08)
    look = pick_look(name, rng, patterned=patterned, texture=texture)
    return _shirt(str(kind), look, rng)


def _shirt(kind: str, look: Look, rng: Rng) -> Garment:
    is_warm = kind in ("hoodie", "sweater")
    half = rng.uniform(44, 52) + 2 * is_warm - 3 * (kind == "tank")
    hem = rng.uniform(50, 66)
    shoulder = (half + rng.uniform(-1, 4), -76.0 + rng.uniform(-2, 2))
    neck, drop = _neckline(kind, rng)
    armpit = -38.0
    if kind == "tank":
        shoulder = (rng.uniform(27, 33), -84.0)
    long = kind in ("hoodie", "sweater") or (kind == "button" and rng.random() < 0.7)
    long = long or (kind == "tee" and rng.random() < 0.2)
    torso = _torso(kind, half, shoulder, armpit, hem, neck, drop, rng)
    contrast = kind in ("tee", "polo") and rng.random() < 0.25
    edge = look.accent if contrast else darker(look.main, 0.1) if luminance(look.main) > 0.2 else look.main
    ridges, valleys = _torso_folds(half, hem, shoulder, rng)
    body = cloth(look, torso, ridges=ridges, valleys=valleys, marks=_torso_marks(kind, look, half, hem), bulge=9)
    pose = {
        "angle": rng.uniform(12, 30) if long else rng.uniform(30, 58),
        "length": rng.uniform(104, 122) if long else rng.uniform(30, 46),
        "end": rng.uniform(14, 17) if long else rng.uniform(25, 30),
        "bend": rng.uniform(-4, 18) if long else 0.0,
    }
    traits = {"cut": kind, "pattern": look.pattern_name}
    traits["sleeve"] = "none" if kind == "tank" else "long" if long else "short"
    garment = Garment(back=[_inside(look, neck, kind)], span=shoulder[0] - 4, traits=traits)
    garment.body = figure(
        SKINS[int(rng.integers(len(SKINS)))],
        (max(shoulder[0], 40), -76),
        {key: pose[key] * (1.0 if long else 0.5) for key in ("angle", "bend")},
        half,
        below=[(48, 58, 84), (60, 60, 64), (150, 134, 110), (196, 192, 184)][int(rng.integers(4))],
    )
    if kind != "tank":
        cuff = edge if is_warm or contrast else look.main if (kind == "button" and long) else None
        right = sleeve(look, shoulder, 36 if not long else 34, pose, rng, cuff)
        left = [p.mapped(flip) for p in sleeve(look, shoulder, 36 if not long else 34, pose, rng, cuff)]
        garment.front += right + left
    garment.front.append(body)
    garment.front += _shirt_details(kind, look, neck, drop, half, hem, edge, rng)
    if kind == "hoodie":
        garment.back = _hood_back(look)
    return garment


def _neckline(kind: str, rng: Rng) -> tuple[float, float]:
    """Half width of the neck opening and the y of its lowest point."""
    if kind == "tank":
        return rng.uniform(14, 18), rng.uniform(-62, -52)
    if kind in ("button", "polo"):
        return 15.0, -70.0
    if kind == "hoodie":
        return 17.0, -66.0
    if kind == "tee" and rng.random() < 0.3:
        return rng.uniform(14, 18), rng.uniform(-60, -50)
    return rng.uniform(14, 18), rng.uniform(-74, -69)


def _is_v(drop: float) -> bool:
    return drop > -64


def _neck_curve(kind: str, neck: float, drop: float) -> str:
    """Right half of the neck opening, from the front middle to the shoulder."""
    if kind == "tee" and _is_v(drop):
        return f"M0,{drop} L{neck},-88"
    return f"M0,{drop} C{neck * 0.65},{drop} {neck * 0.92},{drop - 6} {neck},-88"


def _torso(
    kind: str, half: float, shoulder: Point, armpit: float, hem: float, neck: float, drop: float, rng: Rng
) -> str:
    waist = half - rng.uniform(0, 4)
    end = half - 2 if kind in ("hoodie", "sweater") else half + rng.uniform(-1, 4)
    start = _neck_curve(kind, neck, drop) + f" L{pt(shoulder)} "
    if kind == "tank":
        start += f"C{shoulder[0] - 3},-60 {half - 10},-44 {half - 1},-36 "
    else:
        start += f"C{shoulder[0] - 7},-62 {half - 5},-50 {half},{armpit} "
    sides = f"C{waist},0 {waist},20 {end},{hem - 4} "
    if kind == "button":  # tails: the hem is higher at the sides
        sides = f"C{waist},0 {waist},20 {end},{hem - 12} "
        return symmetric(start + sides + f"C{end - 4},{hem} {half * 0.5},{hem + 4} 0,{hem + 4}")
    return symmetric(start + sides + f"C{half * 0.6},{hem + 2} {half * 0.3},{hem + 2} 0,{hem + 2}")


def _torso_folds(half: float, hem: float, shoulder: Point, rng: Rng) -> tuple[tuple, tuple]:
    ridges = long_folds(-half * 0.8, half * 0.8, -20, hem - 6, int(rng.integers(3, 7)), rng)
    valleys = long_folds(-half * 0.8, half * 0.8, -20, hem - 6, int(rng.integers(3, 7)), rng)
    for side in (-1, 1):
        pit = (side * half, -36)
        angles = (100, 170) if side == 1 else (10, 80)
        ridges += fan(pit, angles, (16, 44), 2, rng)
        valleys += fan(pit, angles, (14, 46), 3, rng)
    return tuple(ridges), tuple(valleys)


def _torso_marks(kind: str, look: Look, half: float, hem: float) -> str:
    if kind in ("hoodie", "sweater"):
        return ""
    y = hem - 3
    tail = hem - 10 if kind == "button" else y - 2
    lower = hem if kind == "button" else y
    return seam(look, f"M{-half - 6},{tail} C{-half * 0.5},{lower} {half * 0.5},{lower} {half + 6},{tail}", 0.7)


def _inside(look: Look, neck: float, kind: str) -> Part:
    """The inner back of the neck, with a label."""
    deep = -40 if kind in ("tank", "tee") else -60
    d = symmetric(f"M0,-84 C{neck * 0.6},-84 {neck},-86 {neck + 3},-88 L{neck},{deep} L0,{deep}")
    label = filled(polygon((-4, -81), (4, -81), (4, -76), (-4, -76)), to_hex(lighter(look.lining, 0.6)))
    return trim(look, d, look.lining, marks=label, bulge=0, shadow=0.2)


def _shirt_details(
    kind: str, look: Look, neck: float, drop: float, half: float, hem: float, edge: RGB, rng: Rng
) -> list[Part]:
    if kind == "button":
        return _placket(look, hem, rng) + _pocket(look, rng) + _collar(look, look.main, 24)
    if kind == "polo":
        return _polo_front(look, rng) + _collar(look, edge, 19)
    parts = [_rib(look, kind, neck, drop, edge)]
    if kind == "tee":
        parts += _chest(look, half, rng)
    if kind in ("sweater", "hoodie"):
        parts.append(_hem_rib(look, half, hem, edge))
    if kind == "hoodie":
        parts = [*parts[1:], *_hood_front(look), *_kangaroo(look, half, hem)]
    return parts


def _rib(look: Look, kind: str, neck: float, drop: float, color: RGB) -> Part:
    """The collar band of a round or V neck."""
    w = 5.5 if kind == "sweater" else 3.6
    if kind == "tee" and _is_v(drop):
        half = f"M0,{drop} L{neck},-88 L{neck + w},-87 L0,{drop + w * 1.5}"
    else:
        half = (
            f"M0,{drop} C{neck * 0.65},{drop} {neck * 0.92},{drop - 6} {neck},-88 L{neck + w},-87 "
            f"C{neck + w * 0.8},{drop - 4} {neck * 0.75},{drop + w} 0,{drop + w}"
        )
    return trim(look, symmetric(half), color, puff=1.2, shadow=0.25)


def _hem_rib(look: Look, half: float, hem: float, color: RGB) -> Part:
    d = symmetric(
        f"M0,{hem - 8} L{half - 1.5},{hem - 11} L{half - 4},{hem + 3} C{half / 2},{hem + 5} "
        f"{half / 3},{hem + 5} 0,{hem + 5}"
    )
    marks = "".join(
        stroke(f"M{x},{hem - 11} L{x},{hem + 6}", "#000000", 0.8, opacity=0.16)
        for x in np.arange(-half - 2, half + 3, 3)
    )
    return trim(look, d, color, marks=marks, shadow=0.25, bulge=3)


def _chest(look: Look, half: float, rng: Rng) -> list[Part]:
    """Sometimes an invented print on a T-shirt, or a pocket."""
    if look.pattern or rng.random() < 0.55:
        return _pocket(look, rng) if rng.random() < 0.3 else []
    ink = to_hex(look.accent if abs(luminance(look.accent) - luminance(look.main)) > 0.3 else lighter(look.main, 0.75))
    if luminance(look.main) > 0.75:
        ink = to_hex(darker(look.accent, 0.55))
    kind = rng.integers(4)
    if kind == 0:
        marks = "".join(filled(box(-60, y, 60, y + h), ink) for y, h in ((-24, 12), (-7, 5)))
        d = polygon((-half * 0.98, -26), (half * 0.98, -26), (half * 0.97, 4), (-half * 0.97, 4))
        return [cloth(replace(look, pattern=""), d, marks=marks, puff=0.1, bulge=0, shadow=0, crumple=0.8)]
    if kind == 1:
        corners = [(0, -42), (5, -27), (20, -22), (5, -17), (0, -2), (-5, -17), (-20, -22), (-5, -27)]
        return [_ink(polygon(*corners), ink)]
    if kind == 2:
        hills = "M-20,-8 L-8,-32 L0,-18 L7,-26 L20,-8 Z"
        return [_ink(hills, ink), _ink(disc(13, -34, 4), ink)]
    return [_ink(_wave(y), ink) for y in (-30, -20, -10)]


def _wave(y: float) -> str:
    return (
        f"M-22,{y} C-14,{y - 9} -8,{y + 9} 0,{y} C8,{y - 9} 14,{y + 9} 22,{y} L22,{y + 3} "
        f"C14,{y + 12} 8,{y - 6} 0,{y + 3} C-8,{y + 12} -14,{y - 6} -22,{y + 3} Z"
    )


def _ink(d: str, color: str) -> Part:
    return Part(d, color, puff=0.1, bulge=0.0, shadow=0.0, crumple=0.3, shine=0.05)


def _pocket(look: Look, rng: Rng) -> list[Part]:
    x, y = 20.0, -34.0
    d = polygon((x - 10, y), (x + 10, y), (x + 10, y + 18), (x, y + 23), (x - 10, y + 18))
    marks = seam(look, f"M{x - 9},{y + 4} L{x + 9},{y + 4}", 0.6)
    return [cloth(look, d, marks=marks, puff=1, bulge=0.8, shadow=0.35, crumple=0.3)] if rng.random() < 0.6 else []


def _placket(look: Look, hem: float, rng: Rng) -> list[Part]:
    color = look.accent if luminance(look.accent) > 0.5 or look.name == "white" else lighter(look.main, 0.55)
    if rng.random() < 0.4:
        color = darker(look.main, 0.35) if luminance(look.main) > 0.25 else lighter(look.main, 0.2)
    buttons = "".join(button(0, y, 2.1, color) for y in np.arange(-58, hem - 8, 19))
    marks = seam(look, f"M-3.4,-72 L-3.4,{hem + 6}", 0.5) + seam(look, f"M3.4,-72 L3.4,{hem + 6}", 0.5) + buttons
    d = polygon((-5, -70), (5, -70), (5, hem + 3.6), (-5, hem + 3.6))
    return [cloth(look, d, marks=marks, puff=1, bulge=0.6, crumple=0.3, shadow=0.4)]


def _polo_front(look: Look, rng: Rng) -> list[Part]:
    color = look.accent if rng.random() < 0.5 else lighter(look.main, 0.6)
    buttons = "".join(button(0, y, 2.0, color) for y in (-60, -48))
    d = polygon((-5, -70), (5, -70), (5, -38), (-5, -38))
    marks = seam(look, "M-4,-70 L-4,-39 L4,-39 L4,-70", 0.5) + buttons
    return [cloth(look, d, marks=marks, puff=1, bulge=0.6, crumple=0.2, shadow=0.4)]


def _collar(look: Look, color: RGB, reach: float) -> list[Part]:
    """Two collar leaves that meet at the top button."""
    r = reach
    leaf = (
        f"M0.5,-69 C5,-76 10,-84 14,-93 C17,-93 19,-91 {r - 2},-86 C{r},-78 {r + 1},-72 {r},-62 "
        f"L{r * 0.52},{-47 if r > 22 else -56} Z"
    )
    options = {"puff": 1.4, "bulge": 1.6, "roundness": 5.0, "crumple": 0.2, "shadow": 0.65}
    edge = f"M2,-69 L{r * 0.52},{-50 if r > 22 else -58} L{r - 1.6},-63 C{r - 0.6},-72 {r - 1.6},-78 {r - 3},-86"
    part = Part(leaf, to_hex(color), look.pattern if color == look.main else "", seam(look, edge, 0.5), **options)
    stand = symmetric("M0,-95 C6,-95 12,-94 15,-92 L15,-84 C10,-80 5,-79 0,-79")
    return [trim(look, stand, darker(color, 0.18), shadow=0.3), *both_sides(part)]


def _hood_back(look: Look) -> list[Part]:
    outer = symmetric("M0,-122 C22,-122 34,-108 35,-88 C35,-78 32,-74 28,-70 L0,-60")
    inner = symmetric("M0,-112 C16,-112 24,-102 24,-88 C24,-78 14,-66 0,-60")
    return [cloth(look, outer, bulge=8), trim(look, inner, look.lining, shadow=0.1, crumple=1.0, puff=0.5)]


def _hood_front(look: Look) -> list[Part]:
    leaf = "M0,-54 C-2,-62 10,-72 20,-88 C24,-96 26,-98 30,-98 C36,-92 37,-82 34,-76 C26,-64 12,-56 0,-54 Z"
    parts = both_sides(cloth(look, leaf, bulge=5, roundness=6, shadow=0.6))
    cord = to_hex(look.accent)
    for side in (-1, 1):
        x = side * 9
        d = (
            f"M{x},-62 C{x + side},-50 {x - side},-40 {x + side * 2},-24 L{x + side * 4.2},-24 "
            f"C{x + side * 1.5},-40 {x + side * 3.2},-50 {x + side * 2.4},-63 Z"
        )
        parts.append(Part(d, cord, puff=1, bulge=0.5, crumple=0, shadow=0.6))
    return parts


def _kangaroo(look: Look, half: float, hem: float) -> list[Part]:
    w, top = half * 0.62, hem - 46
    d = polygon((-w * 0.62, top), (w * 0.62, top), (w, top + 22), (w, hem - 9), (-w, hem - 9), (-w, top + 22))
    marks = seam(look, f"M{-w * 0.62},{top} L{-w},{top + 22}", 0.7) + seam(
        look, f"M{w * 0.62},{top} L{w},{top + 22}", 0.7
    )
    return [cloth(look, d, marks=marks, puff=1.4, bulge=2, shadow=0.55)]
