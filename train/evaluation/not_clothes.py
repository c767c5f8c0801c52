"""Synthetic pictures that show no clothes, to evaluate when a search says "no confident match".

They are generated, not photographed: what they show about photos of other things is a hint, no measurement.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = 256  # pixels a side


def not_clothes(per_kind: int, seed: int) -> dict[str, list[Image.Image]]:
    """Draws pictures of each kind.

    Args:
        per_kind: how many of each.
        seed: the same seed draws the same pictures.

    Returns:
        For each name of `KINDS` so many RGB images of `SIZE` pixels a side.
    """
    return {
        kind: [draw(np.random.default_rng([seed, number, n])) for n in range(per_kind)]
        for number, (kind, draw) in enumerate(KINDS.items())
    }


def _color(rng: np.random.Generator) -> tuple[int, ...]:
    return tuple(rng.integers(0, 256, 3).tolist())


def _noise(rng: np.random.Generator) -> Image.Image:
    """Random cells, from single pixels to large patches."""
    cells = int(2 ** rng.integers(2, 9))
    image = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8).astype(np.uint8))
    return image.resize((SIZE, SIZE), Image.Resampling.NEAREST if rng.random() < 0.5 else Image.Resampling.BICUBIC)


def _gradient(rng: np.random.Generator) -> Image.Image:
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[:SIZE, :SIZE] / (SIZE - 1) - 0.5
    t = (0.5 + (np.cos(angle) * x + np.sin(angle) * y) / np.sqrt(2))[..., None]
    start, stop = (np.array(_color(rng)) for _ in range(2))
    return Image.fromarray((start * (1 - t) + stop * t).astype(np.uint8))


def _plain(rng: np.random.Generator) -> Image.Image:
    pixels = np.array(_color(rng)) + rng.normal(0, rng.uniform(0, 4), (SIZE, SIZE, 1))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _page(rng: np.random.Generator) -> Image.Image:
    """A page of text: lines of words, as dark boxes and letters."""
    image = Image.new("RGB", (SIZE, SIZE), tuple(rng.integers(235, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    size, ink = int(rng.integers(9, 18)), tuple(rng.integers(0, 70, 3).tolist())
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz     "))
    for y in range(int(rng.integers(8, 40)), SIZE - 20, round(size * 1.5)):
        if rng.random() < 0.9:
            length = int(rng.integers(10, 3 * SIZE // size))
            draw.text((20, y), "".join(rng.choice(letters, length)), fill=ink, font_size=size)
    return image


def _house(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), (170, 205, 240))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 180, SIZE, SIZE), fill=(90, 150, 70))
    left, width, top = int(rng.integers(20, 90)), int(rng.integers(90, 140)), int(rng.integers(90, 130))
    draw.rectangle((left, top, left + width, 210), fill=_color(rng))
    draw.polygon([(left - 12, top), (left + width + 12, top), (left + width // 2, top - 60)], fill=_color(rng))
    for x in range(left + 12, left + width - 20, 36):
        draw.rectangle((x, top + 18, x + 20, top + 42), fill=(230, 240, 250), outline=(60, 50, 40))
    draw.rectangle((left + width // 2 - 10, 165, left + width // 2 + 12, 210), fill=_color(rng))
    return image


def _fruit(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), tuple(rng.integers(190, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(1, 6))):
        x, y, r = (int(v) for v in (*rng.integers(60, 196, 2), rng.integers(25, 55)))
        draw.ellipse((x - r, y - r, x + r, y + r), fill=_color(rng))
        draw.ellipse((x - r // 2, y - r // 2, x - r // 4, y - r // 4), fill=(250, 250, 245))
        draw.line((x, y - r, x + 6, y - r - 18), fill=(80, 50, 20), width=4)
    return image.filter(ImageFilter.GaussianBlur(1))


def _landscape(rng: np.random.Generator) -> Image.Image:
    image = _gradient(rng)
    draw = ImageDraw.Draw(image)
    for base in (120, 160, 200):
        steps = base + rng.normal(0, 10, 17).cumsum()
        ridge = [(16 * n, float(y)) for n, y in enumerate(steps)]
        draw.polygon([(0, SIZE), *ridge, (SIZE, SIZE)], fill=_color(rng))
    return image


def _car(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), tuple(rng.integers(150, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    x, y, paint = int(rng.integers(15, 50)), int(rng.integers(110, 150)), _color(rng)
    draw.rectangle((0, y + 65, SIZE, SIZE), fill=(95, 95, 100))
    draw.rounded_rectangle((x, y, x + 185, y + 52), 14, fill=paint)
    draw.polygon([(x + 35, y), (x + 60, y - 38), (x + 125, y - 38), (x + 155, y)], fill=paint)
    draw.polygon([(x + 48, y - 2), (x + 66, y - 30), (x + 118, y - 30), (x + 138, y - 2)], fill=(190, 220, 235))
    for wheel in (x + 42, x + 145):
        draw.ellipse((wheel - 22, y + 32, wheel + 22, y + 76), fill=(25, 25, 28))
        draw.ellipse((wheel - 9, y + 45, wheel + 9, y + 63), fill=(190, 190, 195))
    return image


def _face(rng: np.random.Generator) -> Image.Image:
    image = Image.new("RGB", (SIZE, SIZE), _color(rng))
    draw = ImageDraw.Draw(image)
    skin = tuple(int(c * rng.uniform(0.9, 1.0)) for c in (225, 180, 150))
    draw.ellipse((55, 30, 200, 225), fill=_color(rng))
    draw.ellipse((68, 55, 188, 225), fill=skin)
    for x in (100, 156):
        draw.ellipse((x - 13, 118, x + 13, 134), fill=(250, 250, 250))
        draw.ellipse((x - 6, 120, x + 6, 132), fill=_color(rng))
    draw.line((128, 130, 120, 165, 132, 167), fill=(170, 120, 100), width=3)
    draw.arc((100, 160, 156, 200), 20, 160, fill=(180, 60, 60), width=5)
    return image


KINDS: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "noise": _noise,
    "gradient": _gradient,
    "plain": _plain,
    "page of text": _page,
    "house": _house,
    "fruit": _fruit,
    "landscape": _landscape,
    "car": _car,
    "face": _face,
}
