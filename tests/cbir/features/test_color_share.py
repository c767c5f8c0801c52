"""How much of a garment has a color, on garments whose pixels are known."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cbir.features.color_descriptor import describe_color, rgb_to_lab
from cbir.features.color_share import color_nearness, color_share, nearest_shares

COLORS = {
    "pink": (240, 163, 189),
    "yellow": (244, 210, 46),
    "beige": (216, 196, 162),
    "grey": (138, 140, 143),
    "red": (190, 30, 45),
    "navy": (29, 42, 82),
}


def garment(color, other=None, share=1.0):
    """A square garment on a light ground, of which `share` has the color and the rest, below, another."""
    image = Image.new("RGB", (200, 200), (226, 224, 220))
    draw = ImageDraw.Draw(image)
    draw.rectangle((50, 40, 150, 160), fill=other or color)
    draw.rectangle((50, 40, 150, 40 + round(120 * share)), fill=color)
    return describe_color(image)


def shades(*colors):
    return rgb_to_lab(np.array(colors, np.uint8)).tolist()


@pytest.mark.parametrize("name", COLORS)
def test_a_garment_of_one_color_has_that_color_and_no_other(name):
    descriptors = np.array([garment(color) for color in COLORS.values()])
    found = dict(zip(COLORS, color_share(descriptors, shades(COLORS[name])), strict=True))
    assert found.pop(name) > 0.8
    assert max(found.values()) < 0.25


def test_half_of_the_garment_counts_half():
    descriptors = np.array([garment(COLORS["red"], COLORS["navy"], share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)])
    red, navy = (color_share(descriptors, shades(COLORS[name])) for name in ("red", "navy"))
    assert (np.diff(red) > 0.1).all()
    assert (np.diff(navy) < -0.1).all()
    assert abs(red[2] - 0.5) < 0.15
    assert np.allclose(red + navy, red[-1], atol=0.15)


def test_any_shade_counts():
    descriptors = np.array([garment(COLORS[name]) for name in ("red", "navy")])
    assert color_share(descriptors, shades(COLORS["red"], COLORS["navy"])).min() > 0.8


def test_the_nearest_of_garments_with_the_same_share_is_told():
    reds = [(190, 30, 45), (197, 34, 49), (204, 40, 54)]
    descriptors = np.array([garment(color) for color in reds])
    for place, color in enumerate(reds):
        assert color_nearness(descriptors, shades(color)).argmax() == place
    assert color_nearness(descriptors, shades(COLORS["navy"])).max() < 0.05


def test_garments_are_made_of_the_colors_that_are_nearest():
    descriptors = np.array([garment(COLORS["red"], COLORS["navy"], share) for share in (0.0, 0.5, 1.0)])
    shares = nearest_shares(descriptors, [shades(color) for color in COLORS.values()])
    names = list(COLORS)
    assert shares[0].argmax() == names.index("navy")
    assert set(np.argsort(-shares[1])[:2]) == {names.index("red"), names.index("navy")}
    assert shares[2].argmax() == names.index("red")
    assert np.allclose(shares.sum(axis=1), 1, atol=0.1)


def test_a_share_does_not_depend_on_the_other_rows():
    descriptors = np.array([garment(color) for color in COLORS.values()])
    together = color_share(descriptors, shades(COLORS["pink"]))
    assert together.dtype == np.float32
    assert together.tolist() == [color_share(row[None], shades(COLORS["pink"]))[0] for row in descriptors]
