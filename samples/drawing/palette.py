"""What a color name means in cloth: shades, patterns and trims."""

import colorsys
from dataclasses import dataclass

import numpy as np

RGB = tuple[float, float, float]

# Each name is a range of shades, as a few anchors (sRGB 0-255) between which a picture picks its own.
SHADES: dict[str, tuple[RGB, ...]] = {
    "black": ((22, 22, 25), (34, 34, 38), (44, 45, 50), (30, 28, 30)),
    "blue": ((28, 42, 88), (38, 70, 150), (44, 98, 190), (82, 142, 208), (62, 92, 140), (24, 62, 120)),
    "brown": ((74, 46, 30), (104, 66, 42), (134, 88, 54), (158, 110, 70), (92, 54, 32)),
    "green": ((72, 84, 42), (36, 88, 56), (28, 124, 78), (74, 146, 84), (44, 100, 44), (96, 122, 70)),
    "red": ((120, 18, 34), (158, 22, 36), (196, 26, 38), (212, 40, 42), (178, 30, 52)),
    "white": ((236, 236, 236), (242, 240, 234), (232, 235, 240), (240, 236, 226)),
}
DENIM: dict[str, tuple[RGB, ...]] = {
    "blue": ((42, 58, 92), (62, 88, 132), (94, 126, 168), (50, 74, 116), (122, 152, 186)),
    "black": ((36, 37, 41), (48, 49, 54)),
    "white": ((234, 234, 232),),
}
NEUTRALS: tuple[RGB, ...] = ((238, 236, 232), (40, 40, 44), (150, 150, 152), (190, 174, 148), (70, 84, 110))


def to_hex(rgb: RGB) -> str:
    """`#rrggbb` of a color, clipped."""
    return "#" + "".join(f"{int(np.clip(round(c), 0, 255)):02x}" for c in rgb)


def from_hex(text: str) -> RGB:
    """The color that `#rrggbb` stands for."""
    return tuple(float(int(text[i : i + 2], 16)) for i in (1, 3, 5))


def mix(a: RGB, b: RGB, share: float) -> RGB:
    """`share` of b in a."""
    return tuple(x + (y - x) * share for x, y in zip(a, b, strict=True))


def darker(rgb: RGB, share: float) -> RGB:
    """Toward black."""
    return mix(rgb, (0, 0, 0), share)


def lighter(rgb: RGB, share: float) -> RGB:
    """Toward white."""
    return mix(rgb, (255, 255, 255), share)


def luminance(rgb: RGB) -> float:
    """Brightness in [0, 1]."""
    return (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) / 255


def pick_shade(shades: tuple[RGB, ...], rng: np.random.Generator) -> RGB:
    """A color between two of the anchors, slightly shifted in hue and brightness."""
    a, b = rng.choice(len(shades), 2)
    base = mix(shades[a], shades[b], float(rng.uniform(0, 0.5)))
    hue, light, saturation = colorsys.rgb_to_hls(*(c / 255 for c in base))
    hue = (hue + rng.normal(0, 0.006)) % 1
    light = float(np.clip(light * rng.normal(1, 0.05), 0.07, 0.95))
    return tuple(255 * c for c in colorsys.hls_to_rgb(hue, light, saturation))


@dataclass(frozen=True)
class Look:
    """The cloth of one garment: colors as RGB, pattern as SVG markup with the id `pattern`, or empty, and its name."""

    name: str
    main: RGB
    accent: RGB
    stitch: RGB
    pattern: str = ""
    texture: str = "cotton"
    shine: float = 0.0
    pattern_name: str = "plain"

    @property
    def lining(self) -> RGB:
        """The inside of the garment, in its own shadow."""
        return darker(self.main, 0.38) if luminance(self.main) > 0.2 else mix(self.main, (8, 8, 10), 0.5)


def _stripes(ink: str, pitch: float, width: float, angle: float) -> str:
    return (
        f'<pattern id="pattern" patternUnits="userSpaceOnUse" width="{pitch:.2f}" height="{pitch:.2f}" '
        f'patternTransform="rotate({angle:.1f})"><rect width="{pitch:.2f}" height="{pitch:.2f}" fill="BASE"/>'
        f'<rect y="{pitch / 2:.2f}" width="{pitch:.2f}" height="{width:.2f}" fill="{ink}"/></pattern>'
    )


def _dots(ink: str, pitch: float, radius: float, angle: float) -> str:
    spots = "".join(
        f'<circle cx="{pitch * x:.2f}" cy="{pitch * y:.2f}" r="{radius:.2f}" fill="{ink}"/>'
        for x, y in ((0.25, 0.25), (0.75, 0.75))
    )
    return (
        f'<pattern id="pattern" patternUnits="userSpaceOnUse" width="{pitch:.2f}" height="{pitch:.2f}" '
        f'patternTransform="rotate({angle:.1f})"><rect width="{pitch:.2f}" height="{pitch:.2f}" fill="BASE"/>'
        f"{spots}</pattern>"
    )


