"""Cuts of pants and shorts."""

import numpy as np

from samples.drawing.cloth import Garment, Part
from samples.drawing.palette import Look, darker, lighter, luminance, pick_look, to_hex
from samples.drawing.paths import box, disc, filled, flip, lens, polygon, stroke, symmetric
from samples.drawing.sewing import SKINS, Rng, both_sides, buckle, button, cloth, drape, fan, long_folds, seam, trim


def pants(name: str, rng: Rng) -> Garment:
    """Pants in the color `name`: jeans, chinos, dress pants, joggers, skinny, wide, cargo."""
    kind = str(rng.choice(["jeans", "jeans", "chino", "dress", "jogger", "skinny", "wide", "cargo"]))
    texture = "denim" if kind in ("jeans", "skinny") and name in ("blue", "black", "white") else "cotton"
    look = pick_look(name, rng, patterned=0.12 if kind in ("wide", "dress") else 0.0, texture=texture)
    knee, hem = {
        "skinny": ((19, 21), (13, 16)), "jeans": ((24, 27), (20, 26)), "wide": ((30, 34), (37, 46)),
        "jogger": ((24, 28), (15, 18)), "cargo": ((27, 31), (24, 28)),
    }.get(kind, ((23, 26), (19, 23)))  # fmt: skip
    length = rng.uniform(92, 99) - 4 * (kind == "jogger")
    return _trousers(kind, look, length, rng.uniform(*knee), rng.uniform(*hem), rng)


def shorts(name: str, rng: Rng) -> Garment:
    """Shorts in the color `name`: denim, chino, athletic, cargo, beach."""
    kind = str(rng.choice(["jeans", "chino", "athletic", "cargo", "beach"]))
    texture = "denim" if kind == "jeans" and name in ("blue", "black", "white") else "cotton"
    patterned = {"beach": 0.55, "chino": 0.15}.get(kind, 0.0)
    look = pick_look(name, rng, patterned=patterned, texture=texture)
    length = rng.uniform(-28, -20) if kind in ("jeans", "athletic") and rng.random() < 0.5 else rng.uniform(-16, 4)
    width = rng.uniform(45, 50) if kind in ("athletic", "beach") else rng.uniform(40, 45)
    return _trousers(kind, look, length, width, width, rng)


def _trousers(kind: str, look: Look, length: float, knee: float, hem: float, rng: Rng) -> Garment:
    """Two legs, a waistband and what belongs to `kind`.

    Args:
        kind: name of the cut.
        look: the cloth.
        length: y of the hem.
        knee: width of a leg at the knee.
        hem: width of a leg at the hem.
        rng: the picture's generator.
    """
    waist = rng.uniform(31, 34)
    hip = waist + rng.uniform(7, 10)
    is_elastic = kind in ("jogger", "athletic", "beach")
    spread = rng.uniform(1, 12)
    is_short = length < 40
    turned_up = rng.random() < {"jeans": 0.5, "chino": 0.35}.get(kind, 0) * (1.0 if is_short else 0.4)
    garment = Garment(hang="waist", traits={"cut": kind, "pattern": look.pattern_name})
    inside = symmetric(f"M0,-96 C{waist * 0.6},-96 {waist},-97 {waist},-98 L{waist},-88 L0,-86")
    garment.back = [trim(look, inside, look.lining, bulge=0, shadow=0.2)]
    garment.body = _lower_figure(waist, hip, length, hem, spread, is_short, rng)
    center = 22.0 if not is_short else 24.0
    for side in (1, -1):
        leg = _leg(kind, turned_up, look, waist, hip, length, knee, hem, spread, center, rng)
        garment.front += [p.mapped(flip) for p in leg] if side < 0 else leg
    garment.front += _fly(look, rng) if not is_elastic else []
    garment.front += _elastic_band(look, waist, kind, rng) if is_elastic else _waistband(look, waist, kind, rng)
    return garment


