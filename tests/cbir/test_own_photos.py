"""A person's own photos, searched with the methods of a bundle."""

import pytest

from cbir.bundle import load_bundle, save_bundle
from cbir.errors import BundleError, CbirError, DataError, NoPhotosError
from cbir.own_photos import OwnPhotos, index_folder
from cbir.search import Retriever, SearchOptions
from cbir.similarity import SIMILARITIES
from cbir.ui import views
from cbir.ui.texts import Words
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


def change(folder):
    """One new photo, one other picture under the same name, one that is gone, and one that got broken."""
    (folder / "new.png").write_bytes(png(toy_photo("blue", "shoes", 7)))
    (folder / "day 0" / "shirt0.png").write_bytes(png(toy_photo("white", "pants", 8)))
    (folder / "day 1" / "pants1.png").unlink()
    (folder / "day 0" / "shoes2.png").write_bytes(b"no photo any more")


def test_an_update_takes_what_is_new_changed_and_gone(folder, toy_bundle, capsys):
    backbone = ToyBackbone()
    photos = OwnPhotos(folder, toy_bundle, backbone)
    before = photos.bundle
    assert not photos.update()
    assert photos.bundle is before
    change(folder)
    backbone.n_embedded = 0
    changes = photos.update()
    assert (changes.added, changes.changed) == (["new.png"], ["day 0/shirt0.png"])
    assert changes.removed == ["day 0/shoes2.png", "day 1/pants1.png"]
    assert sorted(changes.unreadable) == ["day 0/broken.jpg", "day 0/shoes2.png"]
    assert backbone.n_embedded == 2
    # The same as a start after the change, which embeds nothing either.
    after, again = photos.bundle, index_folder(folder, toy_bundle, backbone)
    assert backbone.n_embedded == 2
    assert after.gallery.ids.tolist() == again.gallery.ids.tolist()
    assert (after.gallery.features.embedding == again.gallery.features.embedding).all()
    assert list(after.gallery.thumbnails) == list(again.gallery.thumbnails)
    assert after.manifest == again.manifest
    assert len(before.gallery) == 9  # whoever searches it meanwhile finishes undisturbed


def test_labels_that_change_count_and_nothing_is_embedded(folder, toy_bundle):
    backbone = ToyBackbone()
    photos = OwnPhotos(folder, toy_bundle, backbone)
    backbone.n_embedded = 0
    listed = [f"{path.parent.name}/{path.name},red,shirt" for path in folder.glob("*/*.png")]
    (folder / "metadata.csv").write_text("\n".join(["file_name,color,type", *listed]) + "\n")
    changes = photos.update()
    assert len(changes.changed) == 9
    assert not changes.added + changes.removed
    assert backbone.n_embedded == 0
    assert set(photos.bundle.gallery.labels["type"]) == {"shirt"}


def test_an_update_that_fails_changes_nothing(folder, toy_bundle):
    photos = OwnPhotos(folder, toy_bundle, ToyBackbone())
    before = photos.bundle
    moved = folder.rename(folder.with_name("elsewhere"))
    with pytest.raises(DataError, match="nothing at"):
        photos.update()
    assert photos.bundle is before
    moved.rename(folder)
    assert not photos.update()
    for path in folder.glob("*/*.png"):
        path.write_bytes(b"all broken")
    with pytest.raises(NoPhotosError, match="10 unreadable"):
        photos.update()
    assert photos.bundle is before


def test_one_update_at_a_time(folder, toy_bundle):
    class Asking(ToyBackbone):
        def forward(self, batch):
            if self.n_embedded:
                with pytest.raises(CbirError, match="being read already"):
                    photos.update()
            return super().forward(batch)

    photos = OwnPhotos(folder, toy_bundle, Asking())
    change(folder)
    assert photos.update().added == ["new.png"]


def test_what_is_left_out_and_not_understood_is_named_in_terminal_and_page(folder, toy_bundle, capsys):
    (folder / "day 0" / "@eaDir").mkdir()
    bundle = index_folder(folder, toy_bundle, ToyBackbone())
    printed = capsys.readouterr().out
    for line in (
        "  1 made by the system: day 0/@eaDir",
        "  1 not photos: notes.txt",
        "  10 photos in folders whose names say no color and no type: day 0 (6), day 1 (4)",
        "  day 0/broken.jpg: ",
    ):
        assert f"\n{line}" in printed
    english, portuguese = (views.notices(bundle, Words(language)) for language in ("en", "pt"))
    assert "<summary>Left out: 3</summary>" in english
    assert "<p>1 photos that cannot be read: day 0/broken.jpg (" in english
    assert "<p>1 made by the system: day 0/@eaDir</p>" in english
    assert "<summary>Not understood of the labels: 10</summary>" in english
    assert "<p>1 que não são fotos: notes.txt</p>" in portuguese
    saved = load_bundle(save_bundle(bundle, folder.parent / "bundle"))
    assert views.notices(saved, Words("pt")) == portuguese


def test_an_update_tells_of_other_files_too(folder, toy_bundle, capsys):
    photos = OwnPhotos(folder, toy_bundle, ToyBackbone())
    before = photos.bundle
    (folder / "more.txt").write_text("not a photo")
    capsys.readouterr()
    assert not photos.update()
    assert "2 not photos: more.txt, notes.txt" in capsys.readouterr().out
    assert photos.bundle is not before
    assert photos.bundle.manifest.dataset.left_out["not photos"].count == 2
