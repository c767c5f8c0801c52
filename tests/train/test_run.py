"""Training end to end on generated photos, with a stand-in for the network."""

import dataclasses
import errno
import json

import numpy as np
import pytest

from cbir.bundle import COLOR_NETWORK, MANIFEST, load_bundle
from cbir.errors import BackboneError, BundleError, CbirError, DataError, HubError
from cbir.features import Features
from cbir.features.color_network import ColorNetwork
from cbir.images import load_image
from cbir.own_photos import index_folder
from cbir.report import Report
from cbir.search import Retriever, SearchOptions
from cbir.similarity import SIMILARITIES
from tests.conftest import TOY_COLORS, ToyBackbone, onnx_mean, png, toy_photo, write_toy_photos
from tests.hub_server import TOKEN, Repo
from train import evaluate, run
from train.evaluation.garments import EDITS
from train.evaluation.markdown import provenance, tables
from train.evaluation.not_clothes import KINDS
from train.fit import fit_methods, views


@pytest.fixture
def backbone(monkeypatch):
    backbone = ToyBackbone()

    # Each run starts from the bare weights.
    monkeypatch.setattr("train.run.load_backbone", lambda name, weights: backbone.with_color_network(None))
    monkeypatch.setattr(
        "train.evaluate.load_bundle_backbone",
        lambda bundle, weights: backbone.with_color_network(bundle.color_network),
    )
    return backbone


@pytest.fixture
def fitted(monkeypatch):
    """What `fit_methods`, which runs as ever, is given."""
    given = {}

    def spy(features, labels, views, seed, tuned):
        given.update(features=features, labels=labels, views=views, tuned=tuned)
        return fit_methods(features, labels, views, seed, tuned)

    monkeypatch.setattr("train.run.fit_methods", spy)
    return given


def test_training_writes_a_bundle_and_prints_the_tables(backbone, tmp_path, capsys):
    data = write_toy_photos(tmp_path / "photos")
    (data / "red_shirt" / "broken.jpg").write_bytes(b"not a photo")
    out = tmp_path / "bundle"
    assert run.main(["--data", str(data), "--out", str(out), "--seed", "1"]) == 0
    printed = capsys.readouterr().out
    assert "1 photos of" in printed
    assert "red_shirt/broken.jpg" in printed
    for method in SIMILARITIES.values():
        assert f"| {method.title} " in printed
    assert "| Cosine                       | .387 " in printed
    bundle = load_bundle(out)
    assert len(bundle.gallery) == 72
    assert set(bundle.gallery.splits) == {"train", "test"}
    assert bundle.manifest.dataset.unreadable.keys() == {"red_shirt/broken.jpg"}
    assert bundle.report.methods["attribute_agreement"].pairs["type"].pearson.value > 0.7
    assert bundle.familiarity.threshold < 1
    result = Retriever(bundle, backbone).search(toy_photo("blue", "shoes", 77), SearchOptions(k=5))
    assert {m.labels["type"] for m in result.matches} == {"shoes"}
    # The printed figures are those of the bundle on disk: evaluating it again gives the same table.
    assert evaluate.main(["--bundle", str(out), "--out", str(tmp_path / "report.json")]) == 0
    assert capsys.readouterr().out.rstrip().endswith(tables(bundle.report))
    assert tables(bundle.report) in printed
    assert json.loads((tmp_path / "report.json").read_text()) == bundle.report.to_json()


def test_training_again_embeds_nothing_and_gives_the_same_bundle(backbone, tmp_path):
    data = write_toy_photos(tmp_path / "photos")
    for n, name in enumerate(("one", "two"), start=1):
        run.main(["--data", str(data), "--out", str(tmp_path / name)])
        # Pictures without clothes, views and copies are drawn, not cached.
        assert backbone.n_embedded == 72 + n * (len(KINDS) * 4 + views.PHOTOS * views.VIEWS + 8 * len(EDITS))
    one, two = (json.loads((tmp_path / name / MANIFEST).read_text())["files"] for name in ("one", "two"))
    assert one == two
    assert "report.json" in one


def test_more_photos_are_fitted_on_but_not_found(backbone, fitted, tmp_path):
    data = write_toy_photos(tmp_path / "photos")
    for n in range(100, 106):
        for type in ("shirt", "pants"):
            folder = tmp_path / "more" / type
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{n}.png").write_bytes(png(toy_photo("white", type, n)))
    bundle = run.train(run.Config(str(data), tmp_path / "out", also_fit=str(tmp_path / "more")))
    assert len(bundle.gallery) == 72
    n_fitted = len(fitted["features"])
    assert bundle.manifest.dataset.n_also_fit == n_fitted - (bundle.gallery.splits == "train").sum() > 0
    assert set(fitted["labels"]["color"]) == {*TOY_COLORS, ""}  # types alone are known of the others
    assert (fitted["labels"]["color"] == "").sum() == bundle.manifest.dataset.n_also_fit
    assert f"fitted on {n_fitted} photos" in provenance(bundle.report)