def _leg(
    kind: str, turned_up: bool, look: Look, waist: float, hip: float, length: float, knee: float, hem: float,
    spread: float, center: float, rng: Rng,
) -> list[Part]:  # fmt: skip
    """Right leg with its pocket, seams and cuff."""
    is_short = length < 40
    crotch = -42.0
    cx = center + spread * (0.5 if is_short else 1.0)
    knee_y = 22.0
    kx = center + spread * 0.45
    inner = max(cx - hem / 2, 0.6)
    outer = max(cx + hem / 2, hip + 2) if is_short else cx + hem / 2
    d = f"M-1.5,-92 L{waist},-92 C{waist + 3},-80 {hip},-72 {hip},-58 "
    if is_short:
        d += f"C{hip + 1},-40 {outer},{length - 20} {outer},{length} "
        d += f"Q{(outer + inner) / 2},{length + 4} {inner},{length + 1} C{inner},{length - 10} 1,-30 0,{crotch} Z"
    else:
        d += f"C{hip + 1},-35 {kx + knee / 2 + 2},0 {kx + knee / 2},{knee_y} "
        d += f"C{kx + knee / 2 - 1},{knee_y + 20} {outer},{length - 30} {outer},{length} "
        d += f"Q{(outer + inner) / 2},{length + 3} {inner},{length} "
        d += f"C{inner},{length - 30} {kx - knee / 2},{knee_y + 20} {kx - knee / 2},{knee_y} "
        d += f"C{max(kx - knee / 2 - 3, 0.5)},0 1,-25 0,{crotch} Z"
    ridges, valleys = _leg_folds(kind, hip, kx, knee, cx, hem, length, rng)
    marks = _leg_marks(kind, look, waist, hip, inner, outer, length)
    if kind == "jeans" and look.texture == "denim" and look.name == "blue" and not is_short and rng.random() < 0.7:
        marks = _fade(kx, knee, rng) + marks
    elif look.texture == "denim" and look.name == "blue":
        marks = _fade(cx, hem, rng, y=-30.0) + marks
    parts = [cloth(look, d, ridges=ridges, valleys=valleys, marks=marks, bulge=9, roundness=9, crumple=0.8, depth=2.6)]
    if kind == "cargo":
        parts += _cargo_pocket(look, hip if is_short else (hip + kx + knee / 2) / 2, length - 38 if is_short else -18.0)
    if kind == "jogger":
        parts.append(_cuff(look, inner, outer, length))
    if turned_up:
        parts.append(_turn_up(look, inner, outer, length))
    return parts


def _leg_folds(
    kind: str, hip: float, kx: float, knee: float, cx: float, hem: float, length: float, rng: Rng
) -> tuple[tuple, tuple]:
    ridges = fan((2, -44), (-20, 60), (14, 34), 3, rng)
    valleys = fan((1, -42), (-30, 70), (12, 32), 4, rng)
    if length < 40:
        a, b = drape((8, hip, -50), (cx - hem / 2, cx + hem / 2 + 4, length), 2, rng)
        return tuple(ridges + a), tuple(valleys + b)
    for y in (20 + rng.normal(0, 4), 32 + rng.normal(0, 4)):
        ridges.append(lens((kx - knee / 2, y), (kx + knee / 2, y + rng.normal(3, 4)), 1.6, rng.normal(0, 2)))
        valleys.append(lens((kx - knee / 2, y + 5), (kx + knee / 2, y + 5 + rng.normal(3, 4)), 1.6, rng.normal(0, 2)))
    if kind in ("jeans", "skinny", "cargo"):  # the leg stacks up above the shoe
        for y in np.arange(length - 20, length - 4, 6):
            ridges.append(lens((cx - hem / 2, y), (cx + hem / 2, y + rng.normal(0, 3)), 1.5, rng.normal(0, 2)))
    if kind in ("dress", "chino"):
        ridges.append(lens((kx * 0.5 + 9, -62), (cx, length), 1.6))
    if kind in ("wide", "jogger"):
        a, b = drape((kx - knee / 2, kx + knee / 2, -20), (cx - hem / 2, cx + hem / 2, length), 3, rng)
        ridges, valleys = ridges + a, valleys + b
    valleys += long_folds(kx - knee / 2, kx + knee / 2, -20, length - 10, 2, rng)
    return tuple(ridges), tuple(valleys)


