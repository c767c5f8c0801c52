import numpy as np
from PIL import Image

from cbir.explain import HeatMap
from cbir.ui.heat import overlay


def test_the_overlay_is_orange_where_regions_count_and_grey_elsewhere():
    values = np.zeros((2, 2), np.float32)
    values[0, 1], values[1, 0] = 1, -5
    picture = np.asarray(overlay(HeatMap(values, 0.0, (0.25, 0, 0.75, 1), Image.new("RGB", (640, 320), "blue"))), int)
    assert picture.shape == (160, 320, 3)
    warmth = picture[..., 0] - picture[..., 2]
    assert warmth[10, 230] > 100  # upper right of the box
    assert (warmth[:, :79] == 0).all()  # outside the box
    assert (warmth[:, 241:] == 0).all()
    assert (warmth[150, 90:150] == 0).all()  # what makes the photos less alike
