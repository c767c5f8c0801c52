"""From outlines to lit cloth.

A garment is a pile of `Part`s. resvg fills each outline (color, pattern, stitching); the rest is a small
relief renderer: the outline is inflated to a height, folds and creases are pressed into it, and one lamp
lights the slope. That is what makes a vector drawing look photographed.

Arrays are (h, w) or (h, w, 3) float32 in [0, 1].
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import resvg_py
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter, shift

from samples.drawing.paths import Point, filled, mapped, mapped_markup, points

Warp = Callable[[float, float], Point]


@dataclass(frozen=True)
class Part:
    """One piece of cloth, leather, rubber or skin.

    Attributes:
        d: outline as path data, in garment units.
        fill: color, `#rrggbb`.
        pattern: markup of a `<pattern id="pattern">` that replaces the fill, or empty.
        marks: markup drawn on the piece and clipped to it: seams, buttons, prints.
        ridges: outlines of folds that stand up.
        valleys: outlines of folds that sink in.
        puff: width of the rounded edge, in units.
        bulge: how much the whole piece swells, in units; its scale is `roundness`.
        roundness: scale of the swelling, in units.
        depth: height of a fold, in units.
        crumple: height of random creases, in units.
        texture: fabric grain, see `_grain`.
        shine: strength of the highlights.
        shadow: strength of the shadow that the piece casts on what lies below.
        smooth: softness of the folds, in units.
    """

    d: str
    fill: str
    pattern: str = ""
    marks: str = ""
    ridges: tuple[str, ...] = ()
    valleys: tuple[str, ...] = ()
    puff: float = 2.2
    bulge: float = 6.0
    roundness: float = 14.0
    depth: float = 2.2
    crumple: float = 0.6
    texture: str = "cotton"
    shine: float = 0.12
    shadow: float = 0.5
    smooth: float = 1.7

    def mapped(self, f: Warp) -> "Part":
        """The same piece with every point sent through `f`."""
        return replace(
            self,
            d=mapped(self.d, f),
            marks=mapped_markup(self.marks, f),
            ridges=tuple(mapped(d, f) for d in self.ridges),
            valleys=tuple(mapped(d, f) for d in self.valleys),
        )


@dataclass
class Garment:
    """Pieces from bottom to top, in three groups so that a hanger or a body fits between back and front.

    Attributes:
        back: what shows through the openings.
        front: the garment.
        body: a figure that fits this cut.
        hang: where a hanger holds it: "neck", "waist", or "" for shoes.
        ground: y of the floor line for things that stand, in units.
        span: half width of a hanger that fits the shoulders, in units.
        traits: how it is made: "cut" and "pattern", and "sleeve" or "heel" where it has one.
    """

    back: list[Part] = field(default_factory=list)
    front: list[Part] = field(default_factory=list)
    body: list[Part] = field(default_factory=list)
    hang: str = "neck"
    ground: float = 100.0
    span: float = 44.0
    traits: dict[str, str] = field(default_factory=dict)

    def mapped(self, f: Warp) -> "Garment":
        """The same garment with every point sent through `f`."""
        move = lambda parts: [part.mapped(f) for part in parts]  # noqa: E731
        return replace(self, back=move(self.back), front=move(self.front), body=move(self.body))

    def outline(self) -> list[Point]:
        """All points of the garment itself."""
        return [p for part in self.front + self.back for p in points(part.d)]


@dataclass(frozen=True)
class View:
    """Garment units to pixels: `x -> a x + c y + e`, `y -> b x + d y + f` on a square canvas of `size` px."""

    size: int
    matrix: tuple[float, float, float, float, float, float]

    @property
    def scale(self) -> float:
        """Pixels per unit."""
        a, b, c, d, _, _ = self.matrix
        return math.sqrt(abs(a * d - b * c))

    @classmethod
    def fit(cls, outline: list[Point], size: int, fill: float, turn: float, center: Point) -> "View":
        """Shows the points at `fill` of the canvas, turned by `turn` degrees, centred at `center` (0..1)."""
        cos, sin = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        turned = np.array(outline) @ np.array([[cos, sin], [-sin, cos]])
        low, high = turned.min(axis=0), turned.max(axis=0)
        k = fill * size / float((high - low).max())
        shift_x, shift_y = np.array(center) * size - k * (low + high) / 2
        return cls(size, (k * cos, k * sin, -k * sin, k * cos, float(shift_x), float(shift_y)))


@dataclass(frozen=True)
class Light:
    """One lamp: direction in the picture plane (radians), how low it stands, how strong its contrast is."""

    angle: float
    slant: float = 0.75
    contrast: float = 0.6

    @property
    def vector(self) -> tuple[float, float, float]:
        """Unit vector toward the lamp; z points at the viewer."""
        x, y, z = self.slant * math.cos(self.angle), self.slant * math.sin(self.angle), 1.0
        n = math.sqrt(x * x + y * y + z * z)
        return x / n, y / n, z / n


def rasterise(markup: str, view: View, defs: str = "") -> np.ndarray:
    """SVG markup in garment units -> (h, w, 4) float32, color not premultiplied."""
    matrix = " ".join(f"{v:.4f}" for v in view.matrix)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{view.size}" height="{view.size}" '
        f'viewBox="0 0 {view.size} {view.size}"><defs>{defs}</defs>'
        f'<g transform="matrix({matrix})">{markup}</g></svg>'
    )
    png = resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"), dtype=np.float32) / 255


def blur(array: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of a (h, w) array."""
    return gaussian_filter(array, sigma, mode="nearest", truncate=3.0)


