"""Shoes from the side, toe to the right.

Garment units: a shoe is about 180 units long and stands on y = 46.
"""

import math
from dataclasses import replace

import numpy as np

from samples.drawing.cloth import Garment, Part
from samples.drawing.palette import RGB, Look, darker, lighter, luminance, mix, pick_look, to_hex
from samples.drawing.paths import Point, disc, filled, flip, points, pt, stroke
from samples.drawing.sewing import Rng, cloth, seam, trim

GROUND = 46.0
RUBBER: tuple[RGB, ...] = ((240, 240, 238), (228, 222, 208), (40, 40, 42), (196, 148, 100))


def shoes(name: str, rng: Rng) -> Garment:
    """One shoe or a pair in the color `name`."""
    kinds = {
        "brown": ["derby", "loafer", "boot", "chelsea", "sandal", "pump", "sneaker"],
        "white": ["runner", "sneaker", "sneaker", "high-top", "pump", "sandal", "loafer"],
    }.get(
        name,
        ["runner", "sneaker", "high-top", "boot", "chelsea", "derby", "loafer", "pump", "pump", "sandal"],
    )
    kind = str(rng.choice(kinds))
    texture = {"runner": "knit", "high-top": "canvas", "sneaker": "canvas"}.get(kind, "leather")
    if texture == "leather" and rng.random() < 0.35:
        texture = "suede"
    look = pick_look(name, rng, patterned=0.0, texture=texture)
    sole = _sole_color(kind, look, rng)
    if kind == "loafer" and rng.random() < 0.35:
        kind = "ballet"
    parts = _MAKERS[kind](look, sole, rng)
    traits = {"cut": kind, "heel": _HEELS.get(kind, "flat")}
    garment = Garment(front=parts, hang="", ground=GROUND, traits=traits)
    if rng.random() < 0.6:
        garment = _pair(garment, kind, rng)
    return garment.mapped(flip) if rng.random() < 0.5 else garment


def _sole_color(kind: str, look: Look, rng: Rng) -> RGB:
    if kind in ("runner", "sneaker", "high-top"):
        light = RUBBER[int(rng.choice([0, 0, 1, 2, 3]))]
        return (216, 214, 208) if look.name == "white" and luminance(light) > 0.7 else light
    if look.name == "white":
        return (206, 196, 178)
    return (44, 38, 36) if rng.random() < 0.7 else darker(look.main, 0.45)


def _pair(shoe: Garment, kind: str, rng: Rng) -> Garment:
    """Puts the other shoe of the pair behind the first."""
    dx, dy = rng.uniform(-30, -14) * rng.choice([-1, 1]), -rng.uniform(16, 26)
    size = rng.uniform(0.93, 0.98)
    other = shoe.mapped(lambda x, y: (size * x + dx, GROUND + size * (y - GROUND) + dy))
    return replace(shoe, front=other.front + shoe.front)


def _leather(look: Look, d: str, **options: object) -> Part:
    return cloth(look, d, **({"crumple": 0.35, "bulge": 9, "roundness": 12, "puff": 3, "shadow": 0.4} | options))


def _rubber(d: str, color: RGB, marks: str = "", **options: object) -> Part:
    defaults = {
        "crumple": 0.0,
        "bulge": 2.5,
        "roundness": 5.0,
        "puff": 2.5,
        "texture": "rubber",
        "shine": 0.25,
    }
    return Part(d, to_hex(color), marks=marks, **(defaults | {"shadow": 0.35} | options))


def _lace_color(look: Look, rng: Rng) -> RGB:
    if look.name == "white":
        return (214, 212, 206) if rng.random() < 0.7 else look.main
    return (240, 239, 235) if rng.random() < 0.65 else darker(look.main, 0.3)


