"""Adding photos to a bundle and removing some: ids stay, only new photos are embedded, the report stays honest."""

import dataclasses
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cbir import doctor
from cbir.__main__ import main
from cbir.bundle import EMBEDDED, Edits, load_bundle, save_bundle
from cbir.editing import add_photos, remove_photos
from cbir.errors import BundleError, CbirError, DataError, UnknownNameError
from cbir.index import GalleryIndex
from cbir.search import Retriever, SearchOptions
from cbir.ui import report
from cbir.ui.texts import Words
from cbir.ui.thumbnails import Thumbnails
from tests.conftest import ROOT, ToyBackbone, png, toy_photo
from train.hub.model_card import model_card


@pytest.fixture
def folder(toy_bundle, tmp_path):
    return save_bundle(toy_bundle, tmp_path / "bundle")


@pytest.fixture
def photos(tmp_path):
    """Three new photos, one of them labelled by its folder, and one that is broken."""
    photos = tmp_path / "photos"
    (photos / "red_shirt").mkdir(parents=True)
    (photos / "red_shirt" / "new.png").write_bytes(png(toy_photo("red", "shirt", 90)))
    for n in (91, 92):
        (photos / f"{n}.png").write_bytes(png(toy_photo("blue", "pants", n)))
    (photos / "broken.jpg").write_bytes(b"no photo")
    (photos / "notes.txt").write_text("not a photo")
    return photos


def rows_of(bundle, ids):
    rows = [bundle.gallery.row(id) for id in ids]
    return bundle.gallery.take(np.array(rows))


def test_added_photos_are_found_and_the_others_stay(folder, photos, toy_bundle):
    backbone = ToyBackbone()
    found = add_photos(folder, [photos], backbone)
    assert (found.added, found.replaced, found.known) == (["91.png", "92.png", "red_shirt/new.png"], [], [])
    assert list(found.unreadable) == ["broken.jpg"]
    assert found.n_ignored == 1
    assert backbone.n_embedded == 3
    edited = load_bundle(folder)
    old = rows_of(edited, toy_bundle.gallery.ids.tolist())
    assert (old.features.embedding == toy_bundle.gallery.features.embedding).all()
    assert list(old.thumbnails) == toy_bundle.gallery.thumbnails
    assert old.splits.tolist() == toy_bundle.gallery.splits.tolist()
    assert edited.gallery.labels_of(edited.gallery.row("red_shirt/new.png")) == {"type": "shirt", "color": "red"}
    assert set(rows_of(edited, found.added).splits) == {""}
    result = Retriever(edited, ToyBackbone()).search(toy_photo("blue", "pants", 91), SearchOptions("cosine", k=1))
    assert result.matches[0].id == "91.png"


def test_what_is_there_already_is_not_added_twice(folder, photos):
    add_photos(folder, [photos], ToyBackbone())
    before = (folder / "manifest.json").read_bytes()
    backbone = ToyBackbone()
    found = add_photos(folder, [photos, photos / "91.png"], backbone)
    assert (found.added, found.known) == ([], ["91.png", "92.png", "red_shirt/new.png"])
    assert backbone.n_embedded == 0
    assert (folder / "manifest.json").read_bytes() == before


def test_another_photo_of_the_same_id_needs_to_be_asked_for(folder, photos):
    add_photos(folder, [photos], ToyBackbone())
    (photos / "91.png").write_bytes(png(toy_photo("white", "shoes", 5)))
    before = load_bundle(folder).revision
    with pytest.raises(DataError, match=r"1 ids have other photos .*'91.png'"):
        add_photos(folder, [photos], ToyBackbone())
    assert load_bundle(folder).revision == before
    found = add_photos(folder, [photos], ToyBackbone(), overwrite=True)
    assert (found.added, found.replaced) == ([], ["91.png"])
    edited = load_bundle(folder)
    assert len(edited.gallery) == 108 + 3
    assert edited.manifest.edits == Edits(4, 1)
    match = Retriever(edited, ToyBackbone()).search(toy_photo("white", "shoes", 5), SearchOptions("cosine", k=1))
    assert match.matches[0].id == "91.png"


def test_a_label_that_changed_counts_as_another_photo(folder, tmp_path):
    photos = tmp_path / "labelled"
    photos.mkdir()
    (photos / "a.png").write_bytes(png(toy_photo("red", "shirt", 60)))
    add_photos(folder, [photos / "a.png"], ToyBackbone())
    (photos / "metadata.csv").write_text("file_name,color,type\na.png,red,shirt\n")
    with pytest.raises(DataError, match="other photos or labels"):
        add_photos(folder, [photos], ToyBackbone())
    backbone = ToyBackbone()
    assert add_photos(folder, [photos], backbone, overwrite=True).replaced == ["a.png"]
    assert backbone.n_embedded == 0
    assert rows_of(load_bundle(folder), ["a.png"]).labels["type"].tolist() == ["shirt"]


def test_removed_photos_are_gone_everywhere(folder, toy_bundle):
    examples = toy_bundle.report.queries.tasks["both"].best
    gone = [examples[0].id, examples[0].matches[0].id]
    assert remove_photos(folder, gone) == 2
    edited = load_bundle(folder)
    assert not {*gone} & {*edited.gallery.ids.tolist()}
    assert edited.manifest.dataset.n_photos == len(edited.gallery) == 106
    assert sum(n for row in edited.manifest.dataset.counts.values() for n in row.values()) == 106
    assert edited.report.methods == toy_bundle.report.methods
    for path in folder.iterdir():
        assert not any(id.encode() in path.read_bytes() for id in gone), path
    # The page of the report asks for the pictures of its examples.
    assert "measured before" in report.page(edited, Thumbnails(GalleryIndex(edited.gallery)), Words())


