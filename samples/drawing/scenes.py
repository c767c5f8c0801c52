"""Where a garment is photographed: backdrops, hangers, the camera.

Arrays are (h, w, 3) float32 sRGB in [0, 1].
"""

import math
from functools import partial

import numpy as np
from scipy.ndimage import gaussian_filter

from samples.drawing.cloth import Garment, Light, Part, View, blur, noise, rasterise
from samples.drawing.paths import disc, flip

Rng = np.random.Generator

WOODS = (
    (186, 146, 104), (150, 108, 72), (206, 178, 142), (112, 82, 60), (170, 160, 148), (218, 206, 188),
)  # fmt: skip
FABRICS = (
    (222, 214, 202), (170, 176, 184), (196, 184, 170), (128, 134, 140), (206, 196, 208), (112, 120, 108),
    (214, 190, 176), (92, 98, 112), (238, 236, 232), (176, 190, 182),
)  # fmt: skip
WALLS = (
    (226, 222, 214), (206, 214, 220), (214, 206, 194), (186, 196, 190), (232, 218, 210), (160, 168, 178),
    (240, 240, 238), (204, 190, 170), (120, 128, 138), (196, 206, 216),
)  # fmt: skip
STUDIOS = (
    (248, 248, 248), (252, 252, 252), (252, 251, 249), (250, 250, 250), (238, 238, 240), (216, 218, 222),
    (226, 218, 208), (184, 188, 194), (206, 214, 222), (150, 156, 164), (110, 116, 124), (222, 206, 200),
)  # fmt: skip


def _plain(color: tuple, size: int) -> np.ndarray:
    return np.ones((size, size, 3), np.float32) * (np.array(color, np.float32) / 255)


def studio(color: tuple, size: int, rng: Rng) -> np.ndarray:
    """Seamless paper, a little brighter behind the garment."""
    yy, xx = np.mgrid[:size, :size] / size
    glow = np.exp(-((xx - rng.uniform(0.35, 0.65)) ** 2 + (yy - rng.uniform(0.3, 0.6)) ** 2) / 0.45)
    return _plain(color, size) * (0.93 + 0.07 * glow[..., None]).astype(np.float32)


def wall(color: tuple, size: int, rng: Rng) -> np.ndarray:
    """Painted plaster; sometimes boards with grooves."""
    paint = 1 + 0.012 * noise((size, size), 1.4, rng) + 0.02 * noise((size, size), 60, rng)
    if rng.random() < 0.25:
        pitch = size / rng.uniform(5, 9)
        x = (np.arange(size) + rng.uniform(0, pitch)) % pitch
        groove = 1 - 0.22 * np.exp(-((x / 2.5) ** 2)) + 0.05 * np.exp(-(((x - 6) / 3) ** 2))
        paint = paint * groove[None, :]
    return _plain(color, size) * paint[..., None].astype(np.float32)


def wood(color: tuple, size: int, rng: Rng, upright: bool | None = None) -> np.ndarray:
    """Planks with grain, running across or upright."""
    upright = rng.random() < 0.5 if upright is None else upright
    planks = int(rng.integers(3, 6))
    edges = np.linspace(0, size, planks + 1)
    image = np.zeros((size, size), np.float32)
    for top, bottom in zip(edges[:-1].astype(int), edges[1:].astype(int), strict=True):
        shape = (bottom - top, size)
        grain = 0.035 * noise(shape, (1.0, 40), rng) + 0.045 * noise(shape, (4, 90), rng)
        rings = 0.03 * np.sin(noise(shape, (14, 120), rng) * 7)
        image[top:bottom] = rng.normal(1, 0.045) + grain + rings
        image[top : top + 2] *= 0.62
    if upright:
        image = image.T
    return _plain(color, size) * image[..., None]