def _laces(
    look: Look,
    start: tuple[float, float],
    end: tuple[float, float],
    n: int,
    reach: tuple[float, float],
    color: RGB,
) -> list[Part]:
    """Rungs of a lace between two ends of the opening; `reach` is how far a rung runs down the side."""
    parts = []
    for k in range(n):
        s = (k + 0.5) / n
        x, y = start[0] + s * (end[0] - start[0]), start[1] + s * (end[1] - start[1])
        dx, dy = reach
        d = (
            f"M{x + 1.6},{y - 3.2} C{x + 4},{y} {x + dx + 4},{y + dy * 0.5} {x + dx + 2.2},{y + dy} "
            f"L{x + dx - 2.2},{y + dy} C{x + dx},{y + dy * 0.5} {x - 1},{y + 2} {x - 3.4},{y + 1.2} Z"
        )
        eyelet = disc(x + dx, y + dy + 0.6, 2.1)
        parts.append(Part(eyelet, to_hex(darker(look.main, 0.5)), puff=0.6, bulge=0, crumple=0, shadow=0))
        parts.append(Part(d, to_hex(color), puff=1.4, bulge=0.8, roundness=2, crumple=0, shadow=0.7))
    return parts + _bow(start[0], start[1], color)


def _bow(x: float, y: float, color: RGB) -> list[Part]:
    """Two loops and two ends of a tied lace."""
    marks = (
        f"M{x},{y} C{x - 8},{y - 9} {x - 17},{y - 1} {x - 13},{y + 6} C{x - 10},{y + 9} {x - 4},{y + 4} {x},{y}",
        f"M{x},{y} C{x + 6},{y - 8} {x + 16},{y - 4} {x + 14},{y + 3} C{x + 12},{y + 7} {x + 5},{y + 4} {x},{y}",
        f"M{x},{y} C{x - 2},{y + 6} {x - 6},{y + 10} {x - 4},{y + 17}",
        f"M{x},{y} C{x + 4},{y + 5} {x + 4},{y + 10} {x + 8},{y + 14}",
    )
    return [_cord(d, 1.5, color) for d in marks]


def _cord(d: str, half: float, color: RGB) -> Part:
    """A round cord along an open path of one M and some C."""
    there = points(d)
    # The curve displaced to both sides: at this width the error of moving control points does not show.
    normals = []
    for k, p in enumerate(there):
        a, b = there[max(k - 1, 0)], there[min(k + 1, len(there) - 1)]
        n = math.hypot(b[0] - a[0], b[1] - a[1]) or 1.0
        normals.append((p, (-(b[1] - a[1]) / n * half, (b[0] - a[0]) / n * half)))
    one = [(p[0] + n[0], p[1] + n[1]) for p, n in normals]
    two = [(p[0] - n[0], p[1] - n[1]) for p, n in reversed(normals)]
    d = f"M{pt(one[0])} C{' '.join(map(pt, one[1:]))} L{pt(two[0])} C{' '.join(map(pt, two[1:]))} Z"
    return Part(d, to_hex(color), puff=1.2, bulge=0.6, roundness=2, crumple=0, shadow=0.6)


def _ankle_ring(look: Look, center: Point, rx: float, ry: float, width: float) -> tuple[list[Part], list[Part]]:
    """A strap around the ankle, seen from the side: its far half, and its near half with a buckle."""
    x, y = center
    halves = []
    for sign in (-1, 1):
        arc = (
            f"M{x - rx},{y} C{x - rx},{y + sign * ry * 1.33} {x + rx},{y + sign * ry * 1.33} {x + rx},{y} "
            f"L{x + rx},{y + width} C{x + rx},{y + width + sign * ry * 1.33} "
            f"{x - rx},{y + width + sign * ry * 1.33} "
            f"{x - rx},{y + width} Z"
        )
        halves.append(arc)
    far = trim(look, halves[0], look.lining, bulge=0.5, shadow=0.2)
    near = _leather(look, halves[1], bulge=1.5, roundness=3, puff=1.4)
    ring = disc(x + rx * 0.45, y + ry * 0.85 + width / 2, 3.0)
    buckle = Part(ring, "#c9b98a", puff=0.8, bulge=1, crumple=0, shine=1.0, texture="metal")
    return [far], [near, buckle]


def _opening(look: Look, d: str) -> Part:
    return trim(look, d, look.lining, bulge=0, shadow=0.0, puff=1, crumple=0.4)


# The kinds


