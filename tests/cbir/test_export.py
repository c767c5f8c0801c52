"""Results as CSV and JSON: everything is in them, and nothing in them does harm."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest

from cbir.bundle import load_bundle, save_bundle
from cbir.errors import CbirError
from cbir.export import CSV_COLUMNS, to_csv, to_json, write_result
from cbir.search import Retriever, SearchOptions
from tests.conftest import ToyBackbone


@pytest.fixture(scope="module")
def result(retriever):
    return retriever.search_by_id("red_shirt/3.png", SearchOptions("cosine", "type", 4, types=("shirt",)))


def test_csv_has_a_row_a_match(result, toy_bundle):
    rows = list(csv.DictReader(io.StringIO(to_csv(result, toy_bundle))))
    assert tuple(rows[0]) == CSV_COLUMNS
    for row, match in zip(rows, result.matches, strict=True):
        assert (row["id"], row["rank"], float(row["score"])) == (match.id, str(match.rank), match.score)
        figures = [json.loads(row[name]) for name in ("probability", "likeness", "is_same_picture")]
        assert figures == [match.probability, match.likeness, match.is_same_picture]
        assert (row["type"], row["color"]) == (match.labels["type"], match.labels["color"])
        assert (row["query"], row["method"], row["match"]) == ("red_shirt/3.png", "cosine", "type")
        assert (row["bundle"], row["revision"]) == ("Toy photos", toy_bundle.revision)


def test_json_says_what_was_asked_and_found(result, toy_bundle):
    shown = json.loads(to_json(result, toy_bundle, "photo.jpg"))
    assert (shown["query"], shown["query_id"]) == ("photo.jpg", "red_shirt/3.png")
    assert shown["options"]["types"] == ["shirt"]
    no_guess = {"guesses": {"type": None, "color": None}}
    assert shown["matches"] == [dataclasses.asdict(match) | no_guess for match in result.matches]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "\tx", "＝1"])
def test_a_spreadsheet_takes_no_cell_for_a_formula(result, toy_bundle, name):
    row = next(csv.DictReader(io.StringIO(to_csv(result, toy_bundle, name), newline="")))
    assert row["query"] == f"'{name}"
    assert json.loads(to_json(result, toy_bundle, name))["query"] == name


def test_a_file_is_whole_or_not_there(result, toy_bundle, tmp_path):
    for name in ("found.csv", "found.json"):
        path = write_result(result, toy_bundle, tmp_path / name)
        assert path.read_bytes()
        assert path.stat().st_mode & 0o777 == 0o644
    with pytest.raises(CbirError, match=r"\*\.csv or \*\.json, got 'found\.txt'"):
        write_result(result, toy_bundle, tmp_path / "found.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["found.csv", "found.json"]


def test_the_revision_tells_bundles_apart(toy_bundle, tmp_path):
    save_bundle(toy_bundle, tmp_path / "a")
    loaded = load_bundle(tmp_path / "a")
    assert loaded.revision == load_bundle(tmp_path / "a").revision != toy_bundle.revision
    assert loaded.revision.startswith("sha256:")
    gallery = toy_bundle.gallery
    other = dataclasses.replace(gallery, ids=np.array([f"x{id}" for id in gallery.ids]))
    assert dataclasses.replace(toy_bundle, gallery=other).revision != toy_bundle.revision
    assert dataclasses.replace(toy_bundle, notice="so").revision == toy_bundle.revision


def test_a_search_without_matches_is_a_file_too(toy_bundle):
    retriever = Retriever(toy_bundle, ToyBackbone())
    none = retriever.rank(retriever.query([], ids=list(toy_bundle.gallery.ids)), SearchOptions("cosine"))
    assert none.matches == []
    assert to_csv(none, toy_bundle).splitlines() == [",".join(CSV_COLUMNS)]
    assert json.loads(to_json(none, toy_bundle))["matches"] == []