def _plaid(ink: str, line: str, pitch: float, angle: float) -> str:
    p = pitch
    return (
        f'<pattern id="pattern" patternUnits="userSpaceOnUse" width="{p:.2f}" height="{p:.2f}" '
        f'patternTransform="rotate({angle:.1f})"><rect width="{p:.2f}" height="{p:.2f}" fill="BASE"/>'
        f'<rect width="{p * 0.34:.2f}" height="{p:.2f}" fill="{ink}" opacity=".45"/>'
        f'<rect width="{p:.2f}" height="{p * 0.34:.2f}" fill="{ink}" opacity=".45"/>'
        f'<rect x="{p * 0.64:.2f}" width="{p * 0.05:.2f}" height="{p:.2f}" fill="{line}" opacity=".7"/>'
        f'<rect y="{p * 0.64:.2f}" width="{p:.2f}" height="{p * 0.05:.2f}" fill="{line}" opacity=".7"/>'
        "</pattern>"
    )


def _print(ink: str, leaf: str, pitch: float, angle: float) -> str:
    """Small five-petalled flowers with a leaf, two per tile."""
    p = pitch
    blossoms = ""
    for cx, cy, turn in ((0.28, 0.3, 0), (0.76, 0.78, 40)):
        for k in range(5):
            a = np.deg2rad(turn + 72 * k)
            x, y = p * cx + p * 0.075 * np.cos(a), p * cy + p * 0.075 * np.sin(a)
            blossoms += f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{p * 0.055:.2f}" fill="{ink}"/>'
        blossoms += f'<circle cx="{p * cx:.2f}" cy="{p * cy:.2f}" r="{p * 0.04:.2f}" fill="BASE"/>'
        blossoms += (
            f'<ellipse cx="{p * (cx + 0.17):.2f}" cy="{p * (cy - 0.12):.2f}" '
            f'rx="{p * 0.07:.2f}" ry="{p * 0.03:.2f}" '
            f'fill="{leaf}" transform="rotate({turn - 40} {p * (cx + 0.17):.2f} {p * (cy - 0.12):.2f})"/>'
        )
    return (
        f'<pattern id="pattern" patternUnits="userSpaceOnUse" width="{p:.2f}" height="{p:.2f}" '
        f'patternTransform="rotate({angle:.1f})"><rect width="{p:.2f}" height="{p:.2f}" fill="BASE"/>'
        f"{blossoms}</pattern>"
    )


def _inks(main: RGB, name: str, rng: np.random.Generator) -> tuple[RGB, RGB]:
    """Two colors to print on `main` with: one that stands out, one near the main color."""
    if name == "white":
        strong = [(52, 74, 120), (60, 60, 64), (170, 60, 62), (96, 122, 96), (186, 164, 132)][int(rng.integers(5))]
        return strong, mix(main, strong, 0.25)
    if name == "black":
        return mix(main, (235, 235, 235), float(rng.uniform(0.4, 0.95))), mix(main, (160, 160, 165), 0.3)
    light = lighter(main, float(rng.uniform(0.7, 0.95)))
    return (light if rng.random() < 0.7 else darker(main, 0.6)), darker(main, 0.35)


def pick_pattern(main: RGB, name: str, rng: np.random.Generator) -> tuple[str, str]:
    """A mild pattern, by name and as markup: the main color still covers most of the cloth."""
    strong, near = _inks(main, name, rng)
    kind = str(rng.choice(["stripes", "pinstripes", "dots", "plaid", "print"]))
    if kind == "stripes":
        pitch, angle = rng.uniform(10, 18), rng.choice([0.0, 0.0, 90.0])
        markup = _stripes(to_hex(strong), pitch, pitch * rng.uniform(0.15, 0.34), angle)
    elif kind == "pinstripes":
        markup = _stripes(to_hex(mix(main, strong, 0.6)), rng.uniform(6, 10), 0.9, 90)
    elif kind == "dots":
        pitch = rng.uniform(10, 18)
        markup = _dots(to_hex(strong), pitch, pitch * rng.uniform(0.08, 0.15), rng.uniform(-20, 20))
    elif kind == "plaid":
        markup = _plaid(to_hex(near), to_hex(strong), rng.uniform(20, 32), 0)
    else:
        markup = _print(to_hex(strong), to_hex(mix(near, (70, 110, 70), 0.4)), rng.uniform(18, 26), rng.uniform(0, 45))
    return kind, markup.replace("BASE", to_hex(main))


def pick_look(name: str, rng: np.random.Generator, *, patterned: float, texture: str = "cotton") -> Look:
    """The cloth of one garment.

    Args:
        name: one of `SHADES`, for one of its shades; or exactly that color, `#rrggbb`.
        rng: the picture's own generator.
        patterned: chance of a printed or woven pattern.
        texture: "cotton", "denim", "knit", "satin", "leather" or "canvas".
    """
    if name.startswith("#"):
        main = from_hex(name)
    else:
        main = pick_shade(DENIM.get(name, SHADES[name]) if texture == "denim" else SHADES[name], rng)
    accent = NEUTRALS[int(rng.integers(len(NEUTRALS)))]
    if texture == "denim":
        stitch = (196, 148, 84) if name == "blue" and rng.random() < 0.7 else mix(main, (210, 205, 195), 0.45)
    else:
        stitch = darker(main, 0.3) if luminance(main) > 0.3 else lighter(main, 0.25)
    pattern_name, pattern = pick_pattern(main, name, rng) if rng.random() < patterned else ("plain", "")
    shine = {"satin": 0.5, "leather": 0.6}.get(texture, 0.12)
    return Look(name, main, accent, stitch, pattern, texture, shine, pattern_name)