def _sneaker(look: Look, sole: RGB, rng: Rng) -> list[Part]:
    """Low court shoe: smooth upper, flat rubber sole."""
    base = (
        "M-88,32 C-93,12 -92,-12 -85,-30 C-84,-36 -78,-38 -74,-35 C-64,-20 -46,-18 -34,-30 L-20,-44 "
        "C-14,-46 -10,-42 -8,-38 L34,-10 C52,-3 74,0 84,10 C92,18 92,26 91,34 Z"
    )
    tongue = "M-38,-28 C-38,-40 -34,-53 -26,-55 C-18,-55 -12,-48 -6,-40 L20,-18 L-10,-16 Z"
    heel = "M-90,34 C-94,10 -91,-14 -85,-31 C-80,-38 -77,-37 -74,-34 C-68,-22 -66,-8 -62,34 Z"
    toe = "M42,34 C40,16 46,2 58,-2 C76,2 92,10 92,34 Z"
    stay = "M-38,-26 L-20,-44 C-14,-46 -10,-42 -8,-38 L36,-9 L28,4 L-26,-12 Z"
    slab = "M-92,30 C-60,33 40,34 92,27 C97,30 96,40 90,44 C60,48 -60,48 -88,46 C-95,44 -95,34 -92,30 Z"
    groove = stroke("M-96,40 C-60,41 50,42 96,37", "#000000", 1.0, opacity=0.3)
    second = mix(look.main, look.accent, 0.5) if rng.random() < 0.3 else darker(look.main, 0.14)
    side = _emblem(look, rng)
    holes = "".join(filled(disc(x, y, 1.1), "#000000", 0.35) for x in (56, 63, 70) for y in (6, 12))
    return [
        _opening(look, "M-80,-36 C-60,-46 -40,-44 -26,-38 L-34,-20 L-72,-20 Z"),
        _leather(look, tongue, bulge=5),
        _leather(look, base, marks=side + holes),
        _leather(look, toe, bulge=5, marks=seam(look, "M44,34 C43,16 48,5 59,0.5", 0.7), shadow=0.25),
        trim(look, heel, second, bulge=4, marks=seam(look, "M-64,34 C-68,-6 -70,-20 -76,-32", 0.7), shadow=0.25),
        _leather(look, stay, bulge=2, marks=seam(look, "M-26,-10 L27,2", 0.7), shadow=0.35),
        *_laces(look, (-14, -43), (28, -13), 5, (-6, 14), _lace_color(look, rng)),
        _rubber(slab, sole, groove),
    ]


def _emblem(look: Look, rng: Rng) -> str:
    """A side panel or a plain stripe; none is a brand's logo."""
    kind = rng.integers(4)
    color = look.accent if abs(luminance(look.accent) - luminance(look.main)) > 0.25 else lighter(look.main, 0.5)
    if look.name == "white" and luminance(color) > 0.7:
        color = (150, 152, 156)
    if kind == 0:
        return stroke("M-50,26 C-36,12 -24,4 -14,-4", to_hex(color), 6.5)
    if kind == 1:
        return stroke("M-54,6 L-44,18 L-34,6 L-24,18 L-14,6 L-4,18", to_hex(color), 3.5)
    if kind == 2:
        return filled(disc(-34, 12, 8), to_hex(color)) + filled(disc(-34, 12, 4.4), to_hex(look.main))
    return seam(look, "M-62,18 C-30,10 10,14 42,24", 0.8)


def _runner(look: Look, sole: RGB, rng: Rng) -> list[Part]:
    """Running shoe: knitted upper, thick curved sole."""
    base = (
        "M-86,30 C-94,10 -92,-12 -88,-36 C-86,-42 -80,-42 -77,-38 C-68,-18 -48,-16 -34,-28 L-22,-42 "
        "C-14,-44 -10,-40 -6,-34 L32,-8 C54,0 80,4 92,20 C95,25 94,30 92,34 Z"
    )
    tongue = "M-40,-26 C-40,-38 -36,-50 -28,-52 C-20,-52 -12,-44 -6,-36 L20,-16 L-12,-14 Z"
    slab = (
        "M-93,16 C-84,20 -50,26 -20,26 C20,27 60,28 94,22 C101,25 99,36 90,41 C60,48 20,47 "
        "-6,44 C-40,48 -80,49 -92,44 "
        "C-99,40 -98,22 -93,16 Z"
    )
    tread = (
        "M-96,38 C-90,44 -40,43 -6,40 C20,43 60,44 97,33 C96,40 90,43 86,43 C60,49 20,48 -6,45 C-40,49 -80,50 -92,45 Z"
    )
    heel = "M-90,26 C-94,6 -92,-6 -90,-22 C-78,-18 -66,0 -58,24 Z"
    second = mix(look.main, look.accent, 0.6) if rng.random() < 0.4 else darker(look.main, 0.25)
    swing = stroke("M-60,24 C-44,0 -24,-10 -2,-18 M-40,26 C-24,6 -6,-4 14,-8", to_hex(second), rng.uniform(3.5, 6))
    return [
        _opening(look, "M-82,-40 C-62,-48 -42,-44 -28,-36 L-36,-18 L-72,-18 Z"),
        _leather(look, tongue, bulge=5),
        _leather(look, base, marks=swing, crumple=0.5),
        trim(look, heel, second, bulge=4, shadow=0.2),
        trim(look, "M58,30 C58,16 66,6 74,6 C84,8 94,18 94,30 Z", second, bulge=4, shadow=0.2),
        *_laces(look, (-16, -41), (28, -11), 5, (-6, 13), _lace_color(look, rng)),
        _rubber(slab, sole, stroke("M-92,30 C-40,38 40,36 96,29", "#000000", 1.0, opacity=0.2), bulge=5),
        _rubber(tread, darker(sole, 0.4) if luminance(sole) > 0.3 else lighter(sole, 0.2), puff=1.2),
    ]


