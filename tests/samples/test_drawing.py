"""The drawings: reproducible, complete, and of the color that each class says."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from cbir.errors import DataError, UnknownNameError
from samples.drawing import __main__ as command
from samples.drawing import draw as drawing

PROTOTYPES = {
    "black": (32, 32, 35),
    "blue": (50, 95, 170),
    "brown": (112, 72, 44),
    "green": (55, 110, 62),
    "red": (180, 28, 42),
    "white": (232, 232, 230),
}


def test_draw_same_picture_twice_gives_equal_bytes():
    assert drawing.draw("blue_shirt", 3).jpeg() == drawing.draw("blue_shirt", 3).jpeg()


def test_draw_other_seed_index_or_class_gives_another_picture():
    base = drawing.draw("red_shoes", 0, seed=0).jpeg()
    others = [("red_shoes", 0, 1), ("red_shoes", 1, 0), ("black_shoes", 0, 0)]
    assert all(drawing.draw(*other).jpeg() != base for other in others)


def test_classes_are_the_24_of_the_dataset():
    assert len(set(drawing.CLASSES)) == 24
    assert Counter(name.split("_")[1] for name in drawing.CLASSES) == {
        "dress": 4,
        "pants": 6,
        "shirt": 3,
        "shoes": 6,
        "shorts": 5,
    }


@pytest.mark.parametrize("name", drawing.CLASSES[::4])
def test_picture_shows_the_named_color(name):
    picture = drawing.draw(name, 1)
    assert picture.pixels.shape == (224, 224, 3)
    assert 0.08 < picture.mask.mean() < 0.9
    assert _nearest_color(picture) == name.split("_")[0]


def test_jpeg_is_small_and_opens(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(drawing.draw("white_dress", 0).jpeg())
    assert path.stat().st_size <= drawing.MAX_BYTES
    with Image.open(path) as image:
        assert (image.size, image.mode) == ((224, 224), "RGB")


def test_an_unknown_class_is_refused():
    with pytest.raises(UnknownNameError, match="unknown class 'pink_hat': expected one of black_dress"):
        drawing.draw("pink_hat", 0)


def test_the_command_lays_out_folders_and_leaves_nothing_else(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(drawing, "CLASSES", ("black_shorts", "green_shirt"))
    monkeypatch.setattr(drawing, "draw", _blank)
    out = tmp_path / "new" / "catalogue"
    assert command.main(["--out", str(out), "--per-class", "2", "--seed", "5"]) == 0
    assert str(out) in capsys.readouterr().out
    names = [f"{name}/{name}_{n:02d}.jpg" for name in ("black_shorts", "green_shirt") for n in (0, 1)]
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*.jpg")) == names
    assert list((tmp_path / "new").iterdir()) == [out]
    with Image.open(out / names[3]) as image:
        assert abs(np.asarray(image).mean() - (len("green_shirt") + 1 + 5)) < 1


def test_a_folder_with_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="new or empty folder"):
        drawing.write_catalogue(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_interrupted_run_leaves_no_catalogue(tmp_path, monkeypatch):
    def interrupted(name, index, seed):
        if name == drawing.CLASSES[2]:
            raise KeyboardInterrupt
        return _blank(name, index, seed)

    monkeypatch.setattr(drawing, "draw", interrupted)
    with pytest.raises(KeyboardInterrupt):
        drawing.write_catalogue(tmp_path / "catalogue", per_class=1)
    assert list(tmp_path.iterdir()) == []


def test_a_class_without_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match="at least 1 picture per class, got 0"):
        drawing.write_catalogue(tmp_path / "x", per_class=0)


def _blank(name, index, seed):
    return drawing.Picture(np.full((224, 224, 3), len(name) + index + seed, np.uint8), np.ones((224, 224)))


def _nearest_color(picture):
    """The prototype that is nearest, in CIE Lab, to the median color of the middle of the garment."""
    rows, columns = np.mgrid[:224, :224]
    middle = (picture.mask > 0.9) & (np.hypot(rows - 112, columns - 112) < 90)
    median = np.median(picture.pixels[middle], axis=0)
    distances = {name: np.linalg.norm(_lab(median) - _lab(rgb)) for name, rgb in PROTOTYPES.items()}
    return min(distances, key=distances.get)


def _lab(rgb):
    s = np.asarray(rgb, float) / 255
    linear = np.where(s > 0.04045, ((s + 0.055) / 1.055) ** 2.4, s / 12.92)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
    f = np.cbrt(xyz / np.array([0.9505, 1.0, 1.089]))
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
