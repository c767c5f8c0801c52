"""Photos of another source that search a whole gallery."""

from dataclasses import replace

import numpy as np
import pytest

from cbir.errors import DataError
from cbir.gallery import Gallery
from train.evaluation.out_of_domain import evaluate_out_of_domain, with_colors


def part(gallery, rows, colors=None):
    colors = gallery.labels["color"][rows] if colors is None else colors
    labels = {"type": gallery.labels["type"][rows], "color": colors}
    thumbnails = [gallery.thumbnails[row] for row in rows]
    return Gallery(gallery.ids[rows], labels, gallery.features.take(rows), thumbnails, gallery.splits[rows])


@pytest.fixture
def sides(toy_bundle):
    """Test photos, and a bundle of the train photos."""
    gallery = toy_bundle.gallery
    test, train = (np.flatnonzero(gallery.splits == side) for side in ("test", "train"))
    return part(gallery, test), replace(toy_bundle, gallery=part(gallery, train))


def test_photos_of_another_source_evaluate_what_is_known_of_them(sides, toy_bundle):
    photos, bundle = sides
    colors = photos.labels["color"].copy()
    colors[:5] = ""
    queries = replace(photos, labels={**photos.labels, "color": colors})
    found = evaluate_out_of_domain(queries, bundle, 20, "photos of toys", "toys (81)")
    n = len(photos)
    assert found.n_queries == {"type": n, "color": n - 5, "both": n - 5}
    report = toy_bundle.report
    expected = report.methods["cosine"].retrieval["type"].map.value
    assert found.methods["cosine"]["type"].map.value == pytest.approx(expected, abs=1e-4)
    assert found.familiar == pytest.approx(report.familiarity.accepts_clothes, abs=1e-4)
    assert (found.queries, found.gallery, found.n_photos) == ("photos of toys", "toys (81)", n)


def test_tasks_that_nothing_is_known_of_are_left_out(sides):
    photos, bundle = sides
    queries = replace(photos, labels={**photos.labels, "color": np.full(len(photos), "")})
    found = evaluate_out_of_domain(queries, replace(bundle, familiarity=None), 2, "", "")
    assert found.methods["cosine"].keys() == {"type"}
    assert found.n_queries["both"] == 0
    assert found.familiar is None


def test_colors_come_from_a_file(sides, tmp_path):
    photos, _ = sides
    path = tmp_path / "colors.csv"
    path.write_text(f"file_name,color\n{photos.ids[0]},red\nnot_there.jpg,blue\n")
    assert with_colors(photos, path).labels["color"].tolist() == ["red", *[""] * (len(photos) - 1)]
    assert with_colors(photos, path).labels["type"].tolist() == photos.labels["type"].tolist()


@pytest.mark.parametrize("content", ["file,colour\na.jpg,red\n", None])
def test_a_file_of_colors_must_have_its_columns(sides, tmp_path, content):
    path = tmp_path / "colors.csv"
    if content:
        path.write_text(content)
    with pytest.raises(DataError, match=r"colors.csv as a csv file with file_name and color"):
        with_colors(sides[0], path)