def _high_top(look: Look, sole: RGB, rng: Rng) -> list[Part]:
    """Canvas high-top with a rubber toe cap."""
    base = (
        "M-84,32 C-90,6 -82,-30 -82,-66 C-82,-74 -78,-78 -72,-79 L-36,-84 C-32,-84 -30,-82 -29,-78 L-22,-46 "
        "C-16,-30 0,-18 28,-8 C54,0 84,4 88,32 Z"
    )
    tongue = "M-50,-76 C-46,-94 -30,-98 -22,-92 C-18,-84 -16,-66 -12,-50 L10,-18 L-24,-30 Z"
    toe = "M44,33 C44,12 54,0 64,2 C82,6 93,18 92,34 Z"
    slab = "M-88,30 C-60,33 40,33 92,29 C96,32 95,41 90,45 C60,47 -60,47 -86,46 C-92,44 -92,34 -88,30 Z"
    line = mix(look.main, (20, 20, 20), 0.2)
    marks = stroke("M-92,37 C-60,38 40,38 96,35", to_hex(line), 1.6)
    seams = seam(look, "M-80,-20 C-60,-14 -40,-14 -20,-10 L24,6", 0.7) + seam(
        look, "M-62,32 C-62,0 -66,-40 -70,-78", 0.8
    )
    folds = ("M-80,-34 Q-60,-28 -34,-38 Q-60,-24 -80,-34 Z", "M-82,-10 Q-60,-4 -30,-14 Q-58,2 -82,-10 Z")
    strip = "M-86,32 C-91,14 -88,-6 -86,-16 L-74,-16 C-75,0 -74,20 -72,32 Z"
    cap = (226, 222, 212) if look.name == "white" else RUBBER[0]
    return [
        _opening(look, "M-78,-78 C-66,-88 -50,-88 -36,-82 L-44,-64 L-72,-64 Z"),
        cloth(look, tongue, bulge=4, crumple=0.4),
        cloth(look, base, marks=seams, valleys=folds, bulge=10, roundness=12, puff=2.5, crumple=0.7),
        trim(look, strip, darker(look.main, 0.12), bulge=2),
        _rubber(toe, cap, bulge=6, roundness=8),
        *_laces(look, (-30, -76), (22, -12), 8, (-10, 7), _lace_color(look, rng)),
        _rubber(slab, sole if luminance(sole) > 0.5 else cap, marks),
    ]


