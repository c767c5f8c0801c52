"""`python -m cbir search`: the same answers as the library's, as a table, JSON, CSV or a file."""

import csv
import io
import json

import pytest

from cbir.__main__ import main
from cbir.bundle import EMBEDDED, load_bundle
from cbir.search import Retriever, SearchOptions
from tests.conftest import toy_photo

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def retriever():
    return Retriever(load_bundle())


@pytest.fixture
def photo(tmp_path):
    toy_photo("red", "shirt", 1).save(tmp_path / "photo.jpg")
    return str(tmp_path / "photo.jpg")


def test_json_is_what_the_library_finds(retriever, photo, capsys):
    arguments = ["--method", "cosine", "--match", "type", "--k", "4", "--types", "shirt", "--types", "dress"]
    assert main(["search", photo, *arguments, "--crop", "0", "0", "1", "0.9", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    options = SearchOptions("cosine", "type", 4, types=("shirt", "dress"))
    expected = retriever.search(photo, options, crop=(0, 0, 1, 0.9))
    assert [match["id"] for match in answer["matches"]] == [match.id for match in expected.matches]
    assert answer["query"] == photo
    assert answer["bundle"]["revision"] == retriever.bundle.revision


def test_a_table_and_csv_list_the_same(retriever, capsys):
    item = str(retriever.index.gallery.ids[0])
    assert main(["search", "--id", item, "--k", "3", "--bundle", str(EMBEDDED)]) == 0
    table = capsys.readouterr().out
    assert main(["search", "--id", item, "--k", "3", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 3
    for row, line in zip(rows, table.splitlines(), strict=True):
        shown = [row["rank"], f"{float(row['score']):.4f}", f"{float(row['probability']):.0%}"]
        assert line.split() == [*shown, f"{float(row['likeness']):.2f}", row["id"], row["color"], row["type"]]


def test_a_file_is_written_by_its_ending(retriever, tmp_path, capsys):
    item = str(retriever.index.gallery.ids[0])
    assert main(["search", "--id", item, "--k", "2", "--out", str(tmp_path / "found.json")]) == 0
    assert len(json.loads((tmp_path / "found.json").read_text())["matches"]) == 2
    assert main(["search", "--id", item, "--out", str(tmp_path / "found.txt")]) == 2
    assert "found.txt" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


def test_words_and_a_color_search_alone_and_beside_an_item(capsys):
    assert main(["search", "--words", "green shirt", "--k", "3", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["query"], row["color"], row["type"]) for row in rows] == [("green shirt", "green", "shirt")] * 3
    assert main(["search", "--id", "red_pants/red_pants_00.jpg", "--color", "#2e7d32", "--k", "3", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["match"], row["color"], row["type"]) for row in rows] == [("type", "green", "pants")] * 3
    assert main(["search", "--words", "green shirt", "--k", "1"]) == 0
    assert capsys.readouterr().out.endswith("green shirt\n")


def test_what_shows_no_clothes_gets_no_confident_match(tmp_path, capsys):
    from PIL import Image

    Image.new("RGB", (300, 300), "white").save(tmp_path / "empty.png")
    assert main(["search", str(tmp_path / "empty.png"), "--k", "2"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "no confident match; the nearest are:"
    assert len(out) == 3


def test_photos_are_labelled_into_a_table(tmp_path, capsys):
    for n, type in enumerate(("shirt", "shoes")):
        toy_photo("red", type, n).save(tmp_path / f"{n}.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    assert main(["label", str(tmp_path), "--csv", str(tmp_path / "out.csv")]) == 0
    out = capsys.readouterr().out
    assert "1 photos of" in out
    assert f"wrote {tmp_path / 'out.csv'}" in out
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert list(rows[0]) == ["file_name", "type", "color", "type_guess", "type_probability", *list(rows[0])[-2:]]
    assert [row["file_name"] for row in rows] == ["0.jpg", "1.jpg"]
    assert all(row["type"] == row["color"] == "" and 0 < float(row["color_probability"]) <= 1 for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "at least one photo or id"),
        (["nowhere.jpg"], "nowhere.jpg"),
        (["--id", "nobody"], "unknown id"),
        (["--words", "pink skirt"], "got 'skirt'"),
        (["--color", "reddish"], "expected one color"),
        (["--id", "x", "--k", "0"], "at least 1"),
        (["--id", "x", "--method", "magic"], "unknown method"),
        (["--id", "x", "--bundle", "/no/such/place"], "/no/such/place"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments, message, capsys):
    assert main(["search", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