def fabric(color: tuple, size: int, rng: Rng) -> np.ndarray:
    """A sheet with soft creases, or a smooth linen cloth."""
    creases = noise((size, size), rng.uniform(22, 40), rng) + 0.4 * (1 - np.abs(noise((size, size), 30, rng)))
    gy, gx = np.gradient(creases)
    angle, strength = rng.uniform(0, 2 * math.pi), rng.uniform(0.3, 1.3)
    relief = strength * (gx * math.cos(angle) + gy * math.sin(angle))
    weave = 0.02 * noise((size, size), (0.6, 2.5), rng) + 0.02 * noise((size, size), (2.5, 0.6), rng)
    return _plain(color, size) * (1 + relief + weave)[..., None].astype(np.float32)


def carpet(color: tuple, size: int, rng: Rng) -> np.ndarray:
    """Short pile, with brushed patches."""
    pile = 0.045 * noise((size, size), 1.3, rng) + 0.025 * noise((size, size), (30, 50), rng)
    return _plain(color, size) * (1 + pile)[..., None].astype(np.float32)


def stone(color: tuple, size: int, rng: Rng) -> np.ndarray:
    """Concrete or veined stone."""
    cloud = 0.014 * noise((size, size), 36, rng) + 0.014 * noise((size, size), 3, rng)
    vein = np.exp(-((noise((size, size), 36, rng) / 0.05) ** 2)) * rng.choice([0.0, 0.10])
    return _plain(color, size) * (1 + cloud - blur(vein.astype(np.float32), 1.2))[..., None].astype(np.float32)


def room(color: tuple, size: int, horizon: float, rng: Rng) -> np.ndarray:
    """A floor that meets a wall at `horizon` (0..1)."""
    image = wall(WALLS[int(rng.integers(len(WALLS)))], size, rng)
    row = int(horizon * size)
    make = (partial(wood, upright=False), stone, carpet)[int(rng.integers(3))]
    floor = make(color, size, rng)
    depth = np.linspace(0.45, 1.0, size - row)
    rows = np.clip((np.cumsum(1 / depth) / np.sum(1 / depth) * (size - 1)).astype(int), 0, size - 1)
    image[row:] = floor[rows] * (0.88 + 0.12 * depth[:, None, None])
    board = rng.uniform(8, 20)
    if rng.random() < 0.6:
        image[max(0, row - int(board)) : row] = image[max(0, row - int(board)) : row] * 0.4 + 0.57
    image[row - 2 : row + 3] *= 0.8
    return image.astype(np.float32)


SURFACES = {
    "studio": ((studio, STUDIOS),),
    "wall": ((wall, WALLS), (wall, WALLS), (wood, WOODS)),
    "flat": ((wood, WOODS), (fabric, FABRICS), (carpet, FABRICS), (stone, WALLS)),
}


def backdrop(place: str, garment_color: tuple, size: int, rng: Rng) -> np.ndarray:
    """A backdrop that the garment stands out from.

    Args:
        place: "studio", "wall", "flat" or "room".
        garment_color: main color of the garment, sRGB 0-255.
        size: side in px.
        rng: the picture's generator.
    """
    options = SURFACES.get(place, ((None, WOODS + WALLS),))
    make, palette = options[int(rng.integers(len(options)))]
    palette = [c for c in palette if contrast(c, garment_color) > 60] or list(palette)
    color = np.clip(np.array(palette[int(rng.integers(len(palette)))]) + rng.normal(0, 5, 3), 0, 252)
    if make is None:
        return np.clip(room(tuple(color), size, rng.uniform(0.42, 0.6), rng), 0, 1)
    return np.clip(make(tuple(color), size, rng), 0, 1)


def contrast(a: tuple, b: tuple) -> float:
    """Rough visible difference of two colors (weighted sRGB distance)."""
    d = np.array(a, float) - np.array(b, float)
    return float(math.sqrt(0.9 * d[0] ** 2 + 1.6 * d[1] ** 2 + 0.5 * d[2] ** 2))


# Hangers


