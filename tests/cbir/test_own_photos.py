"""A person's own photos, searched with the methods of a bundle."""

import pytest

from cbir.errors import BundleError, DataError
from cbir.own_photos import index_folder
from cbir.search import Retriever, SearchOptions
from cbir.similarity import SIMILARITIES
from tests.conftest import ToyBackbone, png, toy_photo


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "holiday"
    for n, kind in enumerate(["shirt", "pants", "shoes"] * 3):
        place = folder / f"day {n % 2}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{kind}{n}.png").write_bytes(png(toy_photo("red", kind, 50 + n)))
    (folder / "day 0" / "broken.jpg").write_bytes(b"no photo")
    (folder / "notes.txt").write_text("not a photo")
    return folder


def test_photos_without_labels_are_found_with_every_method(folder, toy_bundle, capsys):
    backbone = ToyBackbone()
    bundle = index_folder(folder, toy_bundle, backbone)
    assert len(bundle.gallery) == 9
    assert "1 photos of" in capsys.readouterr().out
    assert set(bundle.gallery.labels["type"]) == {""}
    retriever = Retriever(bundle, backbone)
    assert len(retriever.methods) == len(SIMILARITIES)
    for method in retriever.methods:
        result = retriever.search(toy_photo("red", "pants", 77), SearchOptions(method.name, "type", 3))
        if method.is_learned:  # the toy embedding's cosine does not know clothes
            assert sum("pants" in match.id for match in result.matches) >= 2, method.name


def test_photos_are_indexed_once(folder, toy_bundle):
    index_folder(folder, toy_bundle, ToyBackbone())
    backbone = ToyBackbone()
    index_folder(folder, toy_bundle, backbone)
    assert backbone.n_embedded == 0


def test_labels_are_shown_where_there_are_some(folder, toy_bundle):
    (folder / "red_shirt").mkdir()
    (folder / "red_shirt" / "1.png").write_bytes(png(toy_photo("red", "shirt", 1)))
    gallery = index_folder(folder, toy_bundle, ToyBackbone()).gallery
    assert gallery.labels_of(gallery.row("red_shirt/1.png")) == {"type": "shirt", "color": "red"}
    assert gallery.labels_of(gallery.row("day 0/shirt0.png")) == {"type": "", "color": ""}


def test_an_empty_folder_and_another_backbone_are_refused(tmp_path, folder, toy_bundle):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="is empty"):
        index_folder(tmp_path / "empty", toy_bundle, ToyBackbone())
    other = ToyBackbone()
    other.fingerprint = "0" * 64
    with pytest.raises(BundleError, match="need its own backbone"):
        index_folder(folder, toy_bundle, other)
