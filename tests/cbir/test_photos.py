"""Photos in folders and zips become records, with the labels of their folders or of a csv."""

import os
import stat
import sys
import zipfile
from pathlib import Path

import pytest

from cbir.errors import DataError
from cbir.files import cache_root
from cbir.images import load_image
from cbir.photos import count_labels, list_photos
from tests.photo_files import CLASS_ROWS, CLASSES, fill, fill_zip, photo


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CBIR_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def as_folder(tmp_path, files):
    return fill(tmp_path / "data", files)


def as_zip(tmp_path, files):
    return fill_zip(tmp_path / "data.zip", files)


in_folder_and_zip = pytest.mark.parametrize("make", [as_folder, as_zip])


def rows(listing):
    return [(record.id, record.color, record.type) for record in listing.records]


@in_folder_and_zip
def test_class_folders_give_the_labels(tmp_path, make):
    listing = list_photos(make(tmp_path, CLASSES))
    assert rows(listing) == CLASS_ROWS
    colors = [load_image(record.path).getpixel((0, 0)) for record in listing.records]
    assert colors == [(0, 0, 255), (255, 0, 0), (255, 0, 0)]


@in_folder_and_zip
def test_one_wrapping_folder_does_no_harm(tmp_path, make):
    files = {f"Apparel Images/{name}": content for name, content in CLASSES.items()}
    listing = list_photos(make(tmp_path, {**files, "readme.txt": "about"}))
    assert rows(listing) == CLASS_ROWS
    assert listing.n_ignored == 1


@in_folder_and_zip
def test_a_single_class_is_not_a_wrapping_folder(tmp_path, make):
    assert rows(list_photos(make(tmp_path, {"Red_Dress/a.png": photo()}))) == [("Red_Dress/a.png", "red", "dress")]


@in_folder_and_zip
def test_folders_may_name_one_label(tmp_path, make):
    listing = list_photos(make(tmp_path, {"shoes/a.png": photo(), "green/deep/b.png": photo(), "c.png": photo()}))
    assert rows(listing) == [
        ("c.png", "", ""),
        ("green/deep/b.png", "green", ""),
        ("shoes/a.png", "", "shoes"),
    ]


@in_folder_and_zip
def test_photos_without_folders_have_no_labels(tmp_path, make):
    assert rows(list_photos(make(tmp_path, {"b.png": photo(), "a.webp": photo()}))) == [
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
    listing = list_photos(make(tmp_path, {**CLASSES, **hidden, "notes/readme.md": "", "red_dress/list.txt": ""}))
    assert rows(listing) == CLASS_ROWS
    assert listing.n_ignored == 2


@in_folder_and_zip
def test_another_folder_is_refused_unless_any_will_do(tmp_path, make):
    source = make(tmp_path, {**CLASSES, "pink_dress/d.png": photo()})
    with pytest.raises(DataError, match=r"colors: black, .*has a folder 'pink_dress': rename it"):
        list_photos(source)
    assert rows(list_photos(source, any_folders=True))[1] == ("pink_dress/d.png", "", "")


@in_folder_and_zip
@pytest.mark.parametrize("files", [{"readme.txt": "nothing here"}, {".hidden.png": photo()}])
def test_files_without_photos_are_refused(tmp_path, make, files):
    with pytest.raises(DataError, match=r"no photos among its 1 files|is empty"):
        list_photos(make(tmp_path, files))


def test_empty_folders_and_zips_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "empty", fill_zip(tmp_path / "empty.zip", {})):
        with pytest.raises(DataError, match="is empty"):
            list_photos(source)


def test_photos_are_listed_without_being_read(tmp_path):
    folder = as_folder(tmp_path, {"red_dress/a.png": b"", "red_dress/b.png": b"no photo"})
    assert [Path(record.path).read_bytes() for record in list_photos(folder).records] == [b"", b"no photo"]


def test_photos_of_a_folder_stay_where_they_are(tmp_path, monkeypatch):
    as_folder(tmp_path, CLASSES)
    monkeypatch.chdir(tmp_path)
    assert list_photos(Path("data")).records[0].path == str(tmp_path / "data" / "blue_shirt" / "c.png")
    assert not cache_root().exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_names_that_are_not_utf8_are_refused(tmp_path):
    folder = as_folder(tmp_path, CLASSES)
    with open(os.fsencode(folder) + b"/caf\xe9.png", "wb") as file:  # noqa: PTH123 - bytes name
        file.write(photo())
    with pytest.raises(DataError, match="UTF-8"):
        list_photos(folder)


