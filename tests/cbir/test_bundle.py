"""Bundles come back as they went, and every kind of damage has its own clear error."""

import dataclasses
import hashlib
import json
import shutil
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.numpy import load_file, save_file

from cbir import bundle as module
from cbir.bundle import (
    COLOR_NETWORK,
    FEATURES,
    GALLERY,
    MANIFEST,
    MODELS,
    REPORT,
    bundle_files,
    load_bundle,
    save_bundle,
)
from cbir.errors import BundleError
from cbir.features.color_network import ColorNetwork
from cbir.labels import TASKS
from cbir.similarity import DEFAULT_METHOD, SIMILARITIES, Models
from tests.conftest import onnx_mean
from tests.try_bundles import loop, try_bundles
from tests.try_faults import try_kills

FOREST = "random_forest.type.onnx"


@pytest.fixture(scope="module")
def saved(toy_bundle, tmp_path_factory):
    return save_bundle(toy_bundle, tmp_path_factory.mktemp("bundles") / "toy")


@pytest.fixture
def copy(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "copy")


def edit_manifest(folder, **changes):
    path = folder / MANIFEST
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_bundle_comes_back_as_it_went(toy_bundle, saved):
    loaded = load_bundle(saved)
    assert loaded.gallery.ids.tolist() == toy_bundle.gallery.ids.tolist()
    assert list(loaded.gallery.thumbnails) == toy_bundle.gallery.thumbnails
    assert loaded.gallery.splits.tolist() == toy_bundle.gallery.splits.tolist()
    features = toy_bundle.gallery.features
    assert (loaded.gallery.features.embedding == features.embedding).all()
    for name, method in SIMILARITIES.items():
        scores = [method.score(features, features, b.models.of(method), TASKS["both"]) for b in (toy_bundle, loaded)]
        np.testing.assert_allclose(*scores, atol=1e-6, err_msg=name)  # memory layout moves the last bit
    assert loaded.manifest == dataclasses.replace(toy_bundle.manifest, created=loaded.manifest.created)
    assert loaded.report == toy_bundle.report
    assert loaded.familiarity.threshold == toy_bundle.familiarity.threshold
    np.testing.assert_array_equal(loaded.familiarity.score(features), toy_bundle.familiarity.score(features))
    places = [bundle.map.positions(features, bundle.attributes) for bundle in (toy_bundle, loaded)]
    np.testing.assert_allclose(*places, atol=1e-4)


def test_something_else_is_done_while_files_are_checked(saved, monkeypatch):
    done, hash_of = threading.Event(), module._sha256
    monkeypatch.setattr(module, "_sha256", lambda path: hash_of(path) if done.wait(20) else "")
    assert len(load_bundle(saved, meanwhile=done.set).gallery) > 0


def test_a_file_is_hashed_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HASHED_AT_ONCE", 7)
    for n in (0, 6, 7, 8, 50):
        path = tmp_path / str(n)
        path.write_bytes(bytes(range(n)))
        assert module._sha256(path) == hashlib.sha256(bytes(range(n))).hexdigest()


def test_the_attribute_model_is_stored_once(saved):
    bundle = load_bundle(saved)
    assert bundle.models.of(SIMILARITIES["agreement_and_likeness"]).attributes is bundle.attributes
    names = [name for name in load_file(saved / MODELS) if "by_label" in name]
    assert len(names) == 4
    assert all(name.startswith("attributes/") for name in names)
    assert (saved / MANIFEST).read_text().count('"shoes"') == 1


def test_a_bundle_without_learned_methods_has_another_default(toy_bundle, tmp_path):
    bare = dataclasses.replace(toy_bundle, models=Models(), map=None, report=None)
    loaded = load_bundle(save_bundle(bare, tmp_path / "bare"))
    assert [method.name for method in loaded.methods] == ["cosine", "inverse_euclidean"]
    assert loaded.default_method == "cosine"
    assert toy_bundle.default_method == DEFAULT_METHOD


def test_a_bundle_may_lack_report_and_familiarity(toy_bundle, tmp_path):
    plain = save_bundle(dataclasses.replace(toy_bundle, report=None, familiarity=None), tmp_path / "plain")
    assert not (plain / REPORT).exists()
    loaded = load_bundle(plain)
    assert loaded.report is None
    assert loaded.familiarity is None