def _boot(look: Look, sole: RGB, rng: Rng) -> list[Part]:
    """Laced ankle boot."""
    base = (
        "M-74,30 C-82,10 -74,-30 -76,-84 C-76,-88 -72,-90 -68,-90 L-26,-92 C-22,-92 -20,-90 -20,-86 L-16,-48 "
        "C-12,-30 6,-18 30,-12 C60,-8 86,4 88,30 Z"
    )
    tongue = "M-44,-86 C-40,-104 -24,-106 -16,-100 C-12,-88 -10,-66 -6,-46 L14,-16 L-20,-30 Z"
    toe = "M40,31 C38,10 44,-4 54,-8 C74,-4 90,8 90,31 Z"
    slab = "M-78,28 C-40,32 50,32 92,27 L93,38 C60,42 0,41 -24,38 L-26,46 L-78,46 Z"
    welt = stroke("M-76,31 C-40,35 50,35 92,30", "#e0c080", 0.9, "2 1.6", opacity=0.8)
    collar = "M-78,-76 C-78,-88 -76,-92 -70,-92 L-26,-94 C-20,-93 -18,-90 -18,-82 L-18,-78 C-40,-72 -60,-72 -78,-76 Z"
    seams = seam(look, "M-46,30 C-48,0 -34,-20 -12,-32", 0.8)
    folds = ("M-76,-20 Q-50,-10 -18,-34 Q-48,-2 -76,-20 Z", "M-70,-2 Q-44,4 -14,-16 Q-40,14 -70,-2 Z")
    return [
        _opening(look, "M-72,-90 C-60,-98 -44,-98 -30,-92 L-36,-76 L-68,-76 Z"),
        _leather(look, tongue, bulge=4),
        _leather(look, base, marks=seams, valleys=folds),
        _leather(look, toe, bulge=6, marks=seam(look, "M42,31 C41,11 46,0 55,-5", 0.8), shadow=0.3),
        trim(look, collar, darker(look.main, 0.22), bulge=4, shadow=0.3),
        *_laces(
            look,
            (-22, -84),
            (28, -16),
            8,
            (-9, 8),
            look.accent if rng.random() < 0.3 else darker(look.main, 0.4),
        ),
        _rubber(slab, sole, welt, puff=1.4),
    ]


def _chelsea(look: Look, sole: RGB, rng: Rng) -> list[Part]:
    """Chelsea boot with an elastic side."""
    base = (
        "M-72,34 C-80,12 -70,-30 -72,-80 C-72,-86 -68,-88 -64,-88 L-20,-90 C-16,-90 -14,-88 -14,-84 L-12,-46 "
        "C-8,-24 14,-12 40,-4 C66,2 88,12 88,34 Z"
    )
    elastic = "M-56,-86 L-26,-88 C-26,-60 -32,-38 -40,-30 C-50,-38 -56,-60 -56,-86 Z"
    ribs = "".join(stroke(f"M{x},-90 L{x},-28", "#000000", 0.8, opacity=0.35) for x in np.arange(-56, -24, 2.6))
    slab = "M-74,32 C-40,36 50,36 91,31 C93,34 92,37 89,38 C60,41 0,40 -26,37 L-28,46 L-75,46 Z"
    loop = "M-76,-92 L-70,-104 L-65,-104 L-66,-80 L-72,-80 Z"
    seams = seam(look, "M-40,-30 C-42,-10 -44,10 -42,34", 0.8)
    folds = ("M-20,-40 Q0,-26 24,-14 Q-4,-20 -20,-40 Z", "M-66,-14 Q-44,-8 -10,-26 Q-42,2 -66,-14 Z")
    return [
        _opening(look, "M-68,-88 C-56,-96 -36,-96 -20,-90 L-26,-76 L-64,-76 Z"),
        trim(look, loop, darker(look.main, 0.3)),
        _leather(look, base, marks=seams, valleys=folds, bulge=11),
        trim(look, elastic, mix(look.main, (30, 30, 32), 0.55), marks=ribs, bulge=1, shadow=0.0),
        _rubber(slab, sole, puff=1.4),
    ]


