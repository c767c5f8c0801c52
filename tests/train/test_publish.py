"""Publishing to the Hub and back, against a stand-in over HTTP: the client, its retries and its cache are real."""

import dataclasses
import re

import datasets
import pytest
from huggingface_hub import DatasetCard, SpaceCard
from PIL import Image

from cbir.bundle import load_bundle, save_bundle
from cbir.errors import HubError, HubUnreachableError
from tests.conftest import ROOT, write_toy_photos
from tests.hub_server import TOKEN, Fault, Repo
from train import prepare_data, run
from train.data.dataset import read_dataset
from train.hub.model_card import model_card
from train.hub.upload import MARK
from train.publish import main, publish
from train.space import deploy

REPO = "user/bundle"
# The Hub's client hands its HTTP library a file in a way that the library means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(hub_server, monkeypatch, tmp_path):
    """The stand-in, for `datasets` as well."""
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", hub_server.url)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    return hub_server


@pytest.fixture(scope="module")
def saved(toy_bundle, tmp_path_factory):
    return save_bundle(toy_bundle, tmp_path_factory.mktemp("bundles") / "toy")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_toy_photos(tmp_path_factory.mktemp("photos") / "toy")


def head(hub, kind="models", repo=REPO):
    return hub.repos[kind, repo].commits[-1]


def sent(hub):
    """Requests that change something."""
    return [r for r in hub.requests if r.startswith(("PUT", "POST /api/repos")) or "/commit/" in r]


def test_a_bundle_goes_up_in_one_private_commit_and_comes_down_again(hub, saved, toy_bundle):
    published = publish(saved, REPO)
    sha, files = head(hub)
    assert published == f"{REPO}@{sha}"
    assert hub.repos["models", REPO].private
    assert len(hub.repos["models", REPO].commits) == 2  # the one that creates a repository, and ours
    assert set(files) == {".gitattributes", "README.md", *(path.name for path in saved.iterdir())}
    assert any(request.startswith("PUT /lfs/") for request in hub.requests)  # large files go by LFS
    assert load_bundle(published).gallery.ids.tolist() == toy_bundle.gallery.ids.tolist()


def test_public_on_request(hub, saved):
    publish(saved, REPO, public=True)
    assert not hub.repos["models", REPO].private


def test_the_card_is_that_of_the_bundle(hub, saved, toy_bundle):
    publish(saved, REPO)
    assert head(hub)[1]["README.md"].decode() == model_card(load_bundle(saved), REPO)


def test_publishing_again_changes_nothing(hub, saved):
    first = publish(saved, REPO)
    hub.requests.clear()
    assert publish(saved, REPO) == first
    assert sent(hub) == []


def test_a_new_bundle_replaces_the_files_of_the_old_one(hub, saved, toy_bundle, tmp_path):
    publish(saved, REPO)
    hub.repos["models", REPO].commit({**head(hub)[1], "notes.txt": b"mine"})
    hub.requests.clear()
    by_method = {name: one for name, one in toy_bundle.models.by_method.items() if name != "random_forest"}
    models = dataclasses.replace(toy_bundle.models, by_method=by_method)
    smaller = save_bundle(dataclasses.replace(toy_bundle, models=models), tmp_path / "smaller")
    published = publish(smaller, REPO)
    files = head(hub)[1]
    assert not any(name.endswith(".onnx") for name in files)
    assert files["notes.txt"] == b"mine"
    assert "random_forest" not in load_bundle(published).models.by_method
    assert len([r for r in sent(hub) if "/commit/" in r]) == 1


@pytest.mark.parametrize(
    ("readme", "is_kept"),
    [(b"# Mine\n", True), (b"---\nlicense: mit\n---\n# Mine\n", True), (b"---\nlicense: mit\n---\n", False)],
)
def test_a_readme_written_by_hand_stays(hub, saved, readme, is_kept, capsys):
    repo = hub.repos["models", REPO] = Repo(private=False)
    repo.commit({"README.md": readme})
    publish(saved, REPO)
    assert (head(hub)[1]["README.md"] == readme) == is_kept
    assert ("keep, written by hand" in capsys.readouterr().out) == is_kept


def test_a_repository_that_holds_something_else_is_refused(hub, saved, capsys):
    repo = hub.repos["models", REPO] = Repo(private=False)
    for files in ({"pytorch_model.bin": b"x"}, {"manifest.json": b'{"format": "other", "files": {}}'}):
        sha = repo.commit(files)
        with pytest.raises(HubError, match=r"holds something else \(.*\): give the name of a new repository"):
            publish(saved, REPO)
        assert head(hub)[0] == sha