def test_zip_is_unpacked_once_by_content(tmp_path, cache):
    source = as_zip(tmp_path, {**CLASSES, "red_dress/again.png": CLASSES["red_dress/b.png"]})
    first = list_photos(source)
    files = sorted(path for path in cache.rglob("*") if path.is_file())
    assert len(files) == 3  # two contents, one of them with two suffixes
    assert {record.path for record in first.records} == {str(path) for path in files}
    times = [path.stat().st_mtime_ns for path in files]
    assert list_photos(source) == first
    assert [path.stat().st_mtime_ns for path in files] == times
    assert sorted(path for path in cache.rglob("*") if path.is_file()) == files


@pytest.mark.parametrize(
    "name", ["../evil.png", "red_dress/../../evil.png", "/evil.png", "..\\evil.png", "C:\\evil.png"]
)
def test_names_outside_of_the_zip_are_refused(tmp_path, cache, name):
    with pytest.raises(DataError, match="do not trust"):
        list_photos(as_zip(tmp_path, {**CLASSES, name: photo()}))
    assert not cache.exists()


def test_zips_of_windows_are_read(tmp_path):
    source = as_zip(tmp_path, {"photos\\red_dress\\a.png": photo()})
    assert rows(list_photos(source)) == [("red_dress/a.png", "red", "dress")]


def test_links_in_zips_are_not_followed(tmp_path):
    source = as_zip(tmp_path, CLASSES)
    with zipfile.ZipFile(source, "a") as archive:
        link = zipfile.ZipInfo("red_dress/link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    assert rows(list_photos(source)) == CLASS_ROWS


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_in_a_zip_is_refused(tmp_path):
    source = as_zip(tmp_path, CLASSES)
    with zipfile.ZipFile(source, "a") as archive:
        archive.writestr("red_dress/b.png", photo("green"))
    with pytest.raises(DataError, match=r"'red_dress/b.png' twice"):
        list_photos(source)


def test_the_size_of_a_zip_is_bounded(tmp_path, cache, monkeypatch):
    monkeypatch.setattr("cbir.photos.MAX_UNPACKED", 100)
    with pytest.raises(DataError, match="unpacks to"):
        list_photos(as_zip(tmp_path, {"red_dress/a.png": bytes(101)}))
    assert not cache.exists()


def test_damaged_encrypted_and_other_files_are_refused(tmp_path):
    source = as_zip(tmp_path, {"red_dress/a.png": os.urandom(1000)})
    data = bytearray(source.read_bytes())
    data[500] ^= 255
    source.write_bytes(data)
    with pytest.raises(DataError, match="cannot read the zip"):
        list_photos(source)
    data[6] |= 1  # the flag of an encrypted member, in both of its headers
    data[data.index(b"PK\x01\x02") + 8] |= 1
    source.write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        list_photos(source)
    source.write_bytes(b"Rar!")
    with pytest.raises(DataError, match="another kind of file"):
        list_photos(source)
    with pytest.raises(DataError, match="there is nothing at"):
        list_photos(tmp_path / "nowhere")


@in_folder_and_zip
@pytest.mark.parametrize("name", ["metadata.csv", "labels.csv", "photos/metadata.csv"])
def test_a_csv_gives_the_labels(tmp_path, make, name):
    folder = "photos/" if "/" in name else ""
    text = "\ufefffile_name,type,color\nb.png, Dress ,Red\nsub/a.png,,pink\n./c.png,skirt,\n"
    files = {f"{folder}{photo_name}": photo() for photo_name in ("b.png", "sub/a.png", "c.png", "unlisted.png")}
    listing = list_photos(make(tmp_path, {**files, name: text}))
    assert rows(listing) == [
        ("b.png", "red", "dress"),
        ("c.png", "", "skirt"),
        ("sub/a.png", "pink", ""),
    ]
    assert listing.n_ignored == 1


@pytest.mark.parametrize("column", ["color", "type"])
def test_one_label_column_is_enough(tmp_path, column):
    folder = as_folder(tmp_path, {"a.png": photo(), "labels.csv": f"file_name,{column}\na.png,word\n"})
    assert getattr(list_photos(folder).records[0], column) == "word"


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
def test_a_csv_that_does_not_fit_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        list_photos(as_folder(tmp_path, {"a.png": photo(), "metadata.csv": text}))


def test_labels_are_counted_with_unknown_ones():
    table = count_labels(["red", "", "red", "red"], ["dress", "shoes", "dress", ""])
    assert table == {"": {"shoes": 1}, "red": {"": 1, "dress": 2}}
