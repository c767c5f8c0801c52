"""Draws clothes of 24 classes, each picture a lit vector drawing of 224 x 224 px.

A picture depends only on the seed, its class and its number, so classes and counts can change without touching the
others. Needs `requirements-dev.txt`.
"""

import csv
import io
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from cbir.errors import DataError, UnknownNameError
from cbir.files import replacing
from samples.drawing import dresses, scenes, shirts, shoes, trousers
from samples.drawing.cloth import Garment, Light, View, Warp, cast_shadow, paint, rasterise
from samples.drawing.paths import Point

CLASSES: tuple[str, ...] = tuple(
    f"{color}_{kind}"
    for color, kinds in {
        "black": ("dress", "pants", "shirt", "shoes", "shorts"),
        "blue": ("dress", "pants", "shirt", "shoes", "shorts"),
        "brown": ("pants", "shoes", "shorts"),
        "green": ("pants", "shirt", "shoes", "shorts"),
        "red": ("dress", "pants", "shoes"),
        "white": ("dress", "pants", "shoes", "shorts"),
    }.items()
    for kind in kinds
)
MAKERS = {
    "dress": dresses.dress,
    "pants": trousers.pants,
    "shirt": shirts.shirt,
    "shoes": shoes.shoes,
    "shorts": trousers.shorts,
}
# How often a garment is shown in each of these ways.
PLACES = {
    "shoes": {"studio": 0.4, "room": 0.4, "flat": 0.2},
    "": {"studio": 0.3, "flat": 0.3, "hanger": 0.2, "figure": 0.2},
}
TRAITS = ("cut", "pattern", "sleeve", "heel")  # what a garment can have
PER_CLASS = 24
SIZE = 224
OVERSAMPLING = 2
MAX_BYTES = 8600  # per picture: keeps the whole catalogue under 5 MB


@dataclass(frozen=True)
class Picture:
    """A drawing, (224, 224, 3) uint8, and how much of each pixel the garment covers, (224, 224) float32 in [0, 1]."""

    pixels: np.ndarray
    mask: np.ndarray

    def jpeg(self, limit: int = MAX_BYTES) -> bytes:
        """JPEG bytes of the best quality that stays within `limit` bytes, else of the lowest."""
        for quality in (90, 87, 84, 81, 78, 74, 70):
            buffer = io.BytesIO()
            Image.fromarray(self.pixels).save(buffer, "JPEG", quality=quality, optimize=True, subsampling=2)
            if buffer.tell() <= limit:
                break
        return buffer.getvalue()


