"""Photos in folders and zips become records, with the labels of their folders or of a csv."""

import json
import os
import stat
import sys
import unicodedata
import zipfile
from pathlib import Path

import pytest

from cbir.errors import DataError
from cbir.files import cache_root
from cbir.images import load_image
from cbir.photos import Remark, count_labels, list_photos, report_listing
from tests.photo_files import CLASS_ROWS, CLASSES, fill, fill_zip, photo
from tests.try_folders import try_folders


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
    assert rows(listing) == [(f"Apparel Images/{id}", color, type) for id, color, type in CLASS_ROWS]
    assert listing.left_out == {"not photos": Remark(1, ("readme.txt",))}


@in_folder_and_zip
def test_ids_stay_when_photos_and_folders_are_added(tmp_path, make):
    files = {"holiday/red_dress/a.png": photo(), "holiday/b.png": photo()}
    before = rows(list_photos(make(tmp_path, files), any_folders=True))
    after = rows(list_photos(make(tmp_path, {**files, "work/c.png": photo(), "d.png": photo()}), any_folders=True))
    assert set(before) < set(after)


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
def test_what_is_left_out_is_counted_and_named(tmp_path, make):
    others = {
        "red_dress/.DS_Store": "",
        "__MACOSX/red_dress/._a.png": "",
        ".git/x.png": photo(),
        "red_dress/._b.png": "",
        "red_dress/@eaDir/a.jpg/SYNOPHOTO_THUMB_XL.jpg": photo(),
        "red_dress/@eaDir/b.jpg/SYNOPHOTO_THUMB_XL.jpg": photo(),
        "#recycle/old.png": photo(),
        "red_dress/Thumbs.db": "",
        "red_dress/.c.jpg.icloud": "",
        "notes/readme.md": "",
        "red_dress/list.csv": "a,b\n1,2\n",
        "red_dress/labels.xlsx": "",
        "IMG_1.HEIC": "",
    }
    listing = list_photos(make(tmp_path, {**CLASSES, **others}))
    assert rows(listing) == CLASS_ROWS
    assert listing.left_out == {
        "made by the system": Remark(4, ("#recycle", "__MACOSX", "red_dress/@eaDir", "red_dress/Thumbs.db")),
        "hidden": Remark(3, (".git", "red_dress/.DS_Store", "red_dress/._b.png")),
        "still in the cloud: download them": Remark(1, ("red_dress/.c.jpg.icloud",)),
        "not photos": Remark(1, ("notes/readme.md",)),
        "tables without labels of photos": Remark(1, ("red_dress/list.csv",)),
        "tables of a format that is not read: save them as labels.csv": Remark(1, ("red_dress/labels.xlsx",)),
        "photos of a format that is not read: save them as JPEG": Remark(1, ("IMG_1.HEIC",)),
    }
    assert listing.n_ignored == 12


def test_what_is_left_out_is_printed(tmp_path, capsys):
    files = {f"{n}.txt": "" for n in range(30)} | {"a.png": photo(), "misc/b.png": photo()}
    report_listing(list_photos(as_folder(tmp_path, files), any_folders=True), "DIR")
    assert capsys.readouterr().out.splitlines() == [
        "left out of DIR:",
        f"  30 not photos: {', '.join(sorted(f'{n}.txt' for n in range(30))[:20])}, ...",
        "labels of DIR that are missing:",
        "  1 photos in folders whose names say no color and no type: misc (1)",
    ]


@in_folder_and_zip
def test_another_folder_is_refused_unless_any_will_do(tmp_path, make):
    source = make(tmp_path, {**CLASSES, "Holiday in Rome/d.png": photo(), "misc/e.png": photo()})
    with pytest.raises(DataError, match=r"red_dress.* has photos in 'Holiday in Rome' \(1\), 'misc' \(1\): rename"):
        list_photos(source)
    listing = list_photos(source, any_folders=True)
    assert rows(listing)[0] == ("Holiday in Rome/d.png", "", "")
    assert listing.remarks == {
        "photos in folders whose names say no color and no type": Remark(2, ("Holiday in Rome (1)", "misc (1)"))
    }


@in_folder_and_zip
@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"readme.txt": "nothing here"}, r"has no photos: 1 not photos: readme\.txt"),
        ({".hidden.png": photo()}, r"has no photos: 1 hidden: \.hidden\.png"),
        ({"IMG_1.HEIC": ""}, r"1 photos of a format that is not read: save them as JPEG: IMG_1\.HEIC"),
    ],
)
def test_files_without_photos_are_refused(tmp_path, make, files, message):
    with pytest.raises(DataError, match=message):
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
def test_names_that_are_not_utf8_are_left_out(tmp_path):
    folder = as_folder(tmp_path, CLASSES)
    with open(os.fsencode(folder) + b"/caf\xe9.png", "wb") as file:  # noqa: PTH123 - bytes name
        file.write(photo())
    listing = list_photos(folder)
    assert rows(listing) == CLASS_ROWS
    assert listing.left_out == {"names that are not UTF-8, or too long: rename them": Remark(1, ("caf\\udce9.png",))}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such files")