def _leg_marks(kind: str, look: Look, waist: float, hip: float, inner: float, outer: float, length: float) -> str:
    marks = stroke(f"M{hip - 1.5},-70 L{hip - 1.5},-58", "#000000", 0.8, opacity=0.2)
    if kind in ("jeans", "skinny"):
        scoop = f"M{waist * 0.42},-92 C{waist * 0.5},-74 {waist * 0.8},-72 {hip + 1},-72"
        marks += filled(scoop + f" L{hip + 4},-92 Z", "#000000", 0.12)
        marks += seam(look, scoop, 1.0) + filled(disc(waist * 0.47, -86, 1.0), "#b98a52")
    else:
        slash = f"M{waist * 0.66},-92 L{hip - 0.5},-64"
        marks += stroke(slash, "#000000", 1.6, opacity=0.4) + seam(look, slash, 0.6)
    if kind == "athletic":
        side = f"M{hip - 3},-92 C{hip - 1},-60 {outer - 6},{length - 30} {outer - 5},{length + 4}"
        marks += stroke(side, to_hex(look.accent), 5.0)
    if kind != "jogger":
        marks += seam(look, f"M{inner - 2},{length - 5} L{outer + 2},{length - 6}", 0.7)
    return marks


def _fade(cx: float, width: float, rng: Rng, y: float = -10.0) -> str:
    """The washed-out front of a leg of jeans."""
    layers = [(0.66 - 0.045 * k, 48 - 3 * k) for k in range(11)]
    return "".join(filled(disc(cx, y, width * w, h), "#ffffff", 0.022) for w, h in layers)


def _cuff(look: Look, inner: float, outer: float, length: float) -> Part:
    d = polygon(
        (inner - 0.8, length - 7),
        (outer + 0.8, length - 7),
        (outer - 0.6, length + 5),
        (inner + 0.6, length + 5),
    )
    ribs = "".join(
        stroke(f"M{x},{length - 7} L{x},{length + 5}", "#000000", 0.7, opacity=0.2)
        for x in np.arange(inner, outer, 2.4)
    )
    return trim(look, d, darker(look.main, 0.08), marks=ribs, shadow=0.3)


def _turn_up(look: Look, inner: float, outer: float, length: float) -> Part:
    d = (
        f"M{inner - 0.8},{length - 8} Q{(inner + outer) / 2},{length - 5} "
        f"{outer + 1},{length - 9} L{outer + 1},{length + 1} "
        f"Q{(inner + outer) / 2},{length + 5} {inner - 0.8},{length + 2} Z"
    )
    return trim(look, d, lighter(look.main, 0.16), shadow=0.55)


def _cargo_pocket(look: Look, x: float, y: float) -> list[Part]:
    left, right = x - 20, x + 1
    bag = polygon((left, y), (right, y), (right, y + 24), (left, y + 24))
    flap = polygon(
        (left - 1, y - 3),
        (right + 1, y - 3),
        (right + 1, y + 5),
        ((left + right) / 2, y + 8),
        (left - 1, y + 5),
    )
    marks = button((left + right) / 2, y + 4, 1.5, darker(look.main, 0.3))
    return [
        cloth(look, bag, puff=1.5, bulge=2, roundness=6, shadow=0.6),
        cloth(look, flap, puff=1.2, bulge=1, marks=marks, shadow=0.5, crumple=0.2),
    ]


def _fly(look: Look, rng: Rng) -> list[Part]:
    d = polygon((-1.2, -90), (9, -90), (8.4, -64), (4, -54), (-1, -50))
    marks = seam(look, "M7,-90 L6.6,-65 C6,-58 3,-55 0,-54", 0.7)
    return [cloth(look, d, marks=marks, puff=0.8, bulge=0.5, shadow=0.35, crumple=0.3)]


def _waistband(look: Look, waist: float, kind: str, rng: Rng) -> list[Part]:
    w = waist + 0.8
    d = symmetric(f"M0,-90 L{w},-94.5 L{w + 1.2},-86 C{w * 0.6},-83 {w * 0.3},-82 0,-81")
    marks = seam(look, f"M{-w},-93 C{-w / 3},-87.6 {w / 3},-87.6 {w},-93", 0.5)
    parts = [cloth(look, d, marks=marks, puff=1.2, bulge=1.5, shadow=0.35, crumple=0.2)]
    belt = kind in ("chino", "dress", "jeans") and rng.random() < 0.3
    leather = [(86, 54, 34), (36, 32, 32), (140, 96, 58)][int(rng.integers(3))]
    if belt:
        strap = symmetric(f"M0,-89 L{w + 0.3},-93.5 L{w + 1.3},-87.5 C{w * 0.6},-84.5 {w * 0.3},-83.5 0,-82.5")
        parts.append(trim(look, strap, leather, texture="leather", shine=0.6, shadow=0.3))
    for x, y in ((-0.72 * w, -88), (0.72 * w, -88), (-0.34 * w, -86), (0.34 * w, -86)):
        loop = box(x - 1.3, y - 5, x + 1.3, y + 5)
        parts.append(cloth(look, loop, puff=0.6, bulge=0.3, crumple=0, shadow=0.5))
    metal = (190, 150, 100) if kind == "jeans" else darker(look.main, 0.35)
    if belt:
        parts.append(buckle(0, -85.6, 5.2, 4.4, leather))
    else:
        parts.append(Part(disc(2.5, -85.5, 2.2), to_hex(metal), puff=1, bulge=1, crumple=0, shine=0.8, texture="metal"))
    return parts