class Recorder:
    """In place of tuning, which takes long: remembers what it was given, and gives a network of mean colors."""

    def __init__(self):
        self.images, self.labels = [], {}

    def __call__(self, images, labels, seed):
        self.images, self.labels = list(images), labels
        return ColorNetwork(onnx_mean(["n", 3, 8, 8]))


@pytest.fixture
def recorder(monkeypatch):
    recorder = Recorder()
    monkeypatch.setattr("train.run.tune_color_network", recorder)
    return recorder


def test_a_color_network_learns_from_a_part_of_the_train_photos_alone(backbone, recorder, fitted, tmp_path):
    data = write_toy_photos(tmp_path / "photos")
    bundle = run.train(run.Config(str(data), tmp_path / "out", tune_color=True))
    given = {image.tobytes() for image in recorder.images}
    gallery = bundle.gallery
    seen = np.array([load_image(data / id).tobytes() in given for id in gallery.ids])
    assert not seen[gallery.splits == "test"].any()
    counts = dataclasses.asdict(bundle.manifest.tuning)
    assert counts == {"n_tuned": int(seen.sum()), "n_untuned": int((~seen & (gallery.splits == "train")).sum())}
    assert 0 < counts["n_untuned"] < counts["n_tuned"]
    # Labels stand beside the photos that they belong to.
    for image, color in zip(recorder.images, recorder.labels["color"], strict=True):
        row = next(r for r, id in enumerate(gallery.ids) if load_image(data / id).tobytes() == image.tobytes())
        assert gallery.labels["color"][row] == color
    assert vars(bundle.report.data.color_network) == counts
    # Another run tunes nothing.
    recorder.images = []
    again = run.train(run.Config(str(data), tmp_path / "again", tune_color=True))
    assert recorder.images == []
    assert again.color_network.fingerprint == bundle.color_network.fingerprint
    # The methods are told which ones it has seen.
    np.testing.assert_array_equal(fitted["tuned"], seen[gallery.splits == "train"])


def test_a_color_network_that_was_damaged_is_tuned_again_and_a_full_disk_stops_nothing(
    recorder, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("CBIR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("train.run.read_photos", lambda *source: iter(["a photo", "another"]))
    features = Features(np.ones((2, 3)), np.ones((2, 4)), np.ones((2, 0)))
    labels = {"color": np.array(["red", "blue"]), "type": np.array(["dress", "dress"])}

    def tuned():
        recorder.images = []
        network = run._tuned_color_network([("data", "gallery")], features, labels, np.array([True, False]), 0)
        assert network.fingerprint == ColorNetwork(onnx_mean(["n", 3, 8, 8])).fingerprint
        return recorder.images == ["a photo"]

    assert tuned()
    assert not tuned()
    (kept,) = tmp_path.rglob("*.onnx")
    data = kept.read_bytes()
    kept.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])
    assert tuned()
    assert not tuned()  # and it is kept again
    kept.unlink()

    def full(*args):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("cbir.files.replacing", full)
    assert tuned()
    assert "the color network is not kept: cannot write to the cache" in capsys.readouterr().out


def test_a_bundle_with_a_color_network_is_stored_and_searched(backbone, recorder, tmp_path, capsys):
    data = write_toy_photos(tmp_path / "photos")
    for seed in ("0", "1"):
        run.main(["--data", str(data), "--out", str(tmp_path / seed), "--tune-color", "--seed", seed])
    bundle = load_bundle(tmp_path / "0")
    assert bundle.gallery.features.learned.shape == (72, 3)
    assert bundle.color_network.fingerprint == ColorNetwork(onnx_mean(["n", 3, 8, 8])).fingerprint
    assert (tmp_path / "0" / COLOR_NETWORK).exists()
    backbone.color_network = bundle.color_network
    result = Retriever(bundle, backbone).search(toy_photo("blue", "shoes", 77), SearchOptions(k=5))
    assert {m.labels["color"] for m in result.matches} == {"blue"}
    # A folder of photos is searched with it too.
    photos = index_folder(data, bundle, backbone)
    np.testing.assert_array_equal(photos.gallery.features.learned, bundle.gallery.features.learned)
    assert photos.color_network is bundle.color_network

    # Fresh splits would evaluate on what it learned from; bundles of other seeds do not.
    with pytest.raises(DataError, match="--others"):
        evaluate.main(["--bundle", str(tmp_path / "0"), "--seeds", "3"])
    report = tmp_path / "report.json"
    evaluate.main(["--bundle", str(tmp_path / "0"), "--others", str(tmp_path / "1"), "--out", str(report)])
    seeds = Report.from_json(json.loads(report.read_text())).seeds
    assert seeds.seeds == (0, 1)
    figures = [load_bundle(tmp_path / seed).report.methods["cosine"].pairs["type"].pearson.value for seed in "01"]
    spread = seeds.methods["cosine"].pairs["type"].pearson
    assert (spread.mean, spread.deviation) == pytest.approx((np.mean(figures), np.std(figures, ddof=1)), abs=1e-4)
    with pytest.raises(DataError, match=r"different seeds, got seeds \[0, 0\]"):
        evaluate.main(["--bundle", str(tmp_path / "0"), "--others", str(tmp_path / "0")])
    run.main(["--data", str(data), "--out", str(tmp_path / "2"), "--seed", "2"])
    with pytest.raises(DataError, match="got color network True and False"):
        evaluate.main(["--bundle", str(tmp_path / "0"), "--others", str(tmp_path / "2")])


