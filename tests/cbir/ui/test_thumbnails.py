"""Thumbnails as files: each is written when somebody asks for it, under an address that outlives the app."""

from pathlib import Path

import pytest

from cbir.index import GalleryIndex
from cbir.ui import thumbnails as module
from cbir.ui.thumbnails import Thumbnails


def files(thumbnails):
    return {str(path) for path in thumbnails.folder.iterdir()}


def test_starting_writes_none(toy_bundle):
    thumbnails = Thumbnails(GalleryIndex(toy_bundle.gallery))
    address = thumbnails.url(toy_bundle.gallery.ids[0])
    assert files(thumbnails) == set()
    assert address.startswith("thumbnails/")


def test_each_is_written_once_asked_for_without_looking_through_the_folder(toy_bundle, monkeypatch):
    def fail(*args: object) -> None:
        raise AssertionError("n thumbnails would take n^2 steps")

    gallery = toy_bundle.gallery
    thumbnails = Thumbnails(GalleryIndex(gallery))
    for name in ("iterdir", "glob"):
        monkeypatch.setattr(Path, name, fail)
    for name in ("listdir", "scandir"):
        monkeypatch.setattr(f"os.{name}", fail)
    paths = [thumbnails.path(gallery.ids[row]) for row in (0, 1, 0)]
    monkeypatch.undo()
    assert files(thumbnails) == set(paths)  # and nothing written aside stays
    assert [Path(path).read_bytes() for path in paths] == [gallery.thumbnails[row] for row in (0, 1, 0)]


def test_an_address_that_an_earlier_run_gave_is_known(toy_bundle):
    index = GalleryIndex(toy_bundle.gallery)
    item = toy_bundle.gallery.ids[3]
    address = Thumbnails(index).url(item)
    thumbnails = Thumbnails(index)
    path = str(thumbnails.folder / Path(address).name)
    assert thumbnails.id_at(path) == item
    assert Path(path).read_bytes() == toy_bundle.gallery.thumbnails[3]
    for other in (path.replace(".jpg", ".png"), f"{path}/..", str(thumbnails.folder), "/etc/passwd", "", "\0"):
        assert thumbnails.id_at(other) is None
    assert files(thumbnails) == {path}


@pytest.mark.parametrize("named_at_start", [0, 1000])
def test_of_another_index_those_of_the_same_items_stay_and_the_others_go(toy_bundle, monkeypatch, named_at_start):
    monkeypatch.setattr(module, "NAMED_AT_START", named_at_start)  # a large gallery, and a small one
    ids = toy_bundle.gallery.ids.tolist()
    before = Thumbnails(GalleryIndex(toy_bundle.gallery))
    stays, goes = before.path(ids[0]), before.path(ids[1])
    after = before.updated(GalleryIndex(toy_bundle.gallery.take([0, 2])))
    before.remove_all_but(after)
    assert files(after) == {stays}
    assert after.id_at(stays) == ids[0]
    assert after.path(ids[0]) == stays
    assert after.id_at(goes) == ids[1]  # a page that is still open may name it
    assert before.path(ids[1]) == goes  # for whoever was answering meanwhile
    assert files(after) == {stays}