def test_nothing_in_a_bundle_is_a_pickle(saved):
    suffixes = {path.suffix for path in saved.iterdir()}
    assert suffixes == {".json", ".parquet", ".safetensors", ".onnx"}


def test_saving_replaces_a_bundle_and_nothing_else(toy_bundle, saved, tmp_path):
    folder = shutil.copytree(saved, tmp_path / "old")
    (folder / "stale.onnx").write_bytes(b"x")
    save_bundle(toy_bundle, folder)
    assert not (folder / "stale.onnx").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["old"]  # no temporary folder stays
    precious = tmp_path / "photos"
    precious.mkdir()
    (precious / "cat.jpg").write_bytes(b"x")
    with pytest.raises(BundleError, match="exists and is not a bundle"):
        save_bundle(toy_bundle, precious)
    assert (precious / "cat.jpg").exists()


def test_a_bundle_of_another_version_is_replaced(toy_bundle, copy):
    edit_manifest(copy, schema_version=1)
    save_bundle(toy_bundle, copy)
    assert len(load_bundle(copy).gallery) == len(toy_bundle.gallery)


def test_a_bundle_that_was_killed_while_it_was_replaced_is_the_old_or_the_new(saved):
    """`python -m tests.try_faults` kills more often."""
    counts = try_kills(saved, 5)
    assert counts == {
        "bundle: killed while it is replaced|survived": 5,
        "bundle: what was left is cleaned|survived": 1,
    }


def test_a_bundle_is_replaced_where_a_link_points(toy_bundle, copy, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(copy)
    save_bundle(dataclasses.replace(toy_bundle, report=None), link)
    assert link.is_symlink()
    assert load_bundle(copy).report is None


def test_a_failed_save_leaves_the_old_bundle(toy_bundle, copy, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("cbir.bundle.save_file", fail)
    with pytest.raises(BundleError, match="disk full"):
        save_bundle(toy_bundle, copy)
    assert len(load_bundle(copy).gallery) == len(toy_bundle.gallery)
    assert [p.name for p in copy.parent.iterdir()] == ["copy"]


@pytest.mark.parametrize("name", [MANIFEST, GALLERY, FEATURES, MODELS, "random_forest.type.onnx"])
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(BundleError, match=name):
        load_bundle(copy)


@pytest.mark.parametrize("name", [GALLERY, FEATURES, MODELS, "random_forest.type.onnx"])
def test_a_flipped_byte_is_found(copy, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=rf"{name} is damaged"):
        load_bundle(copy)


def test_a_cut_file_is_found(copy):
    content = (copy / GALLERY).read_bytes()
    (copy / GALLERY).write_bytes(content[:-10])
    with pytest.raises(BundleError, match=f"{GALLERY} has {len(content) - 10} bytes, expected {len(content)}"):
        load_bundle(copy)


def test_no_folder_no_manifest_other_json(tmp_path):
    with pytest.raises(BundleError, match="no bundle at"):
        load_bundle(tmp_path / "nowhere")
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(BundleError, match="cannot be read"):
        load_bundle(tmp_path)
    (tmp_path / MANIFEST).write_text('{"format": "other"}')
    with pytest.raises(BundleError, match="not the manifest of a bundle"):
        load_bundle(tmp_path)


def test_another_schema_version_is_refused(copy):
    edit_manifest(copy, schema_version=99)
    with pytest.raises(BundleError, match="schema version 99, expected 5"):
        load_bundle(copy)


def test_another_color_descriptor_is_refused(copy):
    edit_manifest(copy, color_descriptor={"version": 0, "dim": 3})
    with pytest.raises(BundleError, match="color descriptors"):
        load_bundle(copy)


def test_embeddings_of_another_backbone_are_refused(copy):
    edit_manifest(copy, backbone={**json.loads((copy / MANIFEST).read_text())["backbone"], "dim": 5})
    with pytest.raises(BundleError, match="embeddings of 64 numbers, its backbone gives 5"):
        load_bundle(copy)


@pytest.fixture
def with_network(toy_bundle, tmp_path):
    """A stored bundle with a color network of three numbers a photo."""
    gallery = toy_bundle.gallery
    features = dataclasses.replace(gallery.features, learned=np.ones((len(gallery), 3), np.float32))
    bundle = dataclasses.replace(
        toy_bundle,
        gallery=dataclasses.replace(gallery, features=features),
        models=Models(),  # they have not seen a color network
        **{"map": None, "report": None},
        color_network=ColorNetwork(onnx_mean(["n", 3, 8, 8])),
    )
    return save_bundle(bundle, tmp_path / "with network")


def test_a_color_network_comes_back_as_it_went(with_network):
    loaded = load_bundle(with_network)
    assert loaded.color_network.graph == onnx_mean(["n", 3, 8, 8])
    assert (loaded.gallery.features.learned == 1).all()


def test_a_missing_or_damaged_color_network_is_named(with_network):
    path = with_network / COLOR_NETWORK
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)
    with pytest.raises(BundleError, match=f"{COLOR_NETWORK} is damaged"):
        load_bundle(with_network)
    path.unlink()
    with pytest.raises(BundleError, match=f"lacks the file {COLOR_NETWORK}"):
        load_bundle(with_network)


def test_learned_colors_of_another_network_are_refused(with_network):
    manifest = json.loads((with_network / MANIFEST).read_text())
    del manifest["files"][COLOR_NETWORK]
    (with_network / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="learned colors of 3 numbers, its color network gives 0"):
        load_bundle(with_network)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": 5}, "expected str at title, got '5'"),
        ({"dataset": []}, "expected an object at dataset"),
        ({"seed": "zero"}, "expected int at seed"),
        ({"parts": {"telepathy": {}}}, "unknown part 'telepathy'"),
        ({"parts": {"familiarity": {"threshold": "0.5"}}}, "expected float at threshold"),
    ],
)
def test_a_manifest_of_other_types_is_refused(copy, change, message):
    edit_manifest(copy, **change)
    with pytest.raises(BundleError, match=message):
        load_bundle(copy)