def _derby(look: Look, sole: RGB, rng: Rng) -> list[Part]:
    """Low laced leather shoe with a heel block."""
    base = (
        "M-82,30 C-88,12 -88,-6 -82,-22 C-80,-28 -76,-28 -72,-26 C-60,-16 -44,-16 -32,-24 "
        "L-16,-34 C-10,-36 -6,-34 -2,-30 "
        "C10,-18 24,-10 42,-4 C64,2 90,8 92,30 Z"
    )
    tongue = "M-32,-20 C-32,-30 -28,-41 -20,-42 C-12,-42 -6,-36 0,-28 L14,-12 L-14,-10 Z"
    quarter = "M-34,-22 L-16,-35 C-10,-37 -6,-35 -2,-31 C8,-20 16,-14 24,-9 L12,8 C-4,4 -18,-4 -34,-22 Z"
    slab = "M-84,29 C-40,33 50,33 95,28 C97,31 96,35 92,37 C60,40 0,38 -32,36 L-34,46 L-84,46 Z"
    seams = seam(look, "M12,8 C6,18 2,24 0,32", 0.7) + seam(look, "M46,32 C46,16 52,4 60,0", 0.7)
    punch = "".join(filled(disc(49 + t * 9, 28 - t * 26, 1.0), "#000000", 0.5) for t in np.linspace(0, 1, 8))
    return [
        _opening(look, "M-78,-26 C-60,-34 -40,-32 -24,-28 L-34,-14 L-70,-14 Z"),
        _leather(look, tongue, bulge=4),
        _leather(look, base, marks=seams + (punch if rng.random() < 0.5 else "")),
        _leather(look, quarter, bulge=3, marks=seam(look, "M-30,-20 C-16,-5 -4,2 11,6", 0.6)),
        *_laces(
            look,
            (-12, -34),
            (16, -14),
            4,
            (-4, 9),
            darker(look.main, 0.4) if luminance(look.main) > 0.2 else (24, 24, 26),
        ),
        _rubber(
            slab,
            sole,
            stroke("M-84,31.5 C-40,35.5 50,35.5 95,30.5", "#d8b880", 0.7, "1.6 1.4", opacity=0.5),
            puff=1.2,
        ),
    ]


def _loafer(look: Look, sole: RGB, rng: Rng) -> list[Part]:
    """Slip-on with a strap over the instep."""
    base = (
        "M-82,31 C-88,12 -88,-4 -82,-20 C-80,-25 -76,-25 -72,-22 C-54,-8 -32,-6 -14,-20 C-6,-28 4,-30 12,-24 "
        "C26,-14 40,-8 56,-3 C74,3 92,10 92,31 Z"
    )
    tab = "M-16,-17 C-10,-25 2,-29 12,-24 L30,-13 L22,-4 C8,-6 -4,-8 -16,-18 Z"
    strap = "M-4,-10 C4,-16 22,-20 34,-10 L26,31 L-8,31 C-6,16 -6,4 -4,-10 Z"
    slab = "M-84,30 C-40,34 50,34 95,29 C97,32 96,36 92,38 C60,40 0,39 -34,37 L-36,46 L-84,46 Z"
    apron = seam(look, "M32,2 C50,2 72,6 84,16", 1.1)
    slot = filled("M4,2 L22,2 L18,9 L8,9 Z", "#000000", 0.5)
    return [
        _opening(look, "M-78,-22 C-56,-30 -34,-28 -10,-22 L-20,-6 L-70,-8 Z"),
        _leather(look, tab, bulge=4),
        _leather(look, base, marks=apron),
        _leather(look, strap, bulge=3, marks=slot + seam(look, "M-2,-8 C8,-12 20,-14 30,-8", 0.6), shadow=0.5),
        _rubber(slab, sole, puff=1.2),
    ]


def _ballet(look: Look, sole: RGB, rng: Rng) -> list[Part]:
    """Ballet flat with a bow."""
    base = (
        "M-84,38 C-90,18 -90,4 -84,-12 C-82,-16 -78,-16 -75,-12 C-60,14 -10,22 30,2 C36,-2 "
        "42,-2 48,2 C70,8 92,18 94,38 Z"
    )
    slab = "M-86,37 C-40,41 50,41 96,36 C98,40 95,44 90,44 C50,46 -20,45 -48,44 L-50,47 L-86,47 Z"
    bow = "M46,2 C36,-12 24,-10 26,0 C28,8 38,8 46,2 C56,-8 68,-6 66,4 C62,12 52,8 46,2 Z"
    return [
        _opening(look, "M-82,-12 C-50,-6 0,-10 42,0 L10,16 L-50,16 Z"),
        _leather(look, base, marks=seam(look, "M-80,-10 C-60,20 -8,26 34,4", 0.6)),
        _leather(look, bow, bulge=3, roundness=4, shadow=0.6),
        _rubber(slab, sole, puff=1.2),
    ]


