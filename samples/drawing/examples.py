"""Draws the photos that the page offers to try: none is in the catalogue, and each is harder than the pictures there.

    python -m samples.drawing.examples [--out samples/examples]

Writes `<out>/<n>_<name>.jpg`; the locales in `cbir/ui/` describe each by its name. Needs `requirements-dev.txt`.
"""

import argparse
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from cbir.starting import run_main
from samples.drawing import scenes
from samples.drawing.cloth import Garment, Light, Part, View, cast_shadow, paint
from samples.drawing.draw import MAKERS, generator, main_color, silhouette, wobble
from samples.drawing.paths import disc

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SIDE = 448  # px
OVERSAMPLING = 2
MAX_BYTES = 36_000


@dataclass(frozen=True)
class Shot:
    """How one photo is taken.

    Attributes:
        garment: a class, `<color>_<type>`; "" for the mug.
        index: which garment of the class.
        place: as in `scenes.backdrop`, or "hanger" or "figure".
        turn: degrees.
        fill: size of the garment against the frame: above 1 parts of it are outside.
        lamp: red, green and blue of the light.
        tilt: how far the camera is from straight above or before it.
    """

    garment: str
    index: int
    place: str
    turn: float = 0.0
    fill: float = 0.9
    lamp: tuple[float, float, float] = (1.0, 1.0, 1.0)
    tilt: float = 0.0


SHOTS = {
    "bed": Shot("green_shirt", 101, "flat", -24, 0.98, (0.98, 0.95, 0.86), 0.08),
    "evening": Shot("red_dress", 102, "figure", 3, 0.96, (1.06, 0.86, 0.62), 0.0),
    "part": Shot("blue_pants", 103, "flat", 12, 1.9, (0.95, 0.97, 1.0), 0.06),
    "turned": Shot("brown_shoes", 112, "flat", 62, 0.8, (0.82, 0.9, 1.02), 0.1),
    "pattern": Shot("blue_shirt", 105, "hanger", -5, 0.9, (0.92, 0.92, 0.94), -0.05),
    "mug": Shot("", 106, "room", 0, 0.7),
}


def take(shot: Shot) -> Image.Image:
    """Draws the photo of a shot."""
    rng = generator(0, shot.garment or "mug", shot.index)
    garment = MAKERS[shot.garment.split("_")[1]](shot.garment.split("_")[0], rng) if shot.garment else mug()
    size = SIDE * OVERSAMPLING
    light = Light(angle=math.radians(rng.uniform(-150, -30)), slant=0.9, contrast=0.7)
    garment = garment.mapped(wobble(rng, 1.3 if shot.garment else 0.0))
    view = View.fit(garment.outline(), size, shot.fill, shot.turn, (0.5, 0.52))
    surface = {"hanger": "wall", "figure": "wall"}.get(shot.place, shot.place)
    canvas = scenes.backdrop(surface, main_color(garment), size, rng)
    behind, before = scenes.hanger(garment, rng) if shot.place == "hanger" else ([], [])
    behind = garment.body if shot.place == "figure" else behind
    if shot.place == "room":
        scenes.ground_shadow(canvas, garment, view, rng)
    else:
        cast_shadow(canvas, silhouette(garment, view), view, light, strength=0.45, reach=6, softness=6)
    for part in [*garment.back, *behind, *garment.front, *before]:
        paint(canvas, part, view, light, rng)
    image = np.clip(scenes.develop(canvas, light, rng) * np.array(shot.lamp, np.float32), 0, 1)
    photo = Image.fromarray(np.uint8(image * 255 + 0.5))
    return _tilted(photo, shot.tilt).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def mug() -> Garment:
    """Something that nobody wears."""
    ring = "M36,-24 C78,-30 78,40 34,34 L35,22 C58,26 58,-14 36,-11 Z"
    body = "M-40,-42 C-20,-32 20,-32 40,-42 C40,-10 38,30 36,48 C34,62 -34,62 -36,48 C-38,30 -40,-10 -40,-42 Z"
    glaze = {"texture": "leather", "crumple": 0.0, "shine": 0.9, "bulge": 16.0, "roundness": 22.0}
    return Garment(
        front=[
            Part(ring, "#2f7f86", marks="", puff=5, **glaze),
            Part(body, "#2f7f86", puff=4, **glaze),
            Part(disc(0, -42, 40, 9), "#e9e4da", puff=1.5, crumple=0.0, texture="leather", bulge=0.5),
            Part(disc(0, -40, 36, 7), "#4a2c1a", puff=0.5, crumple=0.0, texture="leather", bulge=0.0, shadow=0.2),
        ],
        hang="",
        ground=54.0,
    )


def jpeg(image: Image.Image) -> bytes:
    """JPEG bytes of the best quality that stays within `MAX_BYTES`."""
    for quality in range(90, 40, -4):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True, subsampling=2)
        if buffer.tell() <= MAX_BYTES:
            break
    return buffer.getvalue()


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m samples.drawing.examples",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=EXAMPLES, help="a folder (default: %(default)s)")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    for n, (name, shot) in enumerate(SHOTS.items(), start=1):
        (args.out / f"{n}_{name}.jpg").write_bytes(jpeg(take(shot)))
    print(f"wrote {args.out}")
    return 0


def _tilted(photo: Image.Image, tilt: float) -> Image.Image:
    """The photo as from a camera that leans: its far edge, at the top, is narrower."""
    if not tilt:
        return photo
    w, h = photo.size
    top, bottom = max(tilt, 0) * w, max(-tilt, 0) * w
    # Which corner of the photo each corner of the frame shows.
    corners = (0, 0, bottom, h, w - bottom, h, w, 0) if tilt < 0 else (top, 0, 0, h, w, h, w - top, 0)
    return photo.transform((w, h), Image.Transform.QUAD, corners, Image.Resampling.BICUBIC)


if __name__ == "__main__":
    run_main(main)