def test_the_report_says_that_it_was_measured_before(folder, photos, toy_bundle):
    add_photos(folder, [photos], ToyBackbone())
    remove_photos(folder, ["92.png"])
    edited = load_bundle(folder)
    assert edited.manifest.edits == Edits(3, 1)
    shown = report.page(edited, Thumbnails(GalleryIndex(edited.gallery)), Words())
    assert "before the collection changed: 3 pictures were added since, and 1 were removed" in shown
    assert "measured before the gallery changed**: 3 pictures" in model_card(edited, "user/repo")
    assert "3 photos were added and 1 removed" in doctor._bundle(str(folder))[1].detail
    for text in (
        report.page(toy_bundle, Thumbnails(GalleryIndex(toy_bundle.gallery)), Words()),
        model_card(toy_bundle, "user/repo"),
    ):
        assert "measured before" not in text


def test_nothing_changes_where_something_is_wrong(folder, photos, tmp_path):
    before = load_bundle(folder).revision
    with pytest.raises(UnknownNameError):
        remove_photos(folder, ["red_shirt/0.png", "nobody"])
    with pytest.raises(BundleError, match="at least one photo"):
        remove_photos(folder, load_bundle(folder).gallery.ids.tolist())
    with pytest.raises(DataError, match=r"nowhere"):
        add_photos(folder, [photos, tmp_path / "nowhere"], ToyBackbone())
    with pytest.raises(CbirError, match="at least one readable photo"):
        add_photos(folder, [photos / "broken.jpg"], ToyBackbone())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "91.png").write_bytes(png(toy_photo("red", "shoes", 1)))
    with pytest.raises(DataError, match=r"'91.png' is in two of the sources"):
        add_photos(folder, [photos, tmp_path / "other"], ToyBackbone())
    other = ToyBackbone()
    other.fingerprint = "0" * 64
    with pytest.raises(BundleError, match="backbone that made the bundle"):
        add_photos(folder, [photos], other)
    with pytest.raises(BundleError, match="on this machine"):
        add_photos(tmp_path / "user" / "repo", [photos], ToyBackbone())
    assert load_bundle(folder).revision == before


KILLED = """
import os, signal, sys
from pathlib import Path
from cbir import editing

class Backbone:
    fingerprint = sys.argv[3]

def save(bundle, folder):
    assert len(bundle.gallery) == 109
    os.kill(os.getpid(), signal.SIGKILL)

editing.index_gallery = lambda *photos: (editing.load_bundle(Path(sys.argv[4])).gallery, {})
editing.save_bundle = save
editing.add_photos(Path(sys.argv[1]), [Path(sys.argv[2])], Backbone())
"""


def test_a_killed_edit_changes_nothing_and_keeps_nobody_waiting(folder, photos, toy_bundle, tmp_path):
    one = dataclasses.replace(toy_bundle.gallery.take(np.array([0])), ids=np.array(["91.png"]))
    other = save_bundle(dataclasses.replace(toy_bundle, gallery=one, report=None), tmp_path / "other")
    before = load_bundle(folder).revision
    command = [sys.executable, "-c", KILLED, folder, photos / "91.png", ToyBackbone.fingerprint, other]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert load_bundle(folder).revision == before
    assert add_photos(folder, [photos / "91.png"], ToyBackbone()).added == ["91.png"]


def test_two_edits_at_once_wait_for_each_other(folder, photos, capsys):
    embedding, go_on = threading.Event(), threading.Event()

    class Slow(ToyBackbone):
        def forward(self, batch):
            embedding.set()
            assert go_on.wait(60)
            return super().forward(batch)

    def is_waiting():
        return "waiting" in capsys.readouterr().out

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(add_photos, folder, [photos / "91.png"], Slow())
        assert embedding.wait(60)
        second = pool.submit(add_photos, folder, [photos / "92.png"], ToyBackbone())
        until = time.monotonic() + 60
        while not is_waiting():
            assert time.monotonic() < until
        go_on.set()
        assert first.result(60).added + second.result(60).added == ["91.png", "92.png"]
    assert {"91.png", "92.png"} <= set(load_bundle(folder).gallery.ids.tolist())


def test_from_the_command_line(tmp_path, photos, capsys):
    folder = save_bundle(dataclasses.replace(load_bundle(EMBEDDED), report=None), tmp_path / "copy")
    assert main(["add", str(folder), str(photos)]) == 0
    out = capsys.readouterr().out
    assert "added: 3, replaced: 0, there already: 0, ignored files: 1" in out
    assert "broken.jpg" in out
    assert main(["remove", str(folder), "91.png", "92.png"]) == 0
    assert capsys.readouterr().out == "removed: 2\n"
    assert main(["remove", str(folder), "91.png"]) == 2
    assert capsys.readouterr().err.startswith("error: unknown id '91.png'")
    assert main(["add", "user/repo", str(photos)]) == 2
    assert "on this machine" in capsys.readouterr().err