def test_a_graph_that_the_manifest_does_not_list_is_not_loaded(copy):
    files = json.loads((copy / MANIFEST).read_text())["files"]
    del files["random_forest.type.onnx"]
    edit_manifest(copy, files=files)
    with pytest.raises(BundleError, match=r"does not list random_forest\.type\.onnx"):
        load_bundle(copy)


def seal(folder):
    """Puts right what the manifest says of the other files, as whoever changes a bundle on purpose would."""
    files = {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "bytes": path.stat().st_size}
        for path in folder.iterdir()
        if path.name != MANIFEST
    }
    edit_manifest(folder, files=files)
    return folder


def with_array(name, change, file=MODELS):
    def edit(folder):
        arrays = load_file(folder / file)
        arrays[name] = np.ascontiguousarray(change(arrays[name]))
        save_file(arrays, folder / file)

    return edit


def put(value):
    def change(array):
        array = array.copy()
        array.reshape(-1)[0] = value
        return array

    return change


def with_gallery(change, **options):
    def edit(folder):
        pq.write_table(change(pq.read_table(folder / GALLERY)), folder / GALLERY, **options)

    return edit


def column(name, values):
    def change(table):
        return table.set_column(table.column_names.index(name), name, pa.array(values(table[name].to_pylist())))

    return change


