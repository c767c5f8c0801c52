"""Training end to end on generated photos, with a stand-in for the network."""

import pytest

from cbir.bundle import load_bundle
from cbir.errors import CbirError
from cbir.search import Retriever, SearchOptions
from cbir.similarity import SIMILARITIES
from tests.conftest import ToyBackbone, png, toy_photo, write_toy_photos
from train import evaluate, run


@pytest.fixture
def backbone(monkeypatch):
    backbone = ToyBackbone()
    monkeypatch.setattr("train.run.load_backbone", lambda name, weights: backbone)
    return backbone


def test_training_writes_a_bundle_and_prints_the_tables(backbone, tmp_path, capsys):
    data = write_toy_photos(tmp_path / "photos")
    (data / "red_shirt" / "broken.jpg").write_bytes(b"not a photo")
    out = tmp_path / "bundle"
    assert run.main(["--data", str(data), "--out", str(out), "--seed", "1"]) == 0
    printed = capsys.readouterr().out
    assert "1 photos of" in printed
    assert "red_shirt/broken.jpg" in printed
    for method in SIMILARITIES.values():
        assert f"| {method.label} " in printed
    assert ".387 / .358" in printed
    bundle = load_bundle(out)
    assert len(bundle.gallery) == 72
    assert set(bundle.gallery.splits) == {"train", "test"}
    assert bundle.manifest["dataset"]["unreadable"].keys() == {"red_shirt/broken.jpg"}
    assert bundle.manifest["metrics"]["pairs"]["attribute_agreement"]["type"]["pearson"] > 0.7
    result = Retriever(bundle, backbone).search(toy_photo("blue", "shoes", 77), SearchOptions(k=5))
    assert {m.labels["type"] for m in result.matches} == {"shoes"}
    # The printed figures are those of the bundle on disk: judging it again gives the same table.
    assert evaluate.main(["--bundle", str(out)]) == 0
    assert capsys.readouterr().out.strip().split("\n\nwrote")[0] in printed


def test_training_again_embeds_nothing_and_gives_the_same_bundle(backbone, tmp_path):
    data = write_toy_photos(tmp_path / "photos")
    for name in ("one", "two"):
        run.main(["--data", str(data), "--out", str(tmp_path / name)])
        assert backbone.n_embedded == 72
    one, two = (load_bundle(tmp_path / name).manifest for name in ("one", "two"))
    assert one["metrics"] == two["metrics"]
    assert one["files"] == two["files"]


def test_more_photos_are_fitted_on_but_not_found(backbone, tmp_path):
    data = write_toy_photos(tmp_path / "photos")
    for n in range(100, 106):
        for type in ("shirt", "pants"):
            folder = tmp_path / "more" / type
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{n}.png").write_bytes(png(toy_photo("white", type, n)))
    bundle, _ = run.train(run.Config(str(data), tmp_path / "out", also_fit=str(tmp_path / "more")))
    assert len(bundle.gallery) == 72
    assert bundle.manifest["dataset"]["n_also_fit"] == 12


def test_tables_go_into_their_section_of_a_file(backbone, tmp_path):
    data = write_toy_photos(tmp_path / "photos")
    run.main(["--data", str(data), "--out", str(tmp_path / "out")])
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- evaluation -->\nold\n<!-- /evaluation -->\nafter\n")
    for _ in range(2):
        evaluate.main(["--bundle", str(tmp_path / "out"), "--readme", str(readme)])
    text = readme.read_text()
    assert text.startswith("before\n<!-- evaluation -->\nMeasured by")
    assert text.endswith("<!-- /evaluation -->\nafter\n")
    assert "old" not in text
    assert text.count("| Cosine ") == 2
    readme.write_text("no section")
    with pytest.raises(CbirError, match="<!-- evaluation -->"):
        evaluate.main(["--bundle", str(tmp_path / "out"), "--readme", str(readme)])
    assert readme.read_text() == "no section"


@pytest.mark.parametrize("share", ["0", "1", "-0.5"])
def test_a_test_share_outside_0_to_1_is_refused(backbone, tmp_path, share):
    with pytest.raises(CbirError, match="test share between 0 and 1"):
        run.main(["--data", "x", "--out", str(tmp_path / "out"), "--test-share", share])