def _elastic_band(look: Look, waist: float, kind: str, rng: Rng) -> list[Part]:
    w = waist + 0.5
    d = symmetric(f"M0,-91 C{w * 0.6},-92 {w},-95 {w},-95 L{w + 1.5},-84 C{w * 0.6},-81 {w * 0.3},-80 0,-80")
    gathers = "".join(
        stroke(f"M{x},-96 L{x * 1.03},-80", "#000000", 1.0, opacity=float(rng.uniform(0.08, 0.22)))
        for x in np.arange(-w, w + 1, 2.6)
    )
    cord = look.accent if abs(luminance(look.accent) - luminance(look.main)) > 0.2 else lighter(look.main, 0.6)
    if luminance(look.main) > 0.8:
        cord = (150, 148, 144)
    parts = [cloth(look, d, marks=gathers, puff=1.2, bulge=2.5, shadow=0.35, crumple=0.3)]
    for side in (-1, 1):
        end = rng.uniform(-60, -50)
        x = side * rng.uniform(5, 9)
        path = (
            f"M{side * 3},-85 C{side * 5},-78 {x + side * 2},-70 {x},{end} L{x + 2},{end} "
            f"C{x + side * 2 + 2},-70 {side * 5 + 2},-78 {side * 3 + 2},-86 Z"
        )
        parts.append(Part(path, to_hex(cord), puff=0.8, bulge=0.4, crumple=0, shadow=0.5))
    return parts


def _lower_figure(
    waist: float, hip: float, length: float, hem: float, spread: float, is_short: bool, rng: Rng
) -> list[Part]:
    """Belly of a plain top, and legs or feet below the hem."""
    skin = SKINS[int(rng.integers(len(SKINS)))]
    tops = ((236, 234, 230), (60, 62, 68), (156, 160, 164), (120, 134, 150), (196, 180, 160))
    top = tops[int(rng.integers(len(tops)))]
    belly = symmetric(f"M0,-150 L{waist + 6},-150 C{waist + 2},-125 {waist},-110 {waist + 1.5},-86 L0,-80")
    parts = [Part(belly, to_hex(top), bulge=10, roundness=14, crumple=1.2)]
    cx = 22 + spread * (0.5 if is_short else 1)
    fill, flesh = to_hex(skin), {"crumple": 0.0, "texture": "skin", "shine": 0.25}
    w = 14.5 if is_short else 6.5
    bottom = length + (75 if is_short else 12)
    leg = (
        f"M{cx - w},{length - 30} L{cx + w},{length - 30} C{cx + w},{length + 20} "
        f"{cx + w - 3},{bottom - 20} {cx + w * 0.6},{bottom} L{cx - w * 0.6},{bottom} "
        f"C{cx - w + 2},{bottom - 20} {cx - w},{length + 20} {cx - w},{length - 30} Z"
    )
    parts += both_sides(Part(leg, fill, bulge=8, roundness=9, **flesh))
    if not is_short:
        foot = (
            f"M{cx - 6},{length + 4} C{cx - 6},{length - 4} {cx + 7},{length - 4} "
            f"{cx + 7},{length + 4} C{cx + 14},{length + 14} {cx + 13},{length + 22} "
            f"{cx + 4},{length + 22} C{cx - 5},{length + 22} {cx - 8},{length + 14} "
            f"{cx - 6},{length + 4} Z"
        )
        shoe = ((230, 228, 224), (50, 48, 50), (104, 76, 54))[int(rng.integers(3))]
        parts += both_sides(Part(foot, to_hex(shoe), bulge=6, roundness=6, crumple=0, shine=0.3))
    return parts
