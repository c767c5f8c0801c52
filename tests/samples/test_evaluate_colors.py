"""The evaluation of searching by color, on a few drawings: what it counts, and what it writes."""

import re

import numpy as np
import pytest

from samples import evaluate_colors
from samples.drawing.draw import draw_garment


@pytest.fixture(scope="module")
def section(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate_colors, "PALETTE", {"pink": ("#f2a7c3", "#e75d93"), "green": ("#2e7d32", "#1f5c3a")})
        patch.setattr(evaluate_colors, "MAKERS", {"shirt": None, "shoes": None})
        patch.setattr(evaluate_colors, "N_ANY", 2)
        patch.setattr(evaluate_colors, "FIRST", 4)
        readme = tmp_path_factory.mktemp("docs") / "evaluation.md"
        readme.write_text("before\n<!-- colors -->\n<!-- /colors -->\n")
        assert evaluate_colors.main(["--readme", str(readme)]) == 0
        return readme.read_text()


def _row(section, title):
    row = next(line for line in section.splitlines() if line.startswith(f"| {title} "))
    return [float(text) for text in re.findall(r"[\d.]+", row)]


def test_few_colors_are_easily_told_apart(section):
    assert "10 drawn garments without labels: 8 in 2 named colors of 2 shades" in section
    distance, ndcg, found = _row(section, "search by color")[-3:]
    assert (ndcg, found) >= (0.95, 0.9)
    best = _row(section, "best possible")
    assert best[0] <= distance < _row(section, "at random")[0]
    assert best[1:] == [1.0, 1.0]
    assert _row(section, "pink, rosa") == [1.0, 1.0, 1.0, 1.0]


def test_a_garment_is_painted_in_just_that_color():
    picture = draw_garment("#f2a7c3", "shirt", 3)
    inside = picture.pixels[picture.mask > 0.99]
    assert np.abs(np.median(inside, axis=0) - (0xF2, 0xA7, 0xC3)).max() < 30
