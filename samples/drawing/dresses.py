"""Cuts of dresses: four tops on five skirts."""

import numpy as np

from samples.drawing.cloth import Garment, Part
from samples.drawing.palette import Look, darker, lighter, luminance, mix, pick_look, to_hex
from samples.drawing.paths import Point, box, disc, flip, pt, stroke, symmetric
from samples.drawing.sewing import SKINS, Rng, both_sides, buckle, button, cloth, drape, fan, figure, seam, sleeve, trim


def dress(name: str, rng: Rng) -> Garment:
    """A dress in the color `name`: five skirts, four tops."""
    look = pick_look(name, rng, patterned=0.3, texture=str(rng.choice(["cotton", "cotton", "satin", "linen"])))
    top = str(rng.choice(["sleeveless", "sleeveless", "strappy", "short", "long"]))
    skirt = str(rng.choice(["a-line", "flared", "sheath", "maxi", "tiered"]))
    return _dress(top, skirt, look, rng)


_SKIRTS = {  # hem y, half width at the hem, number of folds, depth of the folds
    "a-line": ((66, 84), (40, 50), 5, 2.2),
    "flared": ((60, 78), (58, 72), 8, 3.4),
    "sheath": ((62, 84), (24, 29), 2, 1.0),
    "maxi": ((112, 128), (42, 58), 7, 2.8),
    "tiered": ((76, 104), (46, 58), 7, 2.4),
}


def _dress(top: str, skirt: str, look: Look, rng: Rng) -> Garment:
    waist, waist_y = rng.uniform(21, 25), rng.uniform(-26, -16)
    hem_range, width_range, n, depth = _SKIRTS[skirt]
    hem, width = rng.uniform(*hem_range), rng.uniform(*width_range)
    neck = str(rng.choice(["round", "v", "square", "boat"]))
    shoulder = (rng.uniform(30, 34), -84.0)
    skirt_parts = _skirt(skirt, look, waist, waist_y, hem, width, n, depth, rng)
    bodice = _bodice(top, neck, look, waist, waist_y, shoulder, rng)
    angle = rng.uniform(8, 18)
    traits = {"cut": skirt, "pattern": look.pattern_name, "sleeve": top}
    garment = Garment(span=30.0 if top == "strappy" else shoulder[0] - 3, traits=traits)
    garment.body = _dress_figure(shoulder, angle, hem, rng)
    if top != "strappy":
        garment.back = [_dress_inside(look, shoulder)]
    else:
        garment.front += _straps(look, rng)
    if top in ("short", "long"):
        pose = {"angle": angle if top == "long" else rng.uniform(24, 40), "bend": 8 if top == "long" else 0}
        pose |= {"tuck": 12.0}
        pose |= {"length": 108, "end": 12} if top == "long" else {"length": rng.uniform(24, 36), "end": 22}
        for side in (False, True):
            parts = sleeve(look, (shoulder[0] + 1, shoulder[1] + 0.5), 30, pose, rng)
            garment.front += [p.mapped(flip) for p in parts] if side else parts
    garment.front += [*skirt_parts, bodice]
    if top in ("sleeveless", "short", "long") and neck in ("round", "v") and rng.random() < 0.4:
        garment.front += _front_buttons(look, waist_y)
    garment.front += _waist(look, waist, waist_y, rng)
    return garment