def hanger(garment: Garment, rng: Rng) -> tuple[list[Part], list[Part]]:
    """Pieces of a hanger that go behind the front of the garment, and before it."""
    metal = {"texture": "metal", "crumple": 0.0, "bulge": 0.5, "puff": 0.8, "shine": 1.0, "shadow": 0.5}
    if garment.hang == "waist":
        bar = Part("M-36,-112 L36,-112 L36,-108 L-36,-108 Z", "#b9bcc2", **metal)
        hook = Part(_hook(-111), "#a8abb2", **metal)
        clip = Part("M20,-113 L26,-113 L27,-89 L19,-89 Z", "#50525a", **(metal | {"shine": 0.4}))
        return [hook, bar], [clip, clip.mapped(flip)]
    span = garment.span
    color = ["#a9794c", "#2c2c30", "#e4e2de", "#7a5236"][int(rng.integers(4))]
    arm = (
        f"M0,-99 C10,-98 {span * 0.6},-88 {span},-76 C{span + 3},-72 {span - 2},-70 {span - 5},-72 "
        f"C{span * 0.6},-82 12,-90 0,-91 Z"
    )
    wooden = Part(arm, color, texture="linen", crumple=0.0, bulge=2, roundness=4, puff=1.6, shine=0.3)
    return [Part(_hook(-97), "#a8abb2", **metal), wooden, wooden.mapped(flip)], []


def _hook(y: float) -> str:
    """A wire hook that ends at (0, y)."""
    return (
        f"M-1.2,{y + 2} L-1.2,{y - 12} C-1,{y - 17} 9,{y - 18} 9,{y - 26} C9,{y - 34} "
        f"-4,{y - 35} -6,{y - 27} "
        f"L-8.4,{y - 27.5} C-6,{y - 39} 11.6,{y - 38} 11.6,{y - 26} C11.6,{y - 16} "
        f"1.4,{y - 15} 1.2,{y - 11} L1.2,{y + 2} Z"
    )


def rail() -> Part:
    """The rod or nail that a hook hangs on."""
    return Part(disc(1.5, -133, 3), "#55565c", puff=1, bulge=1, crumple=0, shine=0.8, texture="metal")


# Camera


def develop(image: np.ndarray, light: Light, rng: Rng) -> np.ndarray:
    """What the lamp, the lens and the sensor add: falloff, warmth, vignette, exposure, softness, noise."""
    size = image.shape[0]
    yy, xx = (np.mgrid[:size, :size] / size - 0.5).astype(np.float32)
    toward = xx * math.cos(light.angle) + yy * math.sin(light.angle)
    falloff = 1 + rng.uniform(0.02, 0.16) * toward
    vignette = 1 - rng.uniform(0, 0.22) * (xx**2 + yy**2) / 0.5
    warmth = rng.normal(0, 0.018)
    tint = np.array([1 + warmth, 1.0, 1 - warmth], np.float32) * rng.normal(1.0, 0.03)
    image = image * (falloff * vignette)[..., None] * tint
    softness = rng.uniform(0.3, 1.0)
    image = gaussian_filter(image, (softness, softness, 0))
    grain = rng.uniform(0.002, 0.012)
    image = image + grain * rng.standard_normal((size, size, 1)).astype(np.float32)
    return np.clip(image, 0, 1)


def ground_shadow(canvas: np.ndarray, garment: Garment, view: View, rng: Rng) -> None:
    """The dark seam and the soft pool under something that stands."""
    xs = [x for x, _ in garment.outline()]
    mx, w = (min(xs) + max(xs)) / 2, (max(xs) - min(xs)) / 2
    for height, spread, strength, soft in ((12, 1.06, 0.35, 7.0), (4, 0.95, 0.55, 2.0)):
        pool = disc(mx, garment.ground - 1, w * spread, height)
        alpha = rasterise(f'<path d="{pool}"/>', view)[..., 3]
        canvas *= 1 - strength * blur(alpha, soft * view.scale)[..., None]
