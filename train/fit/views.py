"""Random views of photos, for the likeness: as if the same picture had been framed, lit and stored by somebody else.

The likeness is evaluated by edits of its own (`train.evaluation.garments`), and what is fitted must not have seen them:
no view is mirrored, laid on a canvas of 1.5 times its size, halved, or stored at JPEG quality 25; and where a strength
is drawn from a range, the surroundings of the one that is evaluated are left out (`GAPS`).

Legend: n photos, m views.
"""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter
from tqdm import tqdm

from cbir.features import Features, extract
from cbir.features.backbone import BATCH_SIZE, Backbone
from cbir.images import load_image

PHOTOS = 750  # that views are drawn of, at most
VIEWS = 2  # per photo
# Strengths that no view has, since the evaluation has one inside: share of the sides that a view shows, degrees that it
# is turned by, exposure, and how much warmer or cooler the light is (gain of red by gain of blue, or the reverse).
GAPS = {"window": (0.7, 0.8), "turn": (6.0, 10.0), "exposure": (1.2, 1.3), "warmth": (1.3, 1.6)}


@dataclass(frozen=True)
class Views:
    """Features of m views, and the row of the photo that each shows: (m,) int."""

    features: Features
    rows: np.ndarray


def extract_views(photos: Sequence[bytes], backbone: Backbone, seed: int) -> Views:
    """Draws views of some photos and extracts their features, with a progress bar.

    Args:
        photos: n files; the thumbnails that a bundle keeps, so that methods can be fitted again without the photos.
        backbone: embeds them.
        seed: of the choice of photos, and of the views.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(photos))[:PHOTOS])
    rows = np.repeat(chosen, VIEWS)
    parts = []
    bar = tqdm(total=len(rows), desc="drawing views", unit="view")
    for start in range(0, len(rows), BATCH_SIZE):
        batch = rows[start : start + BATCH_SIZE]
        parts.append(extract([random_view(load_image(photos[row]), rng) for row in batch], backbone))
        bar.update(len(batch))
    bar.close()
    return Views(Features.concatenate(parts), rows)


def random_view(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Draws a view of an RGB photo, at about its size."""
    if rng.random() < 0.85:
        image = _window(image, rng)
    if rng.random() < 0.8:
        image = _light(image, rng)
    if rng.random() < 0.6:
        image = _quality(image, rng)
    return image


def _outside(gap: str, draw: Callable[[], float]) -> float:
    """Draws until the value is outside of a gap."""
    low, high = GAPS[gap]
    while low <= (value := draw()) <= high:
        pass
    return value


def _window(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A part of the photo, or the photo with room around it: off centre, turned, and slightly stretched.

    The room is white, of the color of the photo's border, or of any.
    """
    w, h = image.size
    turn = _outside("turn", lambda: abs(rng.normal(0, 5))) * rng.choice([-1, 1])
    scale = _outside("window", lambda: np.exp(rng.uniform(np.log(0.6), np.log(1.4))))
    angle, stretch = np.radians(turn), np.exp(rng.normal(0, 0.06))
    cos, sin = np.cos(angle), np.sin(angle)
    matrix = np.array([[cos * stretch, -sin / stretch], [sin * stretch, cos / stretch]]) * scale
    centre = np.array([w / 2, h / 2]) + rng.uniform(-1, 1, 2) * (abs(1 - scale) / 2 * 0.9 + 0.02) * np.array([w, h])
    offset = centre - matrix @ np.array([w / 2, h / 2])
    return image.transform(
        (w, h),
        Image.Transform.AFFINE,
        (*matrix[0], offset[0], *matrix[1], offset[1]),
        Image.Resampling.BICUBIC,
        fillcolor=tuple(int(v) for v in _room(np.asarray(image), rng)),
    )


def _room(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    match rng.integers(3):
        case 0:
            return np.full(3, 255)
        case 1:
            return np.median(np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]]), axis=0)
        case _:
            return np.clip(rng.uniform(20, 250) + rng.normal(0, 12, 3), 0, 255)


def _light(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Gamma, exposure, color of the light, and contrast."""
    gamma = np.exp(rng.normal(0, 0.25)) if rng.random() < 0.4 else 1.0
    exposure = _outside("exposure", lambda: np.exp(rng.normal(0, 0.17)))
    warmth = _outside("warmth", lambda: np.exp(abs(rng.normal(0, 0.17)))) ** (rng.choice([-1, 1]) / 2)
    gains = np.array([warmth, np.exp(rng.normal(0, 0.1)), 1 / warmth])
    contrast = np.exp(rng.normal(0, 0.12))
    values = (np.arange(256) / 255) ** gamma * exposure * (gains / np.prod(gains) ** (1 / 3))[:, None]
    table = np.clip(np.rint((0.5 + (values - 0.5) * contrast) * 255), 0, 255)  # (3, 256)
    return image.point(table.astype(int).ravel().tolist())


def _quality(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Blur, noise, JPEG, or fewer pixels."""
    match rng.integers(4):
        case 0:
            return image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.6)))
        case 1:
            noise = rng.normal(0, rng.uniform(3, 10), (image.height, image.width, 3))
            return Image.fromarray(np.clip(np.rint(np.asarray(image) + noise), 0, 255).astype(np.uint8))
        case 2:
            file = io.BytesIO()
            image.save(file, "JPEG", quality=int(rng.integers(35, 71)))
            return Image.open(file).convert("RGB")
        case _:
            share = rng.uniform(0.6, 0.85)
            size = max(1, round(image.width * share)), max(1, round(image.height * share))
            return image.resize(size, Image.Resampling.BILINEAR)