def _bodice(top: str, neck: str, look: Look, waist: float, waist_y: float, shoulder: Point, rng: Rng) -> Part:
    bust = waist + rng.uniform(5, 8)
    if top == "strappy":
        half = f"M0,{-58 + 4 * (neck == 'v')} C6,-66 12,-69 18,-68 C22,-66 26,-60 {bust},-52 "
    else:
        inner = shoulder[0] - (8 if top == "sleeveless" else 13)
        start = {
            "round": f"M0,-66 C{inner * 0.7},-66 {inner},-74 {inner},-90 ",
            "v": f"M0,-52 L{inner},-90 ",
            "square": f"M0,-64 L{inner - 2},-64 L{inner},-90 ",
            "boat": f"M0,-80 C{inner * 0.6},-80 {inner},-84 {inner + 2},-88 ",
        }[neck]
        half = start + f"L{pt(shoulder)} C{shoulder[0] - 2},-70 {bust - 1},-60 {bust},-50 "
    half += f"C{bust},-40 {waist},{waist_y - 12} {waist},{waist_y + 1} L0,{waist_y + 1}"
    ridges = fan((bust, -46), (140, 200), (8, 24), 2, rng) + fan((-bust, -46), (-20, 40), (8, 24), 2, rng)
    valleys = fan((waist, waist_y), (190, 250), (8, 26), 3, rng) + fan((-waist, waist_y), (290, 350), (8, 26), 3, rng)
    darts = "".join(stroke(f"M{s * 13},{waist_y} L{s * 12},-44", "#000000", 0.7, opacity=0.22) for s in (-1, 1))
    return cloth(
        look,
        symmetric(half),
        ridges=tuple(ridges),
        valleys=tuple(valleys),
        marks=darts,
        bulge=9,
        roundness=10,
    )


def _skirt(
    kind: str, look: Look, waist: float, top: float, hem: float, width: float, n: int, depth: float, rng: Rng
) -> list[Part]:
    if kind == "tiered":
        return _tiers(look, waist, top, hem, width, rng)
    hip = waist + 6.5 if kind == "sheath" else waist + (width - waist) * 0.35
    hip_y = top + (26 if kind == "sheath" else (hem - top) * 0.3)
    half = f"M0,{top} L{waist},{top} C{waist + 2},{top + 10} {hip - 1},{hip_y - 8} {hip},{hip_y} "
    half += f"C{hip + 2},{hip_y + 20} {width - 3},{hem - 30} {width},{hem - 2} "
    d = _scalloped(half, width, hem, n, 0.6 * depth)
    ridges, valleys = drape((-waist, waist, top + 4), (-width, width, hem + 2), n, rng)
    if kind == "sheath":
        ridges += fan((hip, hip_y), (150, 210), (14, 34), 2, rng)
        valleys += fan((-hip, hip_y), (-30, 30), (14, 34), 2, rng)
    marks = seam(look, f"M{-width - 4},{hem - 4} C{-width / 2},{hem} {width / 2},{hem} {width + 4},{hem - 4}", 0.5)
    options = {"depth": depth * 1.25, "bulge": 10, "roundness": 15, "smooth": 2.2}
    if kind in ("sheath", "a-line"):
        options |= {"marks": marks}
    return [cloth(look, d, ridges=tuple(ridges), valleys=tuple(valleys), **options)]


def _scalloped(half: str, width: float, hem: float, n: int, swing: float) -> str:
    """Closes a skirt with a hem that rises and falls with its folds."""
    step = width / max(n / 2, 1)
    waves, x, side = "", width, 1
    while x > 1:
        nxt = max(x - step / 2, 0)
        sag = 4 * (1 - (nxt / width) ** 2)
        waves += f"Q{(x + nxt) / 2},{hem + sag + side * swing * 1.6} {nxt},{hem + sag} "
        x, side = nxt, -side
    return symmetric(half + waves)


def _tiers(look: Look, waist: float, top: float, hem: float, width: float, rng: Rng) -> list[Part]:
    parts, count = [], 3
    for k in reversed(range(count)):
        y0, y1 = top + (hem - top) * k / count - 2, top + (hem - top) * (k + 1) / count
        w0 = waist + (width - waist) * k / count
        w1 = waist + (width - waist) * (k + 1) / count + 2
        half = f"M0,{y0} L{w0},{y0} C{w0 + 5},{y0 + 5} {w1},{y1 - 12} {w1},{y1 - 1} "
        n = 5 + 2 * k
        ridges, valleys = drape((-w0, w0, y0 + 1), (-w1, w1, y1 + 2), n, rng)
        parts.append(
            cloth(
                look,
                _scalloped(half, w1, y1, n, 1.2),
                ridges=tuple(ridges),
                valleys=tuple(valleys),
                bulge=7,
                depth=2.4,
            )
        )
    return parts