def test_photos_that_cannot_be_fitted_on_are_named_before_anything_is_tuned(backbone, recorder, tmp_path):
    data = write_toy_photos(tmp_path / "photos", per_class=1)
    with pytest.raises(DataError, match="two photos of one"):
        run.train(run.Config(str(data), tmp_path / "out", tune_color=True))
    assert not recorder.images
    assert not (tmp_path / "out").exists()


def test_a_color_network_is_not_tuned_for_fresh_splits(backbone, recorder, tmp_path):
    with pytest.raises(CbirError, match="--others"):
        run.main(["--data", "x", "--out", str(tmp_path / "out"), "--tune-color", "--seeds", "1", "2"])
    assert not recorder.images


@pytest.mark.parametrize("share", ["0", "1", "-0.5"])
def test_a_test_share_outside_0_to_1_is_refused(backbone, tmp_path, share):
    with pytest.raises(CbirError, match="test share between 0 and 1"):
        run.main(["--data", "x", "--out", str(tmp_path / "out"), "--test-share", share])


@pytest.fixture
def no_work(monkeypatch):
    """Embedding would take hours."""
    monkeypatch.setattr("train.run.embed_dataset", lambda *args: pytest.fail("it began to embed"))


def test_a_folder_that_holds_something_else_is_told_before_the_work(backbone, no_work, tmp_path):
    data, out = write_toy_photos(tmp_path / "photos"), tmp_path / "precious"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(BundleError, match="precious exists and is not a bundle"):
        run.main(["--data", str(data), "--out", str(out)])
    with pytest.raises(CbirError, match=r"thesis\.txt is not a folder"):
        run.main(["--data", str(data), "--out", str(out / "thesis.txt" / "bundle")])
    with pytest.raises(BundleError, match=r"thesis\.txt exists and is not a bundle"):
        run.main(["--data", str(data), "--out", str(out / "thesis.txt")])
    assert (out / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("repo", "token", "message"),
    [
        ("not a name", TOKEN, "expected a repository as user/repo"),
        ("user/photos", TOKEN, r"user/photos on the Hub holds something else \(cat.jpg\)"),
        ("somebody/bundle", TOKEN, "the token is of user, who may write to user, not to somebody"),
        ("user/bundle", "hf_wrong", "log in"),
    ],
)
def test_a_repository_that_cannot_be_written_is_told_before_the_work(
    backbone, no_work, tmp_path, hub_server, monkeypatch, repo, token, message
):
    hub_server.repos["models", "user/photos"] = Repo(private=True)
    hub_server.repos["models", "user/photos"].commit({"cat.jpg": b"meow"})
    monkeypatch.setenv("HF_TOKEN", token)
    data = write_toy_photos(tmp_path / "photos")
    with pytest.raises(HubError, match=message):
        run.main(["--data", str(data), "--out", str(tmp_path / "out"), "--push", repo])
    assert hub_server.changes() == []


def test_weights_that_are_not_there_are_told_before_the_photos_are_read(monkeypatch, tmp_path):
    monkeypatch.setattr("train.run.read", lambda *args: pytest.fail("it began to read photos"))
    command = ["--data", "x", "--out", str(tmp_path / "out"), "--backbone", "efficientnet-lite0"]
    with pytest.raises(BackboneError, match=r"gone\.safetensors not found"):
        run.main([*command, "--weights", str(tmp_path / "gone.safetensors")])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"red_shirt": 9}, "at least two classes of type, and two photos of one of these, got 9"),
        ({"red_shirt": 9, "blue_pants": 1}, "two classes with two photos each, got 10 \\(pants 1, shirt 9\\)"),
        ({"red_shirt": 2, "blue_pants": 2}, "expected at least six photos of a known type"),
        ({"shirt": 9, "pants": 9}, "two classes of color, and two photos of one of these, got 0 with a known color"),
        ({"": 9}, "got 0 with a known type"),
    ],
)
def test_photos_without_enough_labels_are_told_before_the_work(backbone, no_work, tmp_path, files, message):
    for folder, n in files.items():
        (tmp_path / "photos" / folder).mkdir(parents=True, exist_ok=True)
        for number in range(n):
            (tmp_path / "photos" / folder / f"{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match=message):
        run.main(["--data", str(tmp_path / "photos"), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_a_seed_below_0_is_told_before_the_work(backbone, no_work, tmp_path):
    with pytest.raises(CbirError, match="expected seeds from 0, got -1"):
        run.main(["--data", "x", "--out", str(tmp_path / "out"), "--seed", "-1"])