def test_links_and_other_things_are_not_waited_for(tmp_path):
    folder = as_folder(tmp_path, CLASSES)
    os.mkfifo(folder / "pipe.png")
    (folder / "nowhere.png").symlink_to(tmp_path / "nowhere")
    (folder / "circle").symlink_to(folder)
    (folder / "there").symlink_to(folder / "red_dress")
    (folder / "link.png").symlink_to(folder / "red_dress" / "b.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "d.png").write_bytes(photo())
    (folder / "green_shorts").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(tmp_path / "elsewhere")
    listing = list_photos(folder, any_folders=True)
    others = [(row[0], row[1], row[2]) for row in rows(listing) if row not in CLASS_ROWS]
    assert others in (
        [("green_shorts/d.png", "green", "shorts"), ("link.png", "", "")],
        [("again/d.png", "", ""), ("link.png", "", "")],
    )
    why = "links to nowhere, or to what is there already"
    assert listing.left_out[why].count == 4
    assert listing.left_out["made by the system"] == Remark(1, ("pipe.png",))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may open every folder")
def test_folders_that_cannot_be_opened_are_named(tmp_path):
    folder = as_folder(tmp_path, {**CLASSES, "closed/a.png": photo()})
    (folder / "closed").chmod(0)
    listing = list_photos(folder)
    (folder / "closed").chmod(0o700)
    assert listing.left_out == {"folders that cannot be opened": Remark(1, ("closed",))}


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
    assert rows(list_photos(source)) == [("photos/red_dress/a.png", "red", "dress")]


def test_links_in_zips_are_not_followed(tmp_path):
    source = as_zip(tmp_path, CLASSES)
    with zipfile.ZipFile(source, "a") as archive:
        link = zipfile.ZipInfo("red_dress/link.png")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    listing = list_photos(source)
    assert rows(listing) == CLASS_ROWS
    assert listing.left_out == {"links to nowhere, or to what is there already": Remark(1, ("red_dress/link.png",))}


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
        (f"{folder}b.png", "red", "dress"),
        (f"{folder}c.png", "", "skirt"),
        (f"{folder}sub/a.png", "pink", ""),
        (f"{folder}unlisted.png", "", ""),
    ]
    assert listing.remarks == {"photos without a row in a table": Remark(1, (f"{folder}unlisted.png",))}


@pytest.mark.parametrize("column", ["color", "type"])
def test_one_label_column_is_enough(tmp_path, column):
    folder = as_folder(tmp_path, {"a.png": photo(), "labels.csv": f"file_name,{column}\na.png,word\n"})
    assert getattr(list_photos(folder).records[0], column) == "word"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture of,color\na.png,red\n", r"expected the columns file_name,color,type .*got 'picture of,color'"),
        ("file_name,price\na.png,9\n", r"expected the columns file_name,color,type .*got 'file_name,price'"),
        ("", "expected the columns"),
        ("file_name,color\n", "it has none"),
        (
            "file_name,color\na.png,red\n./a.png,blue\n",
            r"one row for 'a.png', but line 2 .* and line 3 .* differ",
        ),
        ("file_name,color\ngone.png,red\n", r"there is no 'gone.png' \(photos are named like 'a.png'\)"),
        ("file_name,color\n,red\n", "it has line 2: , red"),
        ("file_name,color,colour\na.png,red,blue\n", "columns color, colour mean the same"),
        (b"file_name,color\na.png,\x81\n", "UTF-8"),
        ('file_name,color\n"a.png,red\n', "comma-separated"),
    ],
)
def test_a_csv_that_does_not_fit_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        list_photos(as_folder(tmp_path, {"a.png": photo(), "metadata.csv": text}))


def test_labels_are_counted_with_unknown_ones():
    table = count_labels(["red", "", "red", "red"], ["dress", "shoes", "dress", ""])
    assert table == {"": {"shoes": 1}, "red": {"": 1, "dress": 2}}


@pytest.mark.parametrize(
    "text",
    [
        "file_name, color, type\na.png, Red, dress\n",
        "file_name,Color,Type\na.png,red,dress\n",
        "FILE NAME,COLOUR,Garment Type\na.png,red,dress\n",
        "file_name;color;type\na.png;red;dress\n",
        '"file_name";"color";"type"\r\n"a.png";"red";"dress"\r\n',
        "sep=;\nfile_name;color;type\na.png;red;dress\n",
        "file_name\tcolor\ttype\na.png\tred\tdress\n",
        "type,price,color,file_name\ndress,9.99,red,a.png\n",
        "\ufefffile_name,color,type\n\na.png,red,dress\n,,\n",
        "file_name,color,type\n./a.png,red,dress\na.png,red,dress\n",
        "file_name,color,type\nC:\\photos\\a.png,red,dress\n",
        "file_name,color,type\nA.PNG,red,dress\n",
        "id,baseColour,articleType\na,red,dress\n",
        "arquivo,cor,tipo\na.png,red,dress\n",
        "image,label\na.png,red_dress\n",
        "file_name,color,type\na.png,red,dress\n".encode("utf-16"),
        "file_name,color,type\na.png,red,dress\n".encode("utf-16-le"),
        "file_name,color,type\na.png,red,dress\n".encode("utf-16-be"),
        "image,label,color\na.png,dress,red\n",
        "image,category,type\na.png,red,dress\n",
        "file_name,color,type\na.png,red,dress\nfarbe\xdf.png,,\n".encode("cp1252"),
    ],
)
def test_tables_of_many_programs_are_understood(tmp_path, text):
    listing = list_photos(as_folder(tmp_path, {"a.png": photo(), "metadata.csv": text}))
    assert rows(listing) == [("a.png", "red", "dress")]