def _pump(look: Look, sole: RGB, rng: Rng) -> list[Part]:
    """Court shoe with a high heel, pointed or rounded toe, maybe an ankle strap."""
    base = (
        "M-82,-18 C-90,-34 -86,-52 -78,-62 C-74,-66 -70,-64 -68,-60 C-58,-34 -20,-2 22,10 C32,10 40,6 48,8 "
        "C70,14 90,26 98,40 C98,43 96,44 92,44 L30,44 C0,42 -20,20 -40,2 C-54,-10 -70,-14 -82,-18 Z"
    )
    inner = "M-76,-62 C-52,-60 10,-20 46,8 L22,14 C-20,0 -58,-32 -76,-62 Z"
    under = "M-82,-20 C-70,-16 -54,-12 -40,0 C-20,18 0,40 30,43 L94,43 C92,47 88,47 84,47 L28,47 C-2,45 -26,20 -46,4 Z"
    slim = rng.random() < 0.6
    heel = (
        "M-84,-26 C-70,-20 -58,-14 -48,-2 C-62,6 -70,24 -72,46 L-79,46 C-80,20 -84,0 -84,-26 Z"
        if slim
        else "M-86,-24 C-70,-20 -54,-12 -44,2 C-50,16 -52,30 -52,46 L-80,46 C-82,24 -86,0 -86,-24 Z"
    )
    parts = [
        trim(look, inner, mix((214, 186, 156), look.main, 0.25), bulge=0, shadow=0.2, puff=1),
        _leather(look, heel, bulge=5, roundness=6),
        _rubber(under, sole, puff=1),
        _leather(look, base, shine=0.8, texture=look.texture, shadow=0.3),
    ]
    if rng.random() < 0.45:
        far, near = _ankle_ring(look, (-53, -72), 27, 8, 5)
        tab = _leather(look, "M-82,-58 L-81,-74 L-75,-74 L-72,-56 Z", bulge=2, roundness=4, puff=1.2)
        parts = [*far, *parts, tab, *near]
    return parts


def _sandal(look: Look, sole: RGB, rng: Rng) -> list[Part]:
    """Flat or wedge sandal with broad straps."""
    lift = rng.uniform(0, 20)
    top = 30 - lift
    cork = (188, 146, 104) if look.name != "brown" and rng.random() < 0.5 else darker(look.main, 0.2)
    if look.name == "white":
        cork = (200, 176, 146)
    foot = f"M-88,{top - 6} C-60,{top} 0,28 40,28 C70,28 90,24 94,30 L94,36 L-88,{top + 4} Z"
    slab = (
        f"M-90,{top - 2} C-60,{top + 3} 0,31 40,31 C70,31 92,27 96,31 C98,38 96,44 90,45 "
        f"L-84,46 C-92,44 -92,{top + 8} -90,{top - 2} Z"
    )
    tread = "M-90,40 C-40,42 40,42 97,38 C96,44 93,46 88,47 L-84,47 C-90,46 -90,43 -90,40 Z"
    bands = {
        "slide": ["M-2,32 C2,4 14,-16 34,-18 C54,-18 70,0 76,31 Z"],
        "cross": [
            "M82,31 C78,8 62,-10 40,-20 C30,-25 18,-26 10,-22 L14,-8 C34,-4 46,10 52,32 Z",
            "M-14,32 C-8,12 2,-8 22,-20 C32,-26 44,-24 52,-16 L48,-4 C34,2 22,16 18,32 Z",
        ],
    }
    kind = str(rng.choice(list(bands)))
    tops = [_leather(look, d, bulge=6, roundness=8, puff=2) for d in bands[kind]]
    far: list[Part] = []
    if kind != "slide":
        far, near = _ankle_ring(look, (-48, -52), 30, 8, 7)
        counter = f"M-88,{top} C-92,-16 -88,-38 -80,-52 L-70,-50 C-66,-34 -62,-14 -58,{top + 3} Z"
        tops += [_leather(look, counter, bulge=5, roundness=6, puff=2), *near]
    return [
        *far,
        trim(look, foot, mix(look.main, (120, 90, 64), 0.35), bulge=0.5, shadow=0.1),
        *tops,
        _rubber(slab, cork, puff=1.5),
        _rubber(tread, sole, puff=1),
    ]


_MAKERS = {
    "sneaker": _sneaker,
    "runner": _runner,
    "high-top": _high_top,
    "boot": _boot,
    "chelsea": _chelsea,
    "derby": _derby,
    "loafer": _loafer,
    "ballet": _ballet,
    "pump": _pump,
    "sandal": _sandal,
}
_HEELS = {"boot": "block", "chelsea": "block", "derby": "block", "loafer": "block", "pump": "high"}  # others are flat