def with_report(*place, value):
    def edit(folder):
        report = json.loads((folder / REPORT).read_text())
        part = report
        for key in place[:-1]:
            part = part[key]
        part[place[-1]] = value
        (folder / REPORT).write_text(json.dumps(report))

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (with_array("attributes/embedding/mean", put(np.nan)), "expected finite numbers at embedding/mean"),
        (with_array("familiarity/axes", put(np.inf)), "part familiarity is damaged .*finite numbers at axes"),
        (with_array("attributes/color/scale", put(0)), "expected positive scales, at color"),
        (
            with_array("attributes/by_label/type/offset", lambda a: a[:1]),
            r"the shape \(k = 3\) at by_label/type",
        ),
        (with_array("attributes/embedding/mean", lambda a: a[1:]), "weights for a type, got"),
        (with_array("map/axes", lambda a: a[:1]), r"part map is damaged \(expected the shape \(2, p = 6\) at axes"),
        (with_array("familiarity/mean", lambda a: a.astype(np.int32)), "familiarity/mean as I32, expected"),
        (with_array("attributes/by_label/type/weights", lambda a: a * 0 + 3e38), "method .* no finite numbers"),
        (with_array("embedding", put(np.nan), FEATURES), "numbers in embedding that are not finite"),
        (with_array("color", lambda a: a[:, 1:], FEATURES), "color descriptors"),
        (with_array("embedding", lambda a: a[1:], FEATURES), "must have the same n"),
        (with_gallery(lambda table: table.drop_columns(["split"])), "gallery.parquet has the columns .*expected"),
        (with_gallery(column("id", lambda ids: list(range(len(ids))))), r"has the columns .*id \(int64\)"),
        (with_gallery(column("id", lambda ids: ["", *ids[1:]])), "needs an id, got an empty one"),
        (with_gallery(column("id", lambda ids: ["x" * 2**22, *ids[1:]])), "id of 4194304 characters, too many"),
        (with_gallery(column("type", lambda types: [None, *types[1:]])), "rows without type"),
        (with_gallery(column("split", lambda s: ["other", *s[1:]])), "split train or test or none, got 'other'"),
        (with_gallery(column("thumbnail", lambda jpegs: [b"<svg>", *jpegs[1:]])), "thumbnails that are no JPEG"),
        (with_gallery(lambda table: table[:-1]), "107 rows, but there are features of 108"),
        (with_gallery(lambda table: table, compression="gzip"), "compressed by GZIP, expected SNAPPY"),
        (with_report("methods", "cosine", "histograms", "type", "edges", value=[0.0]), "two rising edges"),
        (with_report("methods", "cosine", "precision_recall", "type", "recall", value=[1.0]), r"the shape \(n = 1\)"),
        (with_report("methods", "random_forest", "reliability", "type", "n_pairs", value=[]), "expected the shape"),
        (with_report("confusion", "type", "counts", value=[[1], [2], [3]]), "rows of 3 counts, at confusion/type"),
        (with_report("familiarity", "unseen_kinds", value={}), "expected shares of kinds .* at familiarity"),
        (with_report("baselines", "models", value={"x": {}}), "report.json gives no tables"),
        (with_report("data", "n_photos", value=float("nan")), "holds NaN, which is no finite number"),
        (with_report("data", "n_photos", value=10**30), "a whole number of 64 bits at data/n_photos"),
        (with_report("data", "title", value="\ud800"), "expected text at data/title"),
        (lambda folder: (folder / FOREST).write_bytes(loop(10**12)), f"{FOREST}: .* is not allowed"),
    ],
)
def test_a_bundle_that_was_changed_on_purpose_is_refused_by_the_check_that_failed(copy, edit, message):
    edit(copy)
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(seal(copy))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": []}, "expected an object at files"),
        ({"files": {"gallery.parquet": {"bytes": 3}}}, "expected str at files/gallery.parquet/sha256"),
        ({"parts": None}, "expected an object at parts"),
        ({"schema_version": [{}] * 1000}, "schema version"),
        ({"title": "x" * 20_000}, "a text of at most 10000 characters at title"),
        ({"seed": 10**30}, "a whole number of 64 bits at seed"),
        ({"test_share": float("inf")}, "holds Infinity, which is no finite number"),
        ({"backbone": {"name": "toy", "dim": 64, "fingerprint": "x"}}, "expected an object at backbone/weights"),
    ],
)
def test_a_manifest_of_other_values_is_refused(copy, change, message):
    edit_manifest(copy, **change)
    with pytest.raises(BundleError, match=message) as caught:
        load_bundle(copy)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "name", ["random_forest.../../x.onnx", "random_forest.x/../../y.onnx", "../random_forest.x.onnx"]
)
def test_no_name_of_a_file_comes_from_the_manifest(copy, name):
    files = json.loads((copy / MANIFEST).read_text())["files"]
    edit_manifest(copy, files={**files, name: {"sha256": "0" * 64, "bytes": 1}})
    assert set(bundle_files(copy)) == {MANIFEST, *files}
    load_bundle(copy)


def test_a_manifest_of_any_depth_is_one_line(copy):
    text = (copy / MANIFEST).read_text()
    (copy / MANIFEST).write_text(text.replace('"test_share": null', f'"test_share": {"[" * 100_000}{"]" * 100_000}'))
    with pytest.raises(BundleError, match="cannot be read"):
        load_bundle(copy)


def test_changed_bundles_are_refused_or_work(saved):
    """The same for changes at random; `python -m tests.try_bundles` tries more."""
    counts = try_bundles(saved, 64)
    answers = {answer: sum(n for kind, n in counts.items() if kind.endswith(answer)) for answer in ("refused", "works")}
    assert sum(answers.values()) == counts.total() == 64, counts
    assert answers["refused"] > answers["works"] > 0
    assert counts["flipped bits, hashes left|refused"] == 8