def test_a_table_of_json_lines_is_understood_in_each_folder(tmp_path):
    files = {f"{split}/{name}.png": photo() for split in ("train", "test") for name in "ab"}
    text = '{"file_name": "a.png", "color": "red"}\n{"file_name": "b.png", "type": "dress", "price": 3}\n'
    listing = list_photos(as_folder(tmp_path, {**files, **{f"{s}/metadata.jsonl": text for s in ("train", "test")}}))
    assert rows(listing) == [
        ("test/a.png", "red", ""),
        ("test/b.png", "", "dress"),
        ("train/a.png", "red", ""),
        ("train/b.png", "", "dress"),
    ]


@pytest.mark.parametrize(("there", "listed"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_may_be_written_in_two_ways(tmp_path, there, listed):
    names = [unicodedata.normalize(form, "vestido_algodão.jpg") for form in (there, listed)]
    text = f"file_name,color,type\n{names[1]},red,dress\n"
    assert rows(list_photos(as_folder(tmp_path, {names[0]: photo(), "labels.csv": text}))) == [
        (names[0], "red", "dress")
    ]


def test_rows_without_a_photo_and_rows_that_are_not_understood_are_told_of(tmp_path):
    text = "file_name,type\na.png,dress\ngone.png,dress\nb.png,dress,red,3\n,shoes\nc.png," + "x" * 200 + "\n"
    photos = {f"{name}.png": photo() for name in "abc"}
    listing = list_photos(as_folder(tmp_path, {**photos, "labels.csv": text}))
    assert rows(listing) == [("a.png", "", "dress"), ("b.png", "", ""), ("c.png", "", "")]
    assert listing.remarks == {
        "rows of a table without a photo of that name": Remark(1, ("labels.csv: gone.png",)),
        "rows of a table that were not understood": Remark(
            2, ("labels.csv, line 4: b.png, dress, red, 3", "labels.csv, line 5: , shoes")
        ),
        "rows of a table with labels that were not understood": Remark(1, (f"{'x' * 100}... (1)",)),
        "photos without a row in a table": Remark(1, ("b.png",)),
    }


def test_a_class_column_of_other_names_is_told_of(tmp_path):
    text = "file_name,label\na.png,red_dress\nb.png,thing 3\nc.png,black white dress\n"
    photos = {f"{name}.png": photo() for name in "abc"}
    listing = list_photos(as_folder(tmp_path, {**photos, "labels.csv": text}))
    assert rows(listing) == [("a.png", "red", "dress"), ("b.png", "", ""), ("c.png", "", "dress")]
    strange = listing.remarks["rows of a table with labels that were not understood"]
    assert strange == Remark(2, ("black white dress (1)", "thing 3 (1)"))


def test_labels_that_are_no_words_are_told_of(tmp_path):
    lines = (
        {"file_name": "a.png", "color": ["red"], "type": {"name": "dress"}},
        {"file_name": "b.png", "color": ["red", "blue"], "type": "dr\0ess"},
    )
    files = {"a.png": photo(), "b.png": photo(), "metadata.jsonl": "\n".join(map(json.dumps, lines))}
    listing = list_photos(as_folder(tmp_path, files))
    assert rows(listing) == [("a.png", "red", ""), ("b.png", "", "")]
    assert listing.remarks["rows of a table with labels that were not understood"].count == 3


def test_labels_of_a_table_come_before_those_of_folders(tmp_path):
    files = {"red_dress/a.png": photo(), "red_dress/b.png": photo(), "labels.csv": "file_name,color\na.png,blue\n"}
    assert rows(list_photos(as_folder(tmp_path, files))) == [
        ("red_dress/a.png", "blue", "dress"),
        ("red_dress/b.png", "red", "dress"),
    ]


def test_names_in_zips_are_utf8_whether_they_say_so_or_not(tmp_path):
    source = as_zip(tmp_path, {"calças/vestido_algodão.png": photo()})
    data = source.read_bytes()
    for mark, at in ((b"PK\x03\x04", 7), (b"PK\x01\x02", 9)):
        place = data.index(mark) + at
        data = data[:place] + bytes([data[place] & ~8]) + data[place + 1 :]
    source.write_bytes(data)
    assert rows(list_photos(source)) == [("calças/vestido_algodão.png", "", "pants")]


def test_many_folders_are_read_as_they_lie():
    """`python -m tests.try_folders` tries more."""
    counts = try_folders(100)
    assert not [key for key in counts if key.endswith("failed")], counts
    assert counts["folders of classes|right"] > 30
    assert counts["tables|right"] > 30
