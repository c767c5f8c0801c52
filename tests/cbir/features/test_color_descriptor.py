import numpy as np
import pytest
from PIL import Image, ImageDraw

from cbir.features.color_descriptor import BINS, COLOR_DIM, REGIONS, describe_color, rgb_to_lab

GARMENTS = {
    "black": (22, 22, 26),
    "blue": (40, 70, 180),
    "brown": (100, 62, 36),
    "green": (40, 130, 60),
    "red": (200, 30, 40),
    "white": (245, 245, 243),
}
BACKGROUNDS = {"white": (255, 255, 255), "black": (8, 8, 8), "beige": (222, 205, 178), "red": (190, 25, 30)}


def draw_shirt(garment, background, size=(168, 224)):
    image = Image.new("RGB", size, background)
    width, height = size
    shape = [
        (0.2, 0.15),
        (0.8, 0.15),
        (0.95, 0.4),
        (0.78, 0.48),
        (0.75, 0.85),
        (0.25, 0.85),
        (0.22, 0.48),
        (0.05, 0.4),
    ]
    ImageDraw.Draw(image).polygon([(x * width, y * height) for x, y in shape], fill=garment)
    return image


def garment_part(descriptor):
    row = REGIONS.index("garment")
    return descriptor[row * BINS : (row + 1) * BINS]


VISIBLE = [  # a garment of the color of its background cannot be seen
    (garment, background)
    for garment, rgb in GARMENTS.items()
    for background, behind in BACKGROUNDS.items()
    if np.abs(np.subtract(rgb, behind)).sum() > 60
]


@pytest.mark.parametrize(("garment", "background"), VISIBLE)
def test_garment_color_is_recovered_on_any_background(garment, background):
    seen = garment_part(describe_color(draw_shirt(GARMENTS[garment], BACKGROUNDS[background])))
    # The garment region of the drawing should look most like a photo filled with the garment's color.
    likeness = {
        name: seen @ garment_part(describe_color(Image.new("RGB", (64, 64), rgb))) for name, rgb in GARMENTS.items()
    }
    assert max(likeness, key=likeness.get) == garment
    assert likeness[garment] > 0.9


def test_black_on_white_is_not_white_on_black():
    black, white = GARMENTS["black"], GARMENTS["white"]
    a, b = (garment_part(describe_color(draw_shirt(*pair))) for pair in ((black, white), (white, black)))
    assert a @ b < 0.4


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (168, 224), (1024, 700)])
def test_any_size_gives_one_finite_vector(size):
    descriptor = describe_color(Image.new("RGB", size, (120, 10, 200)))
    assert descriptor.shape == (COLOR_DIM,)
    assert descriptor.dtype == np.float32
    assert np.isfinite(descriptor).all()


def test_same_pixels_give_the_same_numbers():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8))
    assert (describe_color(noise) == describe_color(noise.copy())).all()


def test_lab_follows_the_cie():
    # Reference: sRGB primaries and white in CIE L*a*b* under D65.
    rgb = np.uint8([[255, 255, 255], [0, 0, 0], [255, 0, 0], [0, 255, 0], [0, 0, 255], [119, 119, 119]])
    expected = [
        [100, 0, 0],
        [0, 0, 0],
        [53.24, 80.09, 67.20],
        [87.73, -86.18, 83.18],
        [32.30, 79.19, -107.86],
        [50.03, 0, 0],
    ]
    np.testing.assert_allclose(rgb_to_lab(rgb), expected, atol=0.05)
