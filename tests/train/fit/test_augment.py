"""Random views keep what a photo shows and change what is around it."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.conftest import toy_photo
from train.fit.augment import SIDE, canvas, generate_grounds, random_view

RED = (200, 30, 40)


@pytest.fixture(scope="module")
def grounds():
    return generate_grounds(np.random.default_rng(0), 8)


def on_white(size=(200, 256)):
    """A red shape with a white print on white."""
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    width, height = size
    draw.rectangle((width * 0.2, height * 0.2, width * 0.8, height * 0.8), fill=RED)
    draw.rectangle((width * 0.4, height * 0.4, width * 0.6, height * 0.6), fill="white")
    return image


def test_the_ground_is_the_white_around_a_garment_and_not_the_print_on_it():
    ground = canvas(on_white()).ground
    assert ground[5, SIDE // 2]
    assert not ground[SIDE // 2, SIDE // 2]
    assert not ground[int(SIDE * 0.3), SIDE // 2]
    # The shape takes 36 % of the photo, the photo 200 / 256 of the canvas.
    assert ground.mean() == pytest.approx(1 - 0.36 * 200 / 256, abs=0.02)


def test_white_cloth_is_no_ground():
    image = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(image).rectangle((60, 60, 196, 196), fill=(240, 241, 243))
    ground = canvas(image).ground
    assert ground[30, 30]
    assert not ground[70:190, 70:190].any()


def test_a_photo_on_another_ground_has_none():
    assert canvas(toy_photo("red", "shirt", 1)).ground is None


@pytest.mark.parametrize("size", [(30, 256), (900, 300), (1, 1)])
def test_a_canvas_holds_the_whole_photo(size):
    image = Image.new("RGB", size, "blue")
    ImageDraw.Draw(image).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=RED, width=max(1, min(size) // 8))
    photo = canvas(image)
    assert photo.pixels.shape == (SIDE, SIDE, 3)
    # Its rim is seen on all sides, and beside it goes on.
    rim = np.concatenate([photo.pixels[0], photo.pixels[-1], photo.pixels[:, 0], photo.pixels[:, -1]])
    assert np.abs(rim.astype(int) - RED).max() < 8
    if min(size) > 1:
        assert photo.pixels[SIDE // 2, SIDE // 2].tolist() == [0, 0, 255]


def test_the_same_state_draws_the_same_view(grounds):
    photo = canvas(on_white())
    one, same, other = (random_view(photo, grounds, 96, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert one.size == (96, 96)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_views_keep_the_garment_and_its_color(grounds):
    photo, rng = canvas(on_white()), np.random.default_rng(0)
    for _ in range(30):
        pixels = np.asarray(random_view(photo, grounds, 96, rng), int)
        is_red = (pixels[..., 0] - pixels[..., 1:].max(axis=2)) > 90
        assert 0.05 < is_red.mean() < 0.8
        assert np.abs(np.median(pixels[is_red], axis=0) - RED).max() < 50


def test_only_photos_on_white_get_another_ground(grounds):
    def n_changed(photo):
        """How many of 40 views change with the grounds."""
        views = [
            [random_view(photo, g, 96, np.random.default_rng(n)) for n in range(40)] for g in (grounds, 255 - grounds)
        ]
        return sum(not np.array_equal(one, other) for one, other in zip(*views, strict=True))

    assert n_changed(canvas(toy_photo("red", "shirt", 1))) == 0
    assert 5 < n_changed(canvas(on_white())) < 35


def test_grounds_differ(grounds):
    assert grounds.shape == (8, SIDE, SIDE, 3)
    assert len({ground.tobytes() for ground in grounds}) == 8