def _waist(look: Look, waist: float, y: float, rng: Rng) -> list[Part]:
    """A seam, a belt or a sash at the waist."""
    kind = rng.choice(["seam", "seam", "belt", "sash"])
    if kind == "seam":
        return [
            Part(
                _band(waist, y, 1.0),
                to_hex(darker(look.main, 0.35)),
                bulge=0,
                puff=0.5,
                crumple=0,
                shadow=0.4,
            )
        ]
    color = look.accent if kind == "belt" else mix(look.main, look.accent, 0.25)
    parts = [trim(look, _band(waist + 0.8, y, 5.5 if kind == "belt" else 8), color, shadow=0.5)]
    if kind == "belt":
        parts.append(buckle(0, y + 4.6, 5.6, 4.6, color))
        return parts
    for side, length in ((-1, 34), (1, 28)):
        tail = (
            f"M0,{y + 4} C{side * 4},{y + 10} {side * 6},{y + 20} {side * 5},{y + length} "
            f"L{side * 11},{y + length - 3} C{side * 10},{y + 18} {side * 7},{y + 8} 0,{y + 4} Z"
        )
        loop = (
            f"M0,{y + 4} C{side * 6},{y - 6} {side * 18},{y - 6} {side * 17},{y + 3} "
            f"C{side * 16},{y + 9} {side * 6},{y + 8} 0,{y + 4} Z"
        )
        parts += [trim(look, tail, color, shadow=0.6), trim(look, loop, color, shadow=0.6, bulge=3)]
    parts.append(trim(look, disc(0, y + 4, 3.4, 3), color, shadow=0.5, bulge=3))
    return parts


def _band(half: float, y: float, height: float) -> str:
    return symmetric(
        f"M0,{y + 2} C{half * 0.6},{y + 2} {half},{y} {half},{y} L{half},{y + height} "
        f"C{half},{y + height} {half * 0.6},{y + height + 2} 0,{y + height + 2}"
    )


def _straps(look: Look, rng: Rng) -> list[Part]:
    w = rng.uniform(1.2, 2.6)
    d = f"M{17 - w},-66 L{15 - w},-100 L{15 + w},-100 L{19 + w},-66 Z"
    back = symmetric("M0,-58 L24,-64 L27,-50 L0,-46")
    return [
        trim(look, back, look.lining, shadow=0.1),
        *both_sides(cloth(look, d, puff=0.8, bulge=0.4, crumple=0)),
    ]


def _dress_inside(look: Look, shoulder: Point) -> Part:
    x = shoulder[0] - 7
    d = symmetric(f"M0,-81 C10,-81 {x - 5},-84 {x},-87.5 L{x},-48 L0,-44")
    return trim(look, d, look.lining, bulge=0, shadow=0.2)


def _front_buttons(look: Look, waist_y: float) -> list[Part]:
    color = lighter(look.main, 0.5) if luminance(look.main) < 0.6 else darker(look.main, 0.3)
    marks = "".join(button(0, y, 1.8, color) for y in np.arange(-44, waist_y - 2, 9))
    d = box(-3.5, -51, 3.5, waist_y)
    return [cloth(look, d, marks=marks, puff=0.8, bulge=0.4, shadow=0.3, crumple=0.1)]


def _dress_figure(shoulder: Point, angle: float, hem: float, rng: Rng) -> list[Part]:
    skin = SKINS[int(rng.integers(len(SKINS)))]
    leg = (
        f"M3,{hem - 40} L20,{hem - 40} C21,{hem + 10} 19,{hem + 30} 17,{hem + 62} "
        f"L8,{hem + 62} C7,{hem + 30} 3,{hem} 3,{hem - 40} Z"
    )
    legs = both_sides(Part(leg, to_hex(skin), crumple=0, texture="skin", shine=0.25, bulge=7, roundness=9))
    return legs + figure(skin, (shoulder[0] + 4, -80), {"angle": angle, "bend": 8.0}, 30)
