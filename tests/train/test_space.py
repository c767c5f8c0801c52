"""The app as a Space, against a stand-in of the Hub, and the README's settings by which the Hub builds it."""

import re

import pytest
from huggingface_hub import SpaceCard

from cbir.errors import HubError
from tests.conftest import ROOT
from tests.hub_server import Repo
from train.space import check_front_matter, deploy, main

README = (ROOT / "README.md").read_text(encoding="utf-8")
# The Hub's client hands its HTTP library a file in a way that the library means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def files_of(hub, repo="user/search"):
    return hub.repos["spaces", repo].commits[-1][1]


def test_a_space_holds_the_app_and_nothing_else(hub, capsys):
    commit = deploy("user/search", None)
    space, files = hub.repos["spaces", "user/search"], files_of(hub)
    assert (space.private, space.sdk, space.variables) == (True, "gradio", {})
    assert {"app.py", "README.md", "requirements.txt", "cbir/ui/style.css", "samples/bundle/manifest.json"} <= set(
        files
    )
    assert not any("__pycache__" in name or name.startswith(("tests/", "train/")) for name in files)
    assert files["requirements.txt"].startswith(b"--extra-index-url https://download.pytorch.org/whl/cpu\n")
    capsys.readouterr()
    assert deploy("user/search", None) == commit
    assert f"0 files to send, 0 bytes; {len(files) - 1} there already\nnothing to do" in capsys.readouterr().out


def test_a_space_follows_the_code_and_keeps_what_others_added(hub):
    deploy("user/search", None, public=True)
    space = hub.repos["spaces", "user/search"]
    assert not space.private
    added = {"cbir/gone.py": b"old", "train/gone.py": b"old", "mine.txt": b"kept", "README.md": b"# old"}
    space.commit({**files_of(hub), **added})
    deploy("user/search", None)
    files = files_of(hub)
    assert {"cbir/gone.py", "train/gone.py"}.isdisjoint(files)
    assert files["mine.txt"] == b"kept"
    assert files["README.md"].startswith(b"---\ntitle: Apparel CBIR")


def test_a_space_never_replaces_another(hub):
    hub.repos["spaces", "user/other"] = Repo(private=False)
    hub.repos["spaces", "user/other"].commit({"app.py": b"print()"})
    with pytest.raises(HubError, match="holds something else"):
        deploy("user/other", None)


def test_a_bundle_is_pinned_to_its_commit(hub, capsys):
    hub.repos["models", "user/bundle"] = Repo(private=False)
    sha = hub.repos["models", "user/bundle"].commit({"manifest.json": b"{}"})
    assert main(["--to", "user/search", "--bundle", "user/bundle@main", "--dry-run"]) == 0
    assert f"variable CBIR_BUNDLE=user/bundle@{sha}" in capsys.readouterr().out
    assert ("spaces", "user/search") not in hub.repos
    assert main(["--to", "user/search", "--bundle", "user/bundle"]) == 0
    assert hub.repos["spaces", "user/search"].variables == {"CBIR_BUNDLE": f"user/bundle@{sha}"}
    assert "is private" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("bundle", "message"), [("user/nothing", "not found on the Hub"), ("bundle", "expected a bundle as user/repo")]
)
def test_a_bundle_that_is_not_there_stops_a_space_first(hub, bundle, message):
    with pytest.raises(HubError, match=message):
        deploy("user/new", bundle)
    assert hub.repos == {}


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
    files = files_of(hub)
    for name in ("Dockerfile", ".dockerignore", "requirements.txt"):
        assert files[name] == (ROOT / name).read_bytes()
    card = SpaceCard(files["README.md"].decode())
    exposed = re.search(r"^EXPOSE (\d+)", files["Dockerfile"].decode(), re.MULTILINE)[1]
    assert (card.data.title, card.data.sdk, card.data.app_port) == ("Apparel CBIR", "docker", int(exposed))
    assert {"sdk_version", "app_file", "preload_from_hub"}.isdisjoint(card.data.to_dict())
    assert card.text == SpaceCard(README).text
    deploy("user/search", None)  # and back
    assert "Dockerfile" not in files_of(hub)
    assert SpaceCard(files_of(hub)["README.md"].decode()).data.sdk == "gradio"


def test_the_front_matter_suits_a_space():
    check_front_matter()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("colorFrom: green", "colorFrom: teal", "expected colorFrom to be one of red, .*got 'teal'"),
        ("emoji: 👗", "emoji: dress", "expected emoji to be an emoji, got 'dress'"),
        ("sdk: gradio", "sdk: streamlit", "expected sdk to be gradio, got 'streamlit'"),
        (r"sdk_version: .*", "sdk_version: 5.0.0", "expected sdk_version to be .* as in requirements.txt, got '5.0.0'"),
        ('python_version: "3.11"', "python_version: 3.11", 'expected python_version to be "3.11", quoted, got 3.11'),
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
