"""The command: what it prints, writes, saves and refuses."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cbir.bundle import load_bundle, save_bundle
from cbir.errors import BundleError, CbirError, DataError
from cbir.report import Report
from cbir.search import Retriever
from tests.conftest import ToyBackbone, write_toy_photos
from train import evaluate


@pytest.fixture
def backbone(monkeypatch):
    backbone = ToyBackbone()
    monkeypatch.setattr("train.evaluate.load_bundle_backbone", lambda bundle, weights: backbone)
    return backbone


@pytest.fixture
def evaluated(toy_bundle, monkeypatch):
    """Spares the evaluation itself: `tests/train/test_run.py` goes all the way."""
    monkeypatch.setattr(evaluate, "evaluate", lambda *args, **kwargs: replace(toy_bundle.report, out_of_domain=()))


@pytest.fixture
def folder(toy_bundle, tmp_path):
    return save_bundle(toy_bundle, tmp_path / "toy")


def test_the_report_goes_into_a_file_and_the_tables_into_a_section(
    backbone, evaluated, folder, toy_bundle, tmp_path, capsys
):
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- evaluation -->\nOLD\n<!-- /evaluation -->\nafter\n")
    assert evaluate.main(["--bundle", str(folder), "--out", str(tmp_path / "r.json"), "--readme", str(readme)]) == 0
    report = Report.from_json(json.loads((tmp_path / "r.json").read_text()))
    assert report == toy_bundle.report
    text = readme.read_text()
    assert text.startswith("before\n<!-- evaluation -->\nPrinted by `python -m train.evaluate`")
    assert text.endswith("<!-- /evaluation -->\nafter\n")
    assert "OLD" not in text
    printed = capsys.readouterr().out.strip()
    assert printed.count("| Cosine ") == 5
    assert printed in text
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_stored_report_is_written_without_evaluating(folder, toy_bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate, "evaluate", lambda *args, **kwargs: pytest.fail("evaluated"))
    readme = tmp_path / "README.md"
    readme.write_text("<!-- results --><!-- /results -->")
    call = ["--bundle", str(folder), "--stored", "--short", "--readme", str(readme), "--section", "results"]
    assert evaluate.main(call) == 0
    rows = [line for line in readme.read_text().splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(toy_bundle.report.methods)
    cosine = toy_bundle.report.methods["cosine"]
    assert f"{cosine.retrieval['both'].precision_at_10.value:.3f}".removeprefix("0") in rows[3]
    with pytest.raises(SystemExit):
        evaluate.main([*call, "--seeds", "1"])


def test_a_file_without_the_section_stays_as_it_was(backbone, evaluated, folder, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("no section")
    with pytest.raises(CbirError, match="<!-- evaluation -->"):
        evaluate.main(["--bundle", str(folder), "--readme", str(readme)])
    assert readme.read_text() == "no section"


def test_photos_of_another_source_are_evaluated_and_saved(backbone, evaluated, folder, toy_bundle, tmp_path, capsys):
    photos = write_toy_photos(tmp_path / "photos", per_class=3)
    colors = tmp_path / "colors.csv"
    ids = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    colors.write_text("file_name,color\n" + "".join(f"{id},red\n" for id in ids[:4]))
    options = ["--bundle", str(folder), "--queries", str(photos), "--colors", str(colors), "--name", "toys"]
    assert evaluate.main([*options, "--photos", str(photos), "--save"]) == 0
    saved = load_bundle(folder).report
    own, other = saved.out_of_domain
    assert own.n_photos == len(ids)
    assert own.n_queries["color"] == 4
    assert (own.queries, own.gallery) == ("toys", "Toy photos (108)")
    assert other.gallery == f"labelled photos ({len(ids)})"
    assert replace(saved, out_of_domain=()) == toy_bundle.report
    assert "P@10 of 27 photos (toys) that search: Toy photos (108). Share of these photos accepted" in (
        capsys.readouterr().out
    )
    # A new evaluation of the test photos keeps them.
    assert evaluate.main(["--bundle", str(folder), "--save"]) == 0
    assert load_bundle(folder).report.out_of_domain == saved.out_of_domain


def test_guesses_are_compared_with_labels(backbone, folder, tmp_path, capsys):
    photos = write_toy_photos(tmp_path / "photos", per_class=3)
    ids = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    seen = [("other" if n < 5 else id.partition("_")[0], id) for n, id in enumerate(ids)]
    (tmp_path / "colors.csv").write_text("file_name,color\n" + "".join(f"{id},{color}\n" for color, id in seen))
    options = ["--guesses", "--queries", str(photos), "--colors", str(tmp_path / "colors.csv"), "--name", "toys"]
    readme = tmp_path / "README.md"
    readme.write_text("<!-- guesses -->\n<!-- /guesses -->\n")
    options += ["--readme", str(readme), "--section", "guesses"]
    assert evaluate.main(["--bundle", str(folder), *options, "--photos", str(photos)]) == 0
    rows = {cells[0]: cells[1:] for cells in _cells(capsys.readouterr().out)}
    retriever = Retriever(load_bundle(folder), ToyBackbone())
    guesses = retriever.labels(retriever.query([photos / id for id in ids])).values["color"]
    n_right = sum(guess == color for guess, (color, _) in zip(guesses, seen, strict=True))
    assert rows["toys: color"][0] == "27"
    assert rows["toys: color"][1].startswith(f"{n_right / 27:.3f}".lstrip("0"))
    assert rows["toys: color"][5] == "5"
    assert rows["photos: color"][5:] == ["0", "-"]
    assert rows["photos: type"][0] == "27"
    assert "| toys: type " in readme.read_text()


def _cells(markdown):
    """The first table's cells, row by row."""
    table = markdown.split("\n\n")[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_figures_cannot_be_saved_in_a_bundle_without_report(backbone, toy_bundle, tmp_path):
    folder = save_bundle(replace(toy_bundle, report=None), tmp_path / "bare")
    with pytest.raises(BundleError, match=r"expected a bundle with a report, .*bare has none"):
        evaluate.main(["--bundle", str(folder), "--queries", str(tmp_path), "--save"])
    assert backbone.n_embedded == 0


def test_figures_cannot_be_saved_on_the_hub(toy_bundle, monkeypatch):
    monkeypatch.setattr(evaluate, "load_bundle", lambda source: replace(toy_bundle, repo="user/toy"))
    with pytest.raises(BundleError, match="user/toy on the Hub"):
        evaluate.main(["--bundle", "user/toy", "--save"])


def test_bundles_that_do_not_fit_together_are_refused_before_any_is_evaluated(
    backbone, folder, toy_bundle, tmp_path, monkeypatch
):
    monkeypatch.setattr(evaluate, "evaluate", lambda *args, **kwargs: pytest.fail("evaluated"))
    with pytest.raises(DataError, match=r"different seeds, got seeds \[0, 0\]"):
        evaluate.main(["--bundle", str(folder), "--others", str(folder)])
    other = replace(toy_bundle, manifest=replace(toy_bundle.manifest, seed=1), report=None)
    with pytest.raises(BundleError, match="has none"):
        evaluate.main(["--bundle", str(folder), "--others", str(save_bundle(other, tmp_path / "other"))])
    assert backbone.n_embedded == 0


def test_bundles_of_other_seeds_give_means(backbone, evaluated, folder, toy_bundle, tmp_path):
    report = replace(toy_bundle.report, protocol=replace(toy_bundle.report.protocol, seed=1))
    other = replace(toy_bundle, manifest=replace(toy_bundle.manifest, seed=1), report=report)
    save_bundle(other, tmp_path / "other")
    out = tmp_path / "r.json"
    evaluate.main(["--bundle", str(folder), "--others", str(tmp_path / "other"), "--out", str(out)])
    found = Report.from_json(json.loads(out.read_text()))
    assert found.seeds.seeds == (0, 1)
    values = [r.methods["cosine"].pairs["type"].pearson.value for r in (found, report)]
    assert found.seeds.methods["cosine"].pairs["type"].pearson.mean == pytest.approx(np.mean(values), abs=1e-4)


@pytest.mark.parametrize(
    "options",
    [["--photos", "x"], ["--colors", "x"], ["--name", "x"], ["--guesses"], ["--queries", "x", "--seeds", "1"]],
)
def test_options_that_do_not_go_together_are_refused(options, capsys):
    with pytest.raises(SystemExit, match="2"):
        evaluate.main(options)
    assert "queries" in capsys.readouterr().err