def noise(shape: tuple[int, int], sigma: float | tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of unit variance; `sigma` is the blur down and across, in px."""
    down, across = (sigma, sigma) if isinstance(sigma, (int, float)) else sigma
    # Coarse noise is drawn on a coarse grid and enlarged: as good, and far cheaper than a wide blur.
    step_y, step_x = max(1, int(down / 2)), max(1, int(across / 2))
    small = rng.standard_normal((-(-shape[0] // step_y) + 8, -(-shape[1] // step_x) + 8)).astype(np.float32)
    small = gaussian_filter(small, (down / step_y, across / step_x))
    image = Image.fromarray(small).resize((small.shape[1] * step_x, small.shape[0] * step_y), Image.Resampling.BICUBIC)
    field_ = np.asarray(image)[2 * step_y :, 2 * step_x :][: shape[0], : shape[1]]
    return (field_ - field_.mean()) / (field_.std() + 1e-6)


def _grain(texture: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Fine relative brightness of a fabric, around 1."""
    if texture == "denim":
        yy, xx = np.mgrid[: shape[0], : shape[1]]
        twill = np.sin((xx + yy) * 1.5) * 0.02
        return 1 + twill + 0.03 * noise(shape, (2.2, 0.7), rng) + 0.025 * noise(shape, 14, rng)
    if texture == "knit":
        _, xx = np.mgrid[: shape[0], : shape[1]]
        return 1 + 0.025 * np.sin(xx * 1.25) + 0.018 * noise(shape, 1.2, rng)
    strength = {"cotton": 0.012, "canvas": 0.02, "linen": 0.018, "leather": 0.01, "suede": 0.022}.get(texture, 0.006)
    return 1 + strength * noise(shape, 0.8, rng) + strength * 0.6 * noise(shape, 6, rng)


def _creases(shape: tuple[int, int], unit: float, rng: np.random.Generator) -> np.ndarray:
    """Random creases: soft dents with a few sharper ridges, unit height."""
    broad = noise(shape, 9 * unit, rng)
    ridged = 1 - np.abs(noise(shape, (5 * unit, 8 * unit), rng)) * 1.3
    return 0.8 * broad + 0.6 * np.clip(ridged, -1, 1)


def _height(part: Part, alpha: np.ndarray, folds: np.ndarray, unit: float, rng: np.random.Generator) -> np.ndarray:
    """Height of a piece above its ground, in px."""
    inside = alpha > 0.5
    puff = max(part.puff * unit, 1.0)
    near_edge = np.clip(distance_transform_edt(inside) / puff, 0, 1).astype(np.float32)
    height = puff * 0.8 * np.sqrt(np.clip(1 - (1 - near_edge) ** 2, 0, 1))
    swell = np.clip(blur(inside.astype(np.float32), part.roundness * unit) - 0.25, 0, 0.75) / 0.75
    height = height + part.bulge * unit * np.sqrt(swell + 0.02)
    height = height + part.depth * unit * folds
    if part.crumple:
        height = height + part.crumple * unit * _creases(alpha.shape, unit, rng)
    return blur(height, 1.1)


def _folds(part: Part, view: View) -> np.ndarray:
    """Folds as a soft relief in about [-1, 1]."""
    if not part.ridges and not part.valleys:
        return np.zeros((view.size, view.size), np.float32)
    markup = "".join(filled(d, "#ffffff", 0.8) for d in part.ridges)
    markup += "".join(filled(d, "#000000", 0.8) for d in part.valleys)
    rgba = rasterise(markup, view)
    return blur((rgba[..., 0] - 0.5) * 2 * rgba[..., 3], part.smooth * view.scale)


def _pixels(part: Part, view: View) -> np.ndarray:
    clip = f'<clipPath id="edge"><path d="{part.d}"/></clipPath>'
    fill = "url(#pattern)" if part.pattern else part.fill
    markup = f'<path d="{part.d}" fill="{fill}"/><g clip-path="url(#edge)">{part.marks}</g>'
    return rasterise(markup, view, clip + part.pattern)


def _box(alpha: np.ndarray, pad: int) -> tuple[slice, slice] | None:
    rows, columns = np.flatnonzero(alpha.max(axis=1) > 0.01), np.flatnonzero(alpha.max(axis=0) > 0.01)
    if not len(rows):
        return None
    return (
        slice(max(0, rows[0] - pad), rows[-1] + pad + 1),
        slice(max(0, columns[0] - pad), columns[-1] + pad + 1),
    )


def _shade(color: np.ndarray, height: np.ndarray, part: Part, light: Light, unit: float) -> np.ndarray:
    """Lights a piece of cloth: (h, w, 3) color and (h, w) height -> (h, w, 3)."""
    slope_y, slope_x = np.gradient(height)
    lx, ly, lz = light.vector
    lit = (lz - lx * slope_x - ly * slope_y) / np.sqrt(1 + slope_x**2 + slope_y**2) / lz
    hollow = np.clip((blur(height, 5 * unit) - height) / (4 * unit), 0, 1)
    shade = 1 + light.contrast * (np.clip(lit, 0, 1.6) - 1) - 0.35 * hollow
    shade = np.clip(shade, 0.25, 1.4)[..., None]
    # Shadows are a little cooler than the cloth, highlights add the color of the lamp.
    dark = color * np.minimum(shade, 1) ** np.array([1.06, 1.0, 0.93], np.float32)
    gloss = np.clip(lit - 1.02, 0, 0.6)[..., None]
    sheen = part.shine * 0.55 + 0.1 * (1 - float(color.mean()))
    return dark * (1 + 0.55 * np.maximum(shade - 1, 0)) + gloss * sheen


def paint(canvas: np.ndarray, part: Part, view: View, light: Light, rng: np.random.Generator) -> np.ndarray:
    """Lays one piece on the canvas, in place, with its shadow; returns its (h, w) coverage."""
    rgba = _pixels(part, view)
    alpha = rgba[..., 3]
    unit = view.scale
    box = _box(alpha, int(8 * unit))
    if box is None:
        return alpha
    cover = alpha[box]
    height = _height(part, cover, _folds(part, view)[box], unit, rng)
    # On bright cloth a grain of the same contrast would look like speckles.
    brightness = float((rgba[box][..., :3].mean(axis=2) * cover).sum() / (cover.sum() + 1e-6))
    grain = 1 + (_grain(part.texture, cover.shape, rng) - 1) * (1.15 - 0.65 * brightness)
    color = rgba[box][..., :3] * grain[..., None]
    lit = np.clip(_shade(color, height, part, light, unit), 0, 1)
    cast_shadow(canvas[box], cover, view, light, strength=part.shadow, reach=1.6, softness=1.6)
    canvas[box] = canvas[box] * (1 - cover[..., None]) + lit * cover[..., None]
    return alpha


def cast_shadow(
    canvas: np.ndarray,
    alpha: np.ndarray,
    view: View,
    light: Light,
    *,
    strength: float,
    reach: float,
    softness: float,
) -> None:
    """Darkens the canvas where `alpha` keeps the lamp away; `reach` and `softness` in units."""
    if not strength:
        return
    unit = view.scale
    offset = (-reach * unit * math.sin(light.angle), -reach * unit * math.cos(light.angle))
    shadow = shift(blur(alpha, softness * unit), offset, order=1, mode="nearest")
    canvas *= 1 - strength * 0.6 * shadow[..., None] * np.array([1.0, 0.97, 0.92], np.float32)
