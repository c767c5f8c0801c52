"""Embedding of big collections: into parquet files, part by part, in this process and by Ray."""

import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest

from cbir.bundle import load_bundle, save_bundle
from cbir.editing import add_photos
from cbir.embedded import embedded_files, read_gallery, read_ids, read_info
from cbir.errors import BundleError, CbirError, DataError
from tests.conftest import ROOT, TOY_COLORS, ToyBackbone, png, toy_photo
from tests.hub_server import Repo
from train import embed, run
from train.data.dataset import read_dataset
from train.data.embed import embed_dataset
from train.data.photo_shards import find_photo_shards
from train.hub.dataset import DatasetRepo, push_dataset, write_repo

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")  # huggingface-hub's own

LITE = ["--backbone", "efficientnet-lite0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve photos in folders of classes, one without labels and one that is broken."""
    folder = tmp_path_factory.mktemp("photos")
    for color in TOY_COLORS:
        (folder / f"{color}_shirt").mkdir()
        for n in range(4):
            (folder / f"{color}_shirt" / f"{n}.png").write_bytes(png(toy_photo(color, "shirt", n)))
    (folder / "plain.png").write_bytes(png(toy_photo("red", "shoes", 1)))
    (folder / "broken.jpg").write_bytes(b"no photo")
    return folder


@pytest.fixture
def toy(monkeypatch):
    backbone = ToyBackbone()
    for place in (embed, run):
        monkeypatch.setattr(place, "load_backbone", lambda *_: backbone)
    return backbone


def embedded(folder, out, *arguments):
    assert embed.main(["--data", str(folder), "--out", str(out), "--part-size", "5", *arguments]) == 0
    return read_gallery(out)


def same(left, right):
    assert left.ids.tolist() == right.ids.tolist()
    np.testing.assert_array_equal(left.features.embedding, right.features.embedding)
    np.testing.assert_array_equal(left.features.color, right.features.color)
    assert list(left.thumbnails) == list(right.thumbnails)
    assert [left.labels_of(row) for row in range(len(left))] == [right.labels_of(row) for row in range(len(right))]


def test_a_folder_becomes_files_that_say_what_made_them(folder, toy, tmp_path, capsys):
    gallery, unreadable = embedded(folder, tmp_path / "out")
    assert "embedded 13 photos" in capsys.readouterr().out
    assert len(embedded_files(tmp_path / "out")) == 3
    assert gallery.labels_of(gallery.row("red_shirt/0.png")) == {"type": "shirt", "color": "red"}
    assert gallery.labels_of(gallery.row("plain.png")) == {"type": "", "color": ""}
    assert list(unreadable) == ["broken.jpg"]
    info = read_info(tmp_path / "out")
    assert (info.backbone, info.source) == (toy.describe(), str(folder))
    expected = ToyBackbone().embed([toy_photo("red", "shirt", 0)])
    found = gallery.features.embedding[[gallery.row("red_shirt/0.png")]]
    np.testing.assert_array_equal(found, expected.astype(np.float16).astype(np.float32))


def test_a_part_without_any_readable_photo_is_a_file_too(tmp_path, toy):
    (tmp_path / "photos").mkdir()
    for n in range(7):
        (tmp_path / "photos" / f"{n}.jpg").write_bytes(b"no photo")
    assert embed.main(["--data", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), "--part-size", "5"]) == 0
    assert len(embedded_files(tmp_path / "out")) == 2
    with pytest.raises(DataError, match="none of them could be read"):
        read_gallery(tmp_path / "out")


def test_a_job_goes_on_where_it_stopped(folder, toy, tmp_path):
    whole, _ = embedded(folder, tmp_path / "whole")
    out = tmp_path / "out"
    embedded(folder, out)
    embedded_files(out)[0].unlink()  # as if it had been killed before
    (out / ".left.parquet.1-2.part").write_bytes(b"half of one")
    toy.n_embedded = 0
    again, _ = embedded(folder, out)
    assert 0 < toy.n_embedded <= 5
    same(again, whole)
    assert not list(out.glob(".*"))
    more = shutil.copytree(folder, tmp_path / "more")
    toy.n_embedded = 0
    (out.parent / "more" / "new.png").write_bytes(png(toy_photo("blue", "pants", 3)))
    with pytest.raises(DataError, match="give another --out"):
        embedded(more, out)
    folder.rename(folder.with_name("moved"))
    try:
        more.rename(folder)
        gallery, _ = embedded(folder, out)
    finally:
        shutil.rmtree(folder)
        folder.with_name("moved").rename(folder)
    assert toy.n_embedded == 1
    assert "new.png" in gallery


def test_photos_on_the_hub_are_read_file_by_file(folder, toy, tmp_path, hub):
    whole, _ = embedded(folder, tmp_path / "whole")
    at = push_dataset(read_dataset(folder), DatasetRepo("user/photos", "photos"))
    out = tmp_path / "out"
    gallery, unreadable = embedded("user/photos", out)
    same(gallery, whole)
    assert not unreadable  # the broken one was not published
    assert read_info(out).source == at
    toy.n_embedded = 0
    hub.requests.clear()
    embedded("user/photos", out)
    assert toy.n_embedded == 0
    assert not any(".parquet" in request for request in hub.requests)
    gone = embedded_files(out)[-1]
    n_gone = pq.read_metadata(gone).num_rows
    gone.unlink()
    embedded("user/photos", out)
    assert toy.n_embedded == n_gone
    # A folder of such files, and files without ids.
    write_repo(read_dataset(folder), tmp_path, DatasetRepo("user/photos", "photos"))
    for path in (tmp_path / "data").iterdir():
        table = pq.read_table(path)
        pq.write_table(table.drop_columns(["id"]), path)
    shards = find_photo_shards(str(tmp_path / "data"))
    gallery, _ = embedded(tmp_path / "data", tmp_path / "third")
    assert {id.rpartition("/")[0] for id in gallery.ids} == {name.removesuffix(".parquet") for name in shards.names}
    assert len(gallery) == len(whole)


