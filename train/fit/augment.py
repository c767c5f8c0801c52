"""Random views of photos, for fine-tuning a network: as somebody else might have taken them.

Most photos in shops stand upright on white; a phone's lie on a floor, a bed or a carpet, and somewhat askew. So views
turn, stretch, shift and mirror a photo, vary the light, and lay what stands on white onto generated grounds. The hue of
a garment is nearly left alone: it is what a color is judged by.

Legend: s = SIDE.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage

from cbir.features.color_network import letterbox

SIDE = 256  # pixels a side of a canvas
GROUNDS = 300  # generated; each is shown darker or lighter at each use
NEW_GROUND = 0.4  # share of views, of photos on white, that get a generated ground
LEAST_GROUND = 0.25  # of a photo, for it to stand on white
LEAST_WHITE = 250  # of the darkest channel, for the ground: white cloth is darker, by its shading


@dataclass(frozen=True)
class Canvas:
    """A photo in the middle of a square.

    Attributes:
        pixels: (s, s, 3) uint8; what lies beside the photo continues its edge.
        ground: (s, s) bool, the white around what it shows; None where it does not stand on white.
    """

    pixels: np.ndarray
    ground: np.ndarray | None


def canvas(image: Image.Image) -> Canvas:
    """Lays an RGB photo of any size onto a canvas."""
    pixels = letterbox(image, SIDE)
    return Canvas(pixels, _white_ground(pixels))


def _white_ground(pixels: np.ndarray) -> np.ndarray | None:
    """White regions that touch the border: those inside are part of the garment, or of what is printed on it."""
    regions, _ = ndimage.label(pixels.min(axis=2) >= LEAST_WHITE)
    border = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))
    # Grown by a pixel, over the rim that JPEG leaves around what it shows.
    ground = ndimage.binary_dilation(np.isin(regions, border[border > 0]))
    return ground if ground.mean() >= LEAST_GROUND else None


def generate_grounds(rng: np.random.Generator, count: int = GROUNDS) -> np.ndarray:
    """Draws surfaces to lay clothes on, plain, mottled, in planks or in tiles: (count, s, s, 3) uint8."""
    return np.stack([_ground(rng) for _ in range(count)])


def _ground(rng: np.random.Generator) -> np.ndarray:
    color = rng.uniform(20, 240, 3)
    ground = np.broadcast_to((color + color.mean()) / 2, (SIDE, SIDE, 3)).astype(np.float32)
    for cells in (4, 16, 64, 256):  # noise from coarse to fine, grey more often than not
        channels = 1 if rng.random() < 0.7 else 3
        noise = rng.normal(0, rng.uniform(2, 18), (cells, cells, channels)).astype(np.float32)
        layers = [
            Image.fromarray(noise[..., k]).resize((SIDE, SIDE), Image.Resampling.BILINEAR) for k in range(channels)
        ]
        ground = ground + np.stack([np.asarray(layer) for layer in layers], axis=-1)
    if rng.random() < 0.5:
        angle = np.radians(rng.choice([0.0, 90.0, rng.uniform(0, 180)]))
        width = rng.uniform(14, 70)
        y, x = np.mgrid[:SIDE, :SIDE]
        across, along = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
        ground = ground + _planks(rng, across, width)[..., None]
        if rng.random() < 0.4:
            ground = ground - ((along % width) < 1.5)[..., None] * rng.uniform(5, 40)
    return np.clip(ground, 0, 255).astype(np.uint8)


def _planks(rng: np.random.Generator, across: np.ndarray, width: float) -> np.ndarray:
    shades = rng.normal(0, rng.uniform(2, 20), 64)
    return shades[(across // width).astype(int) % len(shades)] - ((across % width) < 1.5) * rng.uniform(5, 40)


def random_view(photo: Canvas, grounds: np.ndarray, side: int, rng: np.random.Generator) -> Image.Image:
    """Draws one view of a photo.

    Args:
        photo: what is seen.
        grounds: of `generate_grounds`.
        side: pixels a side of the view.
        rng: the same state draws the same view.
    """
    pixels = photo.pixels
    if photo.ground is not None and rng.random() < NEW_GROUND:
        pixels = _on_ground(pixels, photo.ground, grounds[rng.integers(len(grounds))] * rng.uniform(0.6, 1.1))
    # Room around the canvas for whatever a view reaches: the photo, mirrored at its edges.
    half = SIDE // 2
    wide = Image.fromarray(np.pad(pixels, ((half, half), (half, half), (0, 0)), mode="symmetric"))
    view = wide.transform(
        (side, side), Image.Transform.AFFINE, _random_affine(side, rng), resample=Image.Resampling.BILINEAR
    )
    light = np.asarray(view, np.float32) - 127.5
    light = light * rng.uniform(0.85, 1.15) + rng.uniform(-15, 15) + rng.normal(0, 2.5, 3)
    return Image.fromarray(np.clip(np.rint(light + 127.5), 0, 255).astype(np.uint8))


def _on_ground(pixels: np.ndarray, white: np.ndarray, ground: np.ndarray) -> np.ndarray:
    share = ndimage.uniform_filter(white.astype(np.float32), 3)[..., None]  # a soft edge
    return np.clip(pixels * (1 - share) + ground * share, 0, 255).astype(np.uint8)


def _random_affine(side: int, rng: np.random.Generator) -> tuple[float, ...]:
    """Pillow's six numbers of a random view: where in the wide canvas each of its pixels looks."""
    degrees = rng.uniform(-180, 180) if rng.random() < 0.15 else rng.normal(0, 8)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    scale, stretch = rng.uniform(0.75, 1.15) * SIDE / side, np.exp(rng.normal(0, 0.1))
    mirror = rng.choice([-1, 1])
    turn = np.array([[cos * stretch * mirror, -sin / stretch], [sin * stretch * mirror, cos / stretch]]) * scale
    centre = SIDE + rng.uniform(-0.15, 0.15, 2) * SIDE / 2
    offset = centre - turn @ np.array([side / 2, side / 2])
    return (*turn[0], offset[0], *turn[1], offset[1])
