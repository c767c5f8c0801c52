import io
import os
import stat
import subprocess
import sys
import zipfile

import datasets
import pytest
from PIL import Image

from cbir.errors import DataError
from cbir.files import cache_root
from cbir.images import load_image
from train.cli import run_main
from train.data.dataset import FEATURES, counts, photo_source, read, read_dataset
from train.prepare_data import format_counts, main


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CBIR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def photo(color="red"):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), color).save(buffer, "PNG")
    return buffer.getvalue()


def fill(folder, files):
    """Write {relative name: bytes or str} below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def fill_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def as_folder(tmp_path, files):
    return fill(tmp_path / "data", files)


def as_zip(tmp_path, files):
    return fill_zip(tmp_path / "data.zip", files)


in_folder_and_zip = pytest.mark.parametrize("make", [as_folder, as_zip])


def rows(dataset):
    return list(zip(dataset["id"], dataset["color"], dataset["type"], strict=True))


CLASSES = {
    "red_dress/b.png": photo("red"),
    "red_dress/a.JPG": photo("red"),
    "blue_shirt/c.png": photo("blue"),
}
CLASS_ROWS = [
    ("blue_shirt/c.png", "blue", "shirt"),
    ("red_dress/a.JPG", "red", "dress"),
    ("red_dress/b.png", "red", "dress"),
]


# --- folders and zips


@in_folder_and_zip
def test_class_folders(tmp_path, make):
    dataset = read_dataset(make(tmp_path, CLASSES))
    assert dataset.features == FEATURES
    assert rows(dataset) == CLASS_ROWS
    colors = [load_image(photo_source(image)).getpixel((0, 0)) for image in dataset["image"]]
    assert colors == [(0, 0, 255), (255, 0, 0), (255, 0, 0)]


@in_folder_and_zip
def test_one_wrapping_folder(tmp_path, make):
    files = {f"Apparel Images/{name}": content for name, content in CLASSES.items()}
    reading = read(make(tmp_path, {**files, "readme.txt": "about"}))
    assert rows(reading.dataset) == CLASS_ROWS
    assert reading.n_ignored == 1


@in_folder_and_zip
def test_a_single_class_is_no_wrapping_folder(tmp_path, make):
    assert rows(read_dataset(make(tmp_path, {"Red_Dress/a.png": photo()}))) == [("Red_Dress/a.png", "red", "dress")]


@in_folder_and_zip
def test_folders_with_one_label(tmp_path, make):
    dataset = read_dataset(make(tmp_path, {"shoes/a.png": photo(), "green/deep/b.png": photo(), "c.png": photo()}))
    assert rows(dataset) == [
        ("c.png", "", ""),
        ("green/deep/b.png", "green", ""),
        ("shoes/a.png", "", "shoes"),
    ]


@in_folder_and_zip
def test_photos_without_labels(tmp_path, make):
    assert rows(read_dataset(make(tmp_path, {"b.png": photo(), "a.webp": photo()}))) == [
        ("a.webp", "", ""),
        ("b.png", "", ""),
    ]


@in_folder_and_zip
def test_hidden_files_are_skipped_and_others_counted(tmp_path, make):
    hidden = {
        "red_dress/.DS_Store": "",
        "__MACOSX/red_dress/._a.png": "",
        ".git/x.png": photo(),
        "red_dress/._b.png": "",
    }
    reading = read(make(tmp_path, {**CLASSES, **hidden, "notes/readme.md": "", "red_dress/list.txt": ""}))
    assert rows(reading.dataset) == CLASS_ROWS
    assert reading.n_ignored == 2


@in_folder_and_zip
def test_unknown_folder_is_refused(tmp_path, make):
    with pytest.raises(DataError, match=r"colors: black, .*has a folder 'pink_dress': rename it"):
        read_dataset(make(tmp_path, {**CLASSES, "pink_dress/d.png": photo()}))


@in_folder_and_zip
@pytest.mark.parametrize("files", [{"readme.txt": "nothing here"}, {".hidden.png": photo()}])
def test_no_photos(tmp_path, make, files):
    with pytest.raises(DataError, match=r"no photos among its 1 files|is empty"):
        read_dataset(make(tmp_path, files))


def test_empty_folder_and_zip(tmp_path):
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", fill_zip(tmp_path / "empty.zip", {})):
        with pytest.raises(DataError, match="is empty"):
            read_dataset(source)


def test_unreadable_photos_do_not_disturb(tmp_path):
    folder = as_folder(tmp_path, {"red_dress/a.png": b"", "red_dress/b.png": b"no photo"})
    assert len(read_dataset(folder)) == 2
    assert main(["--data", str(folder), "--out", str(tmp_path / "out")]) == 0
    images = datasets.load_from_disk(str(tmp_path / "out"))["image"][:]
    assert [photo_source(image) for image in images] == [b"", b"no photo"]


def test_photos_of_a_folder_stay_where_they_are(tmp_path, monkeypatch):
    as_folder(tmp_path, CLASSES)
    monkeypatch.chdir(tmp_path)
    image = read_dataset("data")[0]["image"]
    assert image["bytes"] is None
    assert image["path"] == str(tmp_path / "data" / "blue_shirt" / "c.png")
    assert not cache_root().exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_no_utf8(tmp_path):
    folder = as_folder(tmp_path, CLASSES)
    with open(os.fsencode(folder) + b"/caf\xe9.png", "wb") as file:  # noqa: PTH123 - bytes name
        file.write(photo())
    with pytest.raises(DataError, match="UTF-8"):
        read_dataset(folder)


# --- zips


def test_zip_is_unpacked_once_by_content(tmp_path, cache):
    source = as_zip(tmp_path, {**CLASSES, "red_dress/again.png": CLASSES["red_dress/b.png"]})
    first = read_dataset(source)
    files = sorted(path for path in cache.rglob("*") if path.is_file())
    assert len(files) == 3  # two contents, one of them with two suffixes
    assert {image["path"] for image in first["image"]} == {str(path) for path in files}
    times = [path.stat().st_mtime_ns for path in files]
    assert read_dataset(source)["image"][:] == first["image"][:]
    assert [path.stat().st_mtime_ns for path in files] == times
    assert sorted(path for path in cache.rglob("*") if path.is_file()) == files


@pytest.mark.parametrize(
    "name", ["../evil.png", "red_dress/../../evil.png", "/evil.png", "..\\evil.png", "C:\\evil.png"]
)
def test_names_outside_of_the_zip_are_refused(tmp_path, cache, name):
    with pytest.raises(DataError, match="do not trust"):
        read_dataset(as_zip(tmp_path, {**CLASSES, name: photo()}))
    assert not cache.exists()


def test_zip_from_windows(tmp_path):
    source = as_zip(tmp_path, {"photos\\red_dress\\a.png": photo()})
    assert rows(read_dataset(source)) == [("red_dress/a.png", "red", "dress")]


def test_links_in_zips_are_not_followed(tmp_path):
    source = as_zip(tmp_path, CLASSES)
    with zipfile.ZipFile(source, "a") as archive:
        link = zipfile.ZipInfo("red_dress/link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert rows(read_dataset(source)) == CLASS_ROWS


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_name_twice_in_a_zip(tmp_path):
    source = as_zip(tmp_path, CLASSES)
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr("red_dress/b.png", photo("green"))
    with pytest.raises(DataError, match=r"'red_dress/b.png' twice"):
        read_dataset(source)


def test_size_of_a_zip_is_bounded(tmp_path, cache, monkeypatch):
    monkeypatch.setattr("cbir.photos.MAX_UNPACKED", 100)
    with pytest.raises(DataError, match="unpacks to"):
        read_dataset(as_zip(tmp_path, {"red_dress/a.png": bytes(101)}))
    assert not cache.exists()


def test_damaged_encrypted_and_other_files(tmp_path):
    source = as_zip(tmp_path, {"red_dress/a.png": os.urandom(1000)})
    data = bytearray(source.read_bytes())
    data[500] ^= 255
    source.write_bytes(data)
    with pytest.raises(DataError, match="cannot read the zip"):
        read_dataset(source)
    data[6] |= 1  # the flag of an encrypted member, in both of its headers
    data[data.index(b"PK\x01\x02") + 8] |= 1
    source.write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        read_dataset(source)
    source.write_bytes(b"Rar!")
    with pytest.raises(DataError, match="another kind of file"):
        read_dataset(source)


# --- labels in a csv


@in_folder_and_zip
@pytest.mark.parametrize("name", ["metadata.csv", "labels.csv", "photos/metadata.csv"])
def test_labels_csv(tmp_path, make, name):
    folder = "photos/" if "/" in name else ""
    text = "\ufefffile_name,type,color\nb.png, Dress ,Red\nsub/a.png,,pink\n./c.png,skirt,\n"
    files = {f"{folder}{photo_name}": photo() for photo_name in ("b.png", "sub/a.png", "c.png", "unlisted.png")}
    reading = read(make(tmp_path, {**files, name: text}))
    assert rows(reading.dataset) == [
        ("b.png", "red", "dress"),
        ("c.png", "", "skirt"),
        ("sub/a.png", "pink", ""),
    ]
    assert reading.n_ignored == 1


@pytest.mark.parametrize("column", ["color", "type"])
def test_one_label_column_is_enough(tmp_path, column):
    folder = as_folder(tmp_path, {"a.png": photo(), "labels.csv": f"file_name,{column}\na.png,word\n"})
    assert read_dataset(folder)[0][column] == "word"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,color\na.png,red\n", r"expected the columns file_name,color,type .*got 'name,color'"),
        ("", "expected the columns"),
        ("file_name,color\n", "it has none"),
        ("file_name,color\na.png,red\n./a.png,blue\n", r"'a.png' comes twice"),
        ("file_name,color\ngone.png,red\n", r"there is no 'gone.png'"),
        ("file_name,color\n../data/a.png,red\n", "there is no"),
        ("file_name,color\n,red\n", "there is no"),
        (b"file_name,color\na.png,\xff\n", "UTF-8"),
        ('file_name,color\n"a.png,red\n', "comma-separated"),
    ],
)
def test_wrong_csv(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_dataset(as_folder(tmp_path, {"a.png": photo(), "metadata.csv": text}))


# --- datasets


def make_dataset(features=None, **columns):
    n_rows = len(next(iter(columns.values())))
    images = [{"bytes": photo(), "path": None}] * n_rows
    image = datasets.Image()
    dataset = datasets.Dataset.from_dict({"image": images, **columns})
    return dataset.cast(datasets.Features({**dataset.features, "image": image, **(features or {})}))


def saved(dataset, tmp_path):
    dataset.save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


def test_what_is_written_is_read_back(tmp_path):
    folder = as_folder(tmp_path, CLASSES)
    assert main(["--data", str(folder), "--out", str(tmp_path / "out")]) == 0
    again = read_dataset(tmp_path / "out")
    assert again.features == FEATURES
    assert rows(again) == CLASS_ROWS
    assert [image["bytes"] for image in again["image"]] == [CLASSES[id_] for id_ in again["id"]]


def test_string_columns_and_given_ids(tmp_path):
    dataset = make_dataset(id=[10, 2], color=["Red", None], type=["dress", ""]).with_format("numpy")
    assert rows(read_dataset(saved(dataset, tmp_path))) == [("10", "red", "dress"), ("2", "", "")]


def test_class_label_columns(tmp_path):
    classes = datasets.ClassLabel(names=["red", "blue"])
    dataset = make_dataset({"color": classes}, color=[1, None, -1])
    assert rows(read_dataset(saved(dataset, tmp_path))) == [
        ("000000", "blue", ""),
        ("000001", "", ""),
        ("000002", "", ""),
    ]


def test_single_label_column(tmp_path):
    dataset = make_dataset({"label": datasets.ClassLabel(names=["red_dress", "shoes"])}, label=[1, 0])
    assert rows(read_dataset(saved(dataset, tmp_path))) == [
        ("000000", "", "shoes"),
        ("000001", "red", "dress"),
    ]


def test_image_column_of_another_name(tmp_path):
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
        (make_dataset(label=["pink_dress", "red_dress"]), "such as black_dress .*got pink_dress"),
        (make_dataset(color=[1.5]), "expected words or classes in the column 'color'"),
        (make_dataset(id=["a", "b", "a"], color=["red"] * 3), "'a' comes 2 times"),
        (make_dataset(id=["a", None], color=["red"] * 2), "row 1 has none"),
    ],
)
def test_wrong_datasets(tmp_path, dataset, message):
    with pytest.raises(DataError, match=message):
        read_dataset(saved(dataset, tmp_path))


def test_damaged_dataset(tmp_path):
    folder = saved(make_dataset(color=["red"]), tmp_path)
    (folder / "state.json").write_text("{")
    with pytest.raises(DataError, match="cannot be loaded"):
        read_dataset(folder)


def test_empty_splits(monkeypatch):
    full = make_dataset(color=["red"], type=["dress"])
    splits = datasets.DatasetDict({"train": full, "test": full.select([])})
    monkeypatch.setattr(datasets, "load_dataset", lambda name, revision=None: splits)
    assert rows(read_dataset("user/apparel")) == [("train/000000", "red", "dress")]
    del splits["train"]
    with pytest.raises(DataError, match="has no rows"):
        read_dataset("user/apparel")


def test_hub_out_of_reach():
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
def test_nothing_there(tmp_path, monkeypatch, source):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DataError, match=r"nothing at|is empty"):
        read_dataset(source)


def test_revision_belongs_to_the_hub(tmp_path):
    with pytest.raises(DataError, match="leave it out"):
        read_dataset(as_folder(tmp_path, CLASSES), "main")


# --- the command


def test_counts(tmp_path):
    dataset = read_dataset(as_folder(tmp_path, {**CLASSES, "shoes/d.png": photo()}))
    table = counts(dataset)
    assert table == {"": {"shoes": 1}, "blue": {"shirt": 1}, "red": {"dress": 2}}
    assert [line.split() for line in format_counts(table).splitlines()] == [
        ["dress", "shirt", "shoes", "total"],
        ["unknown", "0", "0", "1", "1"],
        ["blue", "0", "1", "0", "1"],
        ["red", "2", "0", "0", "2"],
        ["total", "2", "1", "1", "4"],
    ]


def test_command(tmp_path, capsys):
    folder = as_folder(tmp_path, {**CLASSES, "loose.png": photo(), "readme.txt": ""})
    out = tmp_path / "new" / "out"
    assert main(["--data", str(folder), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "photos: 4; without label: 1; ignored files: 1" in printed
    assert [path.name for path in out.parent.iterdir()] == ["out"]  # nothing partial is left
    with pytest.raises(DataError, match="exists"):
        main(["--data", str(folder), "--out", str(out)])


def test_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def save_to_disk(self, path):
        os.makedirs(path)  # noqa: PTH103
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(datasets.Dataset, "save_to_disk", save_to_disk)
    with pytest.raises(DataError, match="No space left"):
        main(["--data", str(as_folder(tmp_path, CLASSES)), "--out", str(tmp_path / "out")])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_run_main_exits_with_the_status(capsys):
    with pytest.raises(SystemExit) as stopped:
        run_main(lambda argv: len(argv), ["a", "b", "c"])
    assert stopped.value.code == 3

    def fail(argv):
        raise DataError("expected one thing, got another: do a third")

    with pytest.raises(SystemExit) as stopped:
        run_main(fail)
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: expected one thing, got another: do a third\n"

    def interrupt(argv):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped:
        run_main(interrupt)
    assert stopped.value.code == 130

    def bug(argv):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_main(bug)


def test_cache_root(monkeypatch, tmp_path):
    assert cache_root() == tmp_path / "cache"
    monkeypatch.delenv("CBIR_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_root() == tmp_path / ".cache" / "apparel-cbir"
