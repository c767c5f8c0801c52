"""Publishing bundles to the Hub and back, against a stand-in over HTTP: client, retries and cache are real."""

import dataclasses

import pytest
from huggingface_hub import ModelCard

from cbir.bundle import load_bundle, save_bundle
from cbir.errors import BundleError, HubError
from cbir.features.weights import WeightsInfo
from tests.conftest import ToyBackbone
from train import prepare_data, run
from train.hub.model_card import model_card
from train.hub.upload import MARK
from train.publish import main, publish
from train.space import deploy

REPO = "user/bundle"
# The Hub's client hands its HTTP library a file in a way that the library means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def head(hub):
    return hub.repos["models", REPO].commits[-1]


def test_a_bundle_goes_up_and_comes_down_again(hub, saved, toy_bundle):
    published = publish(saved, REPO)
    sha, files = head(hub)
    assert published == f"{REPO}@{sha}"
    assert hub.repos["models", REPO].private
    assert set(files) == {".gitattributes", "README.md", *(path.name for path in saved.iterdir())}
    assert load_bundle(published).gallery.ids.tolist() == toy_bundle.gallery.ids.tolist()
    hub.requests.clear()
    assert publish(saved, REPO) == published
    assert hub.changes() == []


def test_the_card_is_that_of_the_bundle_and_may_be_replaced(hub, saved):
    publish(saved, REPO)
    card = head(hub)[1]["README.md"].decode()
    assert card == model_card(load_bundle(saved), REPO)
    assert MARK in card


def test_a_new_bundle_replaces_the_files_of_the_old_one(hub, saved, toy_bundle, tmp_path):
    publish(saved, REPO)
    by_method = {name: one for name, one in toy_bundle.models.by_method.items() if name != "random_forest"}
    models = dataclasses.replace(toy_bundle.models, by_method=by_method)
    smaller = save_bundle(dataclasses.replace(toy_bundle, models=models), tmp_path / "smaller")
    published = publish(smaller, REPO)
    assert not any(name.endswith(".onnx") for name in head(hub)[1])
    assert "random_forest" not in load_bundle(published).models.by_method


def test_a_damaged_bundle_is_not_published(hub, saved, tmp_path):
    with pytest.raises(BundleError, match="no bundle at"):
        publish(tmp_path, REPO)
    assert hub.repos == {}


def test_the_command_lists_what_would_go(hub, saved, capsys):
    assert main(["--bundle", str(saved), "--to", REPO, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    for path in saved.iterdir():
        assert path.name in printed
        assert f"{path.stat().st_size:,}" in printed
    assert "would be created, private" in printed
    assert hub.repos == {}


def test_pictures_become_public_only_under_a_licence_that_somebody_stated(hub, saved, photos, tmp_path, monkeypatch):
    with pytest.raises(HubError, match="nobody stated their licence: give it with --license"):
        main(["--bundle", str(saved), "--to", REPO, "--public"])
    with pytest.raises(HubError, match="nobody stated their licence"):
        prepare_data.main(["--data", str(photos), "--push", "user/toy", "--public"])
    monkeypatch.setattr("train.run.load_backbone", lambda *_: InstalledBackbone())
    monkeypatch.setattr("train.run.embed_dataset", lambda *_: pytest.fail("this was to be told before the work"))
    with pytest.raises(HubError, match="nobody stated their licence"):
        run.main(["--data", str(photos), "--out", str(tmp_path / "bundle"), "--push", REPO, "--public"])
    assert hub.repos == {}
    main(["--bundle", str(saved), "--to", REPO, "--public", "--license", "cc-by-4.0"])
    published = load_bundle(f"{REPO}@{head(hub)[0]}")
    assert published.manifest.dataset.licence == "cc-by-4.0"  # the app says it, too
    assert ModelCard(head(hub)[1]["README.md"].decode()).data.license == "cc-by-4.0"


class InstalledBackbone(ToyBackbone):
    """One that a Space has, too."""

    def describe(self):
        return dataclasses.replace(super().describe(), weights=WeightsInfo("package toy", "mit", "timm/toy"))


def test_from_photos_to_a_space(hub, photos, toy_bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("train.run.load_backbone", lambda name, weights: InstalledBackbone())
    # Fits and figures are those of the toy photos already; `tests.train.test_run` is about them.
    monkeypatch.setattr("train.run.fit_methods", lambda *_: toy_bundle.models)
    monkeypatch.setattr("train.run.evaluate", lambda *_: toy_bundle.report)
    assert prepare_data.main(["--data", str(photos), "--push", "user/toy", "--license", "cc0-1.0"]) == 0
    assert run.main(["--data", "user/toy", "--out", str(tmp_path / "bundle"), "--push", REPO]) == 0
    published = f"{REPO}@{head(hub)[0]}"
    dataset = load_bundle(tmp_path / "bundle").manifest.dataset
    commit = hub.repos["datasets", "user/toy"].commits[-1][0]
    assert (dataset.repo, dataset.revision, dataset.licence) == ("user/toy", commit, "cc0-1.0")
    card = ModelCard(head(hub)[1]["README.md"].decode())
    assert (card.data.license, card.data.datasets) == ("cc0-1.0", ["user/toy"])
    assert {(r.dataset_type, r.dataset_revision) for r in card.data.eval_results} == {("user/toy", commit)}
    assert f"[user/toy](https://huggingface.co/datasets/user/toy) at `{commit}`" in card.text
    assert f"CBIR_BUNDLE={published} python app.py" in capsys.readouterr().out
    deploy("user/search", REPO)
    space = hub.repos["spaces", "user/search"]
    assert space.variables == {"CBIR_BUNDLE": published}  # pinned, though no revision was given
    assert "is private: add a token" in capsys.readouterr().out
    assert load_bundle(space.variables["CBIR_BUNDLE"]).manifest.dataset.name == "toy"