def test_training_and_bundles_read_them(folder, photos, toy, toy_bundle, tmp_path, capsys):
    embedded(photos, tmp_path / "embedded")
    toy.n_embedded = 0
    arguments = ["--out", str(tmp_path / "a"), "--title", "Toys"]
    assert run.main(["--data", str(tmp_path / "embedded"), *arguments]) == 0
    n_pictures = toy.n_embedded  # those without clothes
    trained = load_bundle(tmp_path / "a")
    same(trained.gallery, embed_dataset(read_dataset(photos), toy)[0])
    assert toy.n_embedded == n_pictures + 72
    assert set(trained.gallery.splits) == {"train", "test"}
    assert (trained.manifest.dataset.n_photos, trained.report.data.n_photos) == (72, 72)
    with pytest.raises(CbirError, match="leave --tune-color out"):
        run.main(["--data", str(tmp_path / "embedded"), "--tune-color", *arguments])
    # Into a bundle that is there.
    bundle = save_bundle(toy_bundle, tmp_path / "bundle")
    embedded(folder, tmp_path / "more")
    toy.n_embedded = 0
    with pytest.raises(DataError, match="rename the files"):
        add_photos(bundle, [tmp_path / "more"])
    shutil.rmtree(tmp_path / "more")
    for place in folder.glob("*_shirt"):
        place.rename(place.with_name(place.name.replace("_", "-")))
    embedded(folder, tmp_path / "more")
    found = add_photos(bundle, [tmp_path / "more"])
    assert (len(found.added), list(found.unreadable)) == (13, ["broken.jpg"])
    assert len(load_bundle(bundle).gallery) == 108 + 13
    assert add_photos(bundle, [tmp_path / "more"]).added == []


def test_what_does_not_fit_is_refused(folder, toy, toy_bundle, tmp_path, hub):
    out = tmp_path / "out"
    embedded(folder, out)
    toy.fingerprint = "0" * 64
    with pytest.raises(DataError, match="other weights"):
        embedded(folder, out)
    with pytest.raises(CbirError, match="give the same --weights"):
        run.main(["--data", str(out), "--out", str(tmp_path / "bundle")])
    embedded(folder, tmp_path / "other")
    with pytest.raises(BundleError, match="backbone that made the bundle"):
        add_photos(save_bundle(toy_bundle, tmp_path / "bundle"), [tmp_path / "other"])
    shutil.copy(embedded_files(tmp_path / "other")[0], out)
    with pytest.raises(DataError, match="by another"):
        read_gallery(out)
    embedded_files(tmp_path / "other")[0].write_bytes(b"damaged")
    with pytest.raises(DataError, match="remove it, and run train"):
        read_gallery(tmp_path / "other")
    with pytest.raises(DataError, match="nothing at"):
        embedded(tmp_path / "nowhere", out)
    with pytest.raises(CbirError, match="not found on the Hub"):
        embedded("user/nothing", out)
    hub.repos["datasets", "user/text"] = Repo(False)
    hub.repos["datasets", "user/text"].commit({"README.md": b"words"})
    with pytest.raises(DataError, match="it has none: give a folder"):
        embedded("user/text", out)


def test_a_job_that_was_killed_goes_on(folder, tmp_path, capsys):
    arguments = ["--data", folder, "--out", tmp_path, "--part-size", "1", *LITE]
    command = [sys.executable, "-m", "train.embed", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as killed:
        until = time.monotonic() + 300
        while not embedded_files(tmp_path):
            assert killed.poll() is None, killed.communicate()
            assert time.monotonic() < until
            time.sleep(0.01)
        killed.send_signal(signal.SIGKILL)
    done = read_ids(tmp_path)
    assert 0 < len(done) < 14
    assert embed.main(list(map(str, arguments))) == 0
    assert (
        f"embedded {13 - len(done - {'broken.jpg'})} photos; {tmp_path} holds 14 in 14 files" in capsys.readouterr().out
    )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Ray's own
def test_ray_does_the_same(folder, tmp_path, capsys, monkeypatch):
    pytest.importorskip("ray")
    whole, unreadable = embedded(folder, tmp_path / "whole", *LITE)
    capsys.readouterr()
    gallery, others = embedded(folder, tmp_path / "out", *LITE, "--ray")
    assert "embedded 13 photos" in capsys.readouterr().out
    assert gallery.ids.tolist() == whole.ids.tolist()
    assert list(gallery.thumbnails) == list(whole.thumbnails)
    # Another number of threads, another order of sums: half precision shows the last bit.
    np.testing.assert_allclose(gallery.features.embedding, whole.features.embedding, atol=2e-3)
    assert others == unreadable
    embedded(folder, tmp_path / "out", *LITE, "--ray")
    assert "embedded 0 photos" in capsys.readouterr().out


def test_ray_is_only_imported_where_it_is_asked_for(tmp_path, toy, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setitem(sys.modules, "ray.data", None)
    embedded(folder, tmp_path / "out")
    with pytest.raises(CbirError, match="requirements-scale"):
        embedded(folder, tmp_path / "other", "--ray")