def generator(seed: int, name: str, index: int) -> np.random.Generator:
    """The random numbers of one picture."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), index])


def draw(name: str, index: int, seed: int = 0) -> Picture:
    """Draws one picture.

    Args:
        name: a class, `<color>_<type>`.
        index: number of the picture in its class.
        seed: another seed gives another catalogue.

    Raises:
        UnknownNameError: `name` is not one of `CLASSES`.
    """
    if name not in CLASSES:
        raise UnknownNameError("class", name, CLASSES)
    return draw_garment(*name.split("_"), index, seed)


def draw_garment(color: str, kind: str, index: int, seed: int = 0) -> Picture:
    """Draws one picture of a garment of any color.

    Args:
        color: one of `palette.SHADES`, or `#rrggbb`: exactly that, before the lamp lights it.
        kind: one of `MAKERS`.
        index: number of the picture.
        seed: another seed gives other pictures.
    """
    rng = generator(seed, f"{color}_{kind}", index)
    garment = MAKERS[kind](color, rng)
    odds = PLACES.get(kind, PLACES[""])
    place = str(rng.choice(list(odds), p=list(odds.values())))
    return photograph(garment, place, rng)


def traits(name: str, index: int, seed: int = 0) -> dict[str, str]:
    """How the garment of `draw` is made: see `samples.drawing.cloth.Garment`."""
    color, kind = name.split("_")
    return MAKERS[kind](color, generator(seed, name, index)).traits


def photograph(garment: Garment, place: str, rng: np.random.Generator) -> Picture:
    """Puts a garment in a place and takes its picture."""
    size = SIZE * OVERSAMPLING
    light = Light(
        angle=math.radians(rng.uniform(-150, -30)),
        slant=rng.uniform(0.6, 0.95),
        contrast=rng.uniform(0.5, 0.75),
    )
    garment = garment.mapped(wobble(rng, 0.6 if garment.hang == "" else 1.0))
    view = frame(garment, place, size, rng)
    surface = {"hanger": "wall", "figure": str(rng.choice(["studio", "wall"]))}.get(place, place)
    canvas = scenes.backdrop(surface, main_color(garment), size, rng)
    behind, before = [], []
    if place == "hanger":
        behind, before = scenes.hanger(garment, rng)
        behind = [scenes.rail(), *behind] if garment.hang == "neck" else behind
    elif place == "figure":
        behind = garment.body
    far = {"studio": 0.25, "flat": 0.45, "hanger": 0.55, "figure": 0.3, "room": 0.0}[place]
    if garment.hang == "" and place in ("studio", "room"):
        scenes.ground_shadow(canvas, garment, view, rng)
        far = 0.0
    mask = silhouette(garment, view)
    cast_shadow(canvas, mask, view, light, strength=far, reach=rng.uniform(3, 8), softness=rng.uniform(4, 8))
    # A figure stands between the back of a garment and its front.
    for part in [*garment.back, *behind, *garment.front, *before]:
        paint(canvas, part, view, light, rng)
    image = scenes.develop(canvas, light, rng)
    pixels = Image.fromarray(np.uint8(image * 255 + 0.5)).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    small = mask.reshape(SIZE, OVERSAMPLING, SIZE, OVERSAMPLING).mean(axis=(1, 3))
    return Picture(np.asarray(pixels), small)


def main_color(garment: Garment) -> tuple[int, int, int]:
    """The color that most pieces of the front have."""
    fills = [part.fill for part in garment.front]
    most = max(set(fills), key=lambda fill: (fills.count(fill), fill))
    return int(most[1:3], 16), int(most[3:5], 16), int(most[5:7], 16)


def silhouette(garment: Garment, view: View) -> np.ndarray:
    """Coverage of the whole garment, (size, size) float32."""
    return rasterise("".join(f'<path d="{p.d}"/>' for p in garment.front), view)[..., 3]


def frame(garment: Garment, place: str, size: int, rng: np.random.Generator) -> View:
    """Chooses distance, rotation and crop."""
    outline = garment.outline()
    turn, fill = rng.normal(0, 1.5), rng.uniform(0.8, 0.93)
    center = (0.5 + rng.normal(0, 0.012), 0.5 + rng.normal(0, 0.012))
    if place == "flat":
        turn, fill = rng.normal(0, 9), rng.uniform(0.84, 0.95)
    if place == "hanger":
        outline.append((0.0, min(y for _, y in outline) - (52 if garment.hang == "waist" else 36)))
        fill = rng.uniform(0.9, 0.97)
    if place == "figure":
        fill = rng.uniform(0.85, 1.0)
    if garment.hang == "" and place != "flat":
        turn, center = rng.normal(0, 1.0), (center[0], 0.54 + rng.normal(0, 0.02))
    return View.fit(outline, size, fill, turn, center)


def wobble(rng: np.random.Generator, strength: float) -> Warp:
    """A gentle bend of the plane, so that no two garments are cut alike and none is perfectly even."""
    waves = [
        (rng.uniform(0.2, 1.0) * strength, *(rng.normal(0, 1, 2) / rng.uniform(25, 70)), rng.uniform(0, 6.3))
        for _ in range(6)
    ]
    lean, widen, stretch = rng.normal(0, 0.02) * strength, rng.normal(1, 0.04), rng.normal(1, 0.03)

    def bend(x: float, y: float) -> Point:
        dx = sum(a * math.sin(kx * x + ky * y + phase) for a, kx, ky, phase in waves[:3])
        dy = sum(a * math.sin(kx * x + ky * y + phase) for a, kx, ky, phase in waves[3:])
        return widen * x + lean * y + dx, stretch * y + dy

    return bend


def write_catalogue(out: Path, per_class: int = PER_CLASS, seed: int = 0) -> None:
    """Draws all classes into the folder `out`, as `<color>_<type>/<color>_<type>_<nn>.jpg`.

    The folder takes its place once it is complete.

    Raises:
        DataError: `out` exists and is not an empty folder, or `per_class` is less than 1.
    """
    if per_class < 1:
        raise DataError(f"expected at least 1 picture per class, got {per_class}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"expected {out} to be a new or empty folder: remove it first, or choose another")
    out.parent.mkdir(parents=True, exist_ok=True)
    jobs = [(name, index) for name in CLASSES for index in range(per_class)]
    with replacing(out) as folder:
        for name, index in tqdm(jobs, unit="picture"):
            path = folder / file_name(name, index)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(draw(name, index, seed).jpeg())


def write_traits(path: Path, per_class: int = PER_CLASS, seed: int = 0) -> None:
    """Writes how the garments of `write_catalogue` are made, as csv: file_name and a column for each of `TRAITS`."""
    with replacing(path) as new, new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ("file_name", *TRAITS))
        writer.writeheader()
        for name, index in ((name, index) for name in CLASSES for index in range(per_class)):
            writer.writerow({"file_name": file_name(name, index), **traits(name, index, seed)})


def file_name(name: str, index: int) -> str:
    """Where a picture stands in a catalogue."""
    return f"{name}/{name}_{index:02d}.jpg"