def test_a_dry_run_lists_what_would_go(hub, saved, capsys, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    assert main(["--bundle", str(saved), "--to", REPO, "--dry-run"]) == 0
    printed = capsys.readouterr().out
    for path in saved.iterdir():
        assert path.name in printed
        assert f"{path.stat().st_size:,}" in printed
    assert "would be created, private" in printed
    assert sent(hub) == []


def test_a_dry_run_needs_no_network(hub, saved, capsys, monkeypatch):
    cut(monkeypatch)
    assert main(["--bundle", str(saved), "--to", REPO, "--dry-run"]) == 0
    assert "cannot be reached" in capsys.readouterr().out
    with pytest.raises(HubUnreachableError):
        publish(saved, REPO)


def test_an_upload_that_broke_off_continues(hub, saved):
    hub.faults.append(Fault("POST", f"{REPO}/commit", 500, times=50))
    with pytest.raises(HubError, match="the Hub answered 500"):
        publish(saved, REPO)
    assert any(r.startswith("PUT") for r in hub.requests)
    hub.faults.clear()
    hub.requests.clear()
    assert load_bundle(publish(saved, REPO))
    assert not any(r.startswith("PUT") for r in hub.requests)  # the large files were there already


def test_a_busy_hub_is_asked_again(hub, saved):
    hub.faults.append(Fault("PUT", "/lfs/", 503))
    assert load_bundle(publish(saved, REPO))


def test_a_commit_of_somebody_else_is_not_overwritten(hub, saved, toy_bundle, tmp_path, monkeypatch):
    publish(saved, REPO)
    newer = save_bundle(
        dataclasses.replace(toy_bundle, manifest=dataclasses.replace(toy_bundle.manifest, title="n")), tmp_path / "n"
    )
    hub.faults.append(Fault("POST", f"{REPO}/commit", 412))
    with pytest.raises(HubError, match="somebody else changed the repository"):
        publish(newer, REPO)


def test_tokens_are_asked_for(hub, saved, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match="hf auth login"):
        publish(saved, REPO)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(HubError, match="publishing needs a token"):
        publish(saved, REPO)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with pytest.raises(HubError, match="expected a repository as user/repo"):
        publish(saved, "bundle")
    assert hub.repos == {}


def test_a_dataset_goes_up_and_comes_down_again(hub, photos, capsys):
    assert prepare_data.main(["--data", str(photos), "--push", "user/toy", "--license", "cc0-1.0"]) == 0
    sha, files = head(hub, "datasets", "user/toy")
    assert f"published user/toy@{sha}" in capsys.readouterr().out
    assert hub.repos["datasets", "user/toy"].private
    local, pulled = read_dataset(photos), read_dataset("user/toy", sha)
    for column in ("id", "color", "type"):
        assert pulled[column][:] == local[column][:]
    assert pulled[0]["image"]["bytes"] == (photos / local[0]["id"]).read_bytes()
    loaded = datasets.load_dataset("user/toy", revision=sha)
    assert {name: len(split) for name, split in loaded.items()} == {"train": 58, "test": 14}
    assert isinstance(loaded["train"].features["image"], datasets.Image)
    assert loaded["train"].features["color"].names == ["blue", "red", "white"]
    assert isinstance(loaded["train"][0]["image"], Image.Image)
    card = DatasetCard(files["README.md"].decode())
    assert card.data.license == "cc0-1.0"
    assert "| red | 8 | 8 | 8 | 24 |" in card.text
    hub.requests.clear()
    prepare_data.main(["--data", str(photos), "--push", "user/toy", "--license", "cc0-1.0"])
    assert sent(hub) == []


def test_photos_that_look_alike_stay_on_one_side_of_the_split(hub, photos, tmp_path):
    folder = tmp_path / "red_shirt"
    folder.mkdir()
    for n in range(6):
        image = Image.open(photos / "red_shirt" / f"{n}.png")
        image.save(folder / f"{n}.png")
        image.save(folder / f"{n}.jpg", quality=60)
    (folder / "broken.png").write_bytes(b"no picture")
    prepare_data.main(["--data", str(tmp_path), "--push", "user/twice", "--test-share", "0.5"])
    loaded = datasets.load_dataset("user/twice")
    sides = {name: {id_.split("/")[-1].split(".")[0] for id_ in split["id"]} for name, split in loaded.items()}
    assert not sides["train"] & sides["test"]
    assert "1 photos could not be read" in head(hub, "datasets", "user/twice")[1]["README.md"].decode()
    assert "The licence of the photos was not stated" in head(hub, "datasets", "user/twice")[1]["README.md"].decode()


def test_a_dataset_never_replaces_something_else(hub, photos):
    repo = hub.repos["datasets", "user/toy"] = Repo(private=False)
    repo.commit({"data.csv": b"a,b\n"})
    with pytest.raises(HubError, match=r"holds something else \(data.csv\)"):
        prepare_data.main(["--data", str(photos), "--push", "user/toy"])


def test_from_photos_to_a_space(hub, photos, tmp_path, capsys):
    assert prepare_data.main(["--data", str(photos), "--push", "user/toy"]) == 0
    options = ["--data", "user/toy", "--backbone", "efficientnet-lite0", "--out", str(tmp_path / "b"), "--push", REPO]
    assert run.main(options) == 0
    published = f"{REPO}@{head(hub)[0]}"
    assert f"CBIR_BUNDLE={published} python app.py" in capsys.readouterr().out
    commit = deploy("user/search", REPO)
    space = hub.repos["spaces", "user/search"]
    assert space.variables == {"CBIR_BUNDLE": published}  # pinned, though no revision was given
    assert space.private
    assert space.sdk == "gradio"
    files = head(hub, "spaces", "user/search")[1]
    assert {"app.py", "README.md", "requirements.txt", "cbir/ui/style.css", "samples/bundle/manifest.json"} <= set(
        files
    )
    assert not any("__pycache__" in name or name.startswith("tests/") for name in files)
    assert files["requirements.txt"].startswith(b"--extra-index-url https://download.pytorch.org/whl/cpu\n")
    assert "is private: add a token" in capsys.readouterr().out
    assert load_bundle(space.variables["CBIR_BUNDLE"]).manifest.dataset.name == "toy"
    assert deploy("user/search", REPO) == commit
    assert f"0 files to send, 0 bytes; {len(files) - 1} there already\nnothing to do" in capsys.readouterr().out


def test_a_space_follows_the_code_and_never_replaces_another(hub, saved):
    deploy("user/search", None, public=True)
    space = hub.repos["spaces", "user/search"]
    assert not space.private
    space.commit({**space.commits[-1][1], "cbir/gone.py": b"old", "mine.txt": b"kept", "README.md": b"# old"})
    deploy("user/search", None)
    files = space.commits[-1][1]
    assert "cbir/gone.py" not in files
    assert files["mine.txt"] == b"kept"
    assert files["README.md"].startswith(b"---\ntitle: Apparel CBIR")
    hub.repos["spaces", "user/other"] = Repo(private=False)
    hub.repos["spaces", "user/other"].commit({"app.py": b"print()"})
    with pytest.raises(HubError, match="holds something else"):
        deploy("user/other", None)
    with pytest.raises(HubError, match="not found on the Hub"):
        deploy("user/new", "user/nothing")


def test_a_readme_that_the_hub_would_refuse_stops_a_space_first(hub, monkeypatch):
    def refuse():
        raise HubError("README.md: expected sdk to be gradio")

    monkeypatch.setattr("train.space.check_front_matter", refuse)
    with pytest.raises(HubError, match="expected sdk to be gradio"):
        deploy("user/search", None)
    assert hub.requests == []


def test_a_docker_space_builds_the_dockerfile(hub):
    deploy("user/search", None, docker=True)
    assert hub.repos["spaces", "user/search"].sdk == "docker"
    files = head(hub, "spaces", "user/search")[1]
    root = ROOT
    for name in ("Dockerfile", ".dockerignore", "requirements.txt"):
        assert files[name] == (root / name).read_bytes()
    card = SpaceCard(files["README.md"].decode())
    exposed = re.search(r"^EXPOSE (\d+)", files["Dockerfile"].decode(), re.MULTILINE)[1]
    assert (card.data.title, card.data.sdk, card.data.app_port) == ("Apparel CBIR", "docker", int(exposed))
    assert {"sdk_version", "app_file", "preload_from_hub"}.isdisjoint(card.data.to_dict())
    assert card.text == SpaceCard((root / "README.md").read_text(encoding="utf-8")).text
    deploy("user/search", None)  # and back
    files = head(hub, "spaces", "user/search")[1]
    assert "Dockerfile" not in files
    assert SpaceCard(files["README.md"].decode()).data.sdk == "gradio"


def test_readmes_of_ours_can_be_told(hub, saved):
    publish(saved, REPO)
    assert MARK.encode() in head(hub)[1]["README.md"]


def cut(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
