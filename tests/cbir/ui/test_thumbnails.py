"""Thumbnails as files: written once each, whatever else lies there."""

from pathlib import Path

from cbir.index import GalleryIndex
from cbir.ui.thumbnails import Thumbnails


def test_they_are_written_without_looking_through_the_folder_for_each(toy_bundle, monkeypatch):
    def fail(*args: object) -> None:
        raise AssertionError("n thumbnails would take n^2 steps")

    for name in ("iterdir", "glob"):
        monkeypatch.setattr(Path, name, fail)
    for name in ("listdir", "scandir"):
        monkeypatch.setattr(f"os.{name}", fail)
    thumbnails = Thumbnails(GalleryIndex(toy_bundle.gallery))
    monkeypatch.undo()
    gallery = toy_bundle.gallery
    assert len(list(thumbnails.folder.iterdir())) == len(set(gallery.thumbnails))  # and nothing written aside stays
    for row in (0, len(gallery) - 1):
        assert Path(thumbnails.path(gallery.ids[row])).read_bytes() == gallery.thumbnails[row]
