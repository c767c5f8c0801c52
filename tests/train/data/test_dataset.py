"""Photos and labels from anywhere become one dataset, and come back from where it was written."""

import os
import subprocess
import sys

import datasets
import pytest

from cbir.errors import DataError
from cbir.images import load_image
from cbir.photos import Remark
from tests.photo_files import CLASS_ROWS, CLASSES, fill, fill_zip, photo
from train.data.dataset import (
    FEATURES,
    check_is_new,
    class_table,
    counts,
    photo_source,
    read,
    read_dataset,
    read_image,
    save,
)


def rows(dataset):
    return list(zip(dataset["id"], dataset["color"], dataset["type"], strict=True))


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / "data", CLASSES)


def make_dataset(features=None, **columns):
    n_rows = len(next(iter(columns.values())))
    images = [{"bytes": photo(), "path": None}] * n_rows
    image = datasets.Image()
    dataset = datasets.Dataset.from_dict({"image": images, **columns})
    return dataset.cast(datasets.Features({**dataset.features, "image": image, **(features or {})}))


def saved(dataset, tmp_path):
    dataset.save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def test_photos_of_folders_and_zips_become_rows(tmp_path, folder):
    (folder / "readme.txt").write_text("about")
    reading = read(folder)
    assert reading.dataset.features == FEATURES
    assert rows(reading.dataset) == CLASS_ROWS
    assert reading.left_out == {"not photos": Remark(1, ("readme.txt",))}
    assert reading.dataset[0]["image"] == {"bytes": None, "path": str(folder / "blue_shirt" / "c.png")}
    zipped = read_dataset(fill_zip(tmp_path / "data.zip", CLASSES))
    assert rows(zipped) == CLASS_ROWS
    assert [read_image(image) for image in zipped["image"]] == [CLASSES[id] for id, _, _ in CLASS_ROWS]


def test_what_is_written_is_read_back(tmp_path, folder):
    save(read_dataset(folder), tmp_path / "out")
    again = read_dataset(tmp_path / "out")
    assert again.features == FEATURES
    assert rows(again) == CLASS_ROWS
    assert [image["bytes"] for image in again["image"]] == [CLASSES[id_] for id_ in again["id"]]


def test_string_columns_and_given_ids_are_read(tmp_path):
    dataset = make_dataset(id=[10, 2], color=["Red", None], type=["dress", ""]).with_format("numpy")
    assert rows(read_dataset(saved(dataset, tmp_path))) == [("10", "red", "dress"), ("2", "", "")]


def test_class_label_columns_are_read(tmp_path):
    classes = datasets.ClassLabel(names=["red", "blue"])
    dataset = make_dataset({"color": classes}, color=[1, None, -1])
    assert rows(read_dataset(saved(dataset, tmp_path))) == [
        ("000000", "blue", ""),
        ("000001", "", ""),
        ("000002", "", ""),
    ]


def test_a_single_label_column_is_read(tmp_path):
    dataset = make_dataset({"label": datasets.ClassLabel(names=["red_dress", "shoes"])}, label=[1, 0])
    assert rows(read_dataset(saved(dataset, tmp_path))) == [
        ("000000", "", "shoes"),
        ("000001", "red", "dress"),
    ]


def test_an_image_column_of_another_name_is_read(tmp_path):
    dataset = make_dataset(label=["red_dress"]).rename_column("image", "photo")
    assert load_image(photo_source(read_dataset(saved(dataset, tmp_path))[0]["image"])).size == (4, 4)


def test_splits_are_read_together(tmp_path):
    label = {"label": datasets.ClassLabel(names=["red_dress", "shoes"])}
    other = {"label": datasets.ClassLabel(names=["blue"])}
    splits = {"train": make_dataset(label, label=[0, 1]), "test": make_dataset(other, label=[0])}
    dataset = read_dataset(saved(datasets.DatasetDict(splits), tmp_path))
    assert rows(dataset) == [
        ("test/000000", "blue", ""),
        ("train/000000", "red", "dress"),
        ("train/000001", "", "shoes"),
    ]


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (datasets.Dataset.from_dict({"text": ["a"]}), "expected an image column .*got text"),
        (make_dataset(words=["a"]), "expected the columns color and type, or label, .*got image, words"),
        (make_dataset(label=["thing_3", "red_dress"]), "such as black_dress .*got thing_3"),
        (make_dataset(color=[1.5]), "expected words or classes in the column 'color'"),
        (make_dataset(id=["a", "b", "a"], color=["red"] * 3), "'a' comes 2 times"),
        (make_dataset(id=["a", None], color=["red"] * 2), "row 1 has none"),
    ],
)
def test_datasets_that_do_not_fit_are_refused(tmp_path, dataset, message):
    with pytest.raises(DataError, match=message):
        read_dataset(saved(dataset, tmp_path))


def test_a_damaged_dataset_is_refused(tmp_path):
    folder = saved(make_dataset(color=["red"]), tmp_path)
    (folder / "state.json").write_text("{")
    with pytest.raises(DataError, match="cannot be loaded"):
        read_dataset(folder)


def test_empty_splits_are_left_out(monkeypatch):
    full = make_dataset(color=["red"], type=["dress"])
    splits = datasets.DatasetDict({"train": full, "test": full.select([])})
    monkeypatch.setattr(datasets, "load_dataset", lambda name, revision=None: splits)
    assert rows(read_dataset("user/apparel")) == [("train/000000", "red", "dress")]
    del splits["train"]
    with pytest.raises(DataError, match="has no rows"):
        read_dataset("user/apparel")


def test_an_unreachable_hub_is_one_clear_line():
    code = "from train.prepare_data import main, run_main; run_main(main)"
    arguments = ["--data", "nobody/no-such-dataset", "--out", "never"]
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stderr.startswith("error: expected a path or a Hub dataset")
    assert "nobody/no-such-dataset" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("source", ["nowhere", "a/b/c", "https://example.org/x.zip", "", "x" * 5000, "nul\0"])
def test_a_source_that_is_not_there_is_refused(tmp_path, monkeypatch, source):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DataError, match=r"nothing at|is empty"):
        read_dataset(source)


def test_a_revision_is_refused_for_a_path(folder):
    with pytest.raises(DataError, match="leave it out"):
        read_dataset(folder, "main")


def test_photos_are_counted_by_color_and_type(tmp_path):
    dataset = read_dataset(fill(tmp_path / "data", {**CLASSES, "shoes/d.png": photo()}))
    assert counts(dataset) == {"": {"shoes": 1}, "blue": {"shirt": 1}, "red": {"dress": 2}}
    assert [line.split() for line in class_table(dataset).to_string().splitlines()] == [
        ["dress", "shirt", "shoes", "total"],
        ["unknown", "0", "0", "1", "1"],
        ["blue", "0", "1", "0", "1"],
        ["red", "2", "0", "0", "2"],
        ["total", "2", "1", "1", "4"],
    ]


def test_a_failed_write_leaves_nothing(tmp_path, folder, monkeypatch):
    def save_to_disk(self, path):
        os.makedirs(path)  # noqa: PTH103
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(datasets.Dataset, "save_to_disk", save_to_disk)
    with pytest.raises(DataError, match="No space left"):
        save(read_dataset(folder), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_a_folder_is_never_written_twice(tmp_path, folder):
    check_is_new(tmp_path / "out")
    for function in (check_is_new, lambda path: save(read_dataset(folder), path)):
        with pytest.raises(DataError, match="exists: choose another"):
            function(folder)
