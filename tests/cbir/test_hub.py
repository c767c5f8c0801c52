"""Bundles from the Hub, against a stand-in over HTTP: the client, the cache and the faults are real."""

import json
import re
import shutil

import pytest

from cbir import hub
from cbir.bundle import MANIFEST, load_bundle, open_bundle, save_bundle
from cbir.errors import BundleError, HubError, HubUnreachableError
from tests.hub_server import TOKEN, Fault, Repo

REPO = "user/bundle"


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def saved(toy_bundle, tmp_path_factory):
    return save_bundle(toy_bundle, tmp_path_factory.mktemp("bundles") / "toy")


@pytest.fixture
def published(hub_server, saved):
    """The commit of a public repository that holds the bundle, beside files that no search needs."""
    repo = hub_server.repos["models", REPO] = Repo(private=False)
    return repo.commit({**files_of(saved), "README.md": b"# card", "huge.bin": b"0" * 10_000})


def test_repository_names_are_told_from_paths():
    assert hub.parse_repo("user/repo") == ("user/repo", None)
    assert hub.parse_repo("user/repo@v1.0") == ("user/repo", "v1.0")
    assert hub.parse_repo("/data/bundle") is None
    assert hub.parse_repo("bundle") is None


def test_a_bundle_is_pulled_once_and_only_what_it_needs(hub_server, published, toy_bundle):
    bundle = load_bundle(f"{REPO}@{published}")
    assert bundle.gallery.ids.tolist() == toy_bundle.gallery.ids.tolist()
    assert bundle.notice is None
    assert not any("huge.bin" in request or "README" in request for request in hub_server.requests)
    hub_server.requests.clear()
    load_bundle(f"{REPO}@{published}")
    assert hub_server.requests == []  # a pinned revision that is cached needs no Hub


def test_without_a_revision_the_newest_is_taken(hub_server, published, saved):
    assert load_bundle(REPO).manifest.title == "Toy photos"
    manifest = json.loads((saved / MANIFEST).read_text())
    newer = {**files_of(saved), MANIFEST: json.dumps({**manifest, "title": "Newer"}).encode()}
    hub_server.repos["models", REPO].commit(newer)
    assert load_bundle(REPO).manifest.title == "Newer"
    assert load_bundle(f"{REPO}@{published}").manifest.title == "Toy photos"


def test_a_private_bundle_needs_the_token(hub_server, published, monkeypatch):
    hub_server.repos["models", REPO].private = True
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match=r"not found on the Hub, or private: .*hf auth login"):
        load_bundle(REPO)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert load_bundle(REPO).gallery


def test_missing_repositories_revisions_and_files_are_clear(hub_server, published):
    with pytest.raises(HubError, match="user/nothing not found on the Hub"):
        load_bundle("user/nothing")
    with pytest.raises(HubError, match="no such revision"):
        load_bundle(f"{REPO}@v9")
    hub_server.repos["models", "user/other"] = Repo(private=False)
    hub_server.repos["models", "user/other"].commit({"README.md": b"x"})
    with pytest.raises(HubError, match="lacks a file"):
        load_bundle("user/other")


def test_too_many_requests_are_tried_again(hub_server, published):
    hub_server.faults.append(Fault("GET", "features.safetensors", 429, headers={"Retry-After": "0"}))
    assert load_bundle(REPO).gallery
    assert sum("GET" in r and "features.safetensors" in r for r in hub_server.requests) == 2


def test_a_server_error_is_one_clear_line(hub_server, published):
    hub_server.faults.append(Fault("GET", "features.safetensors", 500, times=50))
    with pytest.raises(HubError, match=r"the Hub answered 500 for user/bundle@\w+: try again later"):
        load_bundle(REPO)


def test_a_connection_that_is_cut_is_resumed(hub_server, published, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10_000)
    hub_server.faults.append(Fault("GET", "features.safetensors", "cut"))
    assert load_bundle(REPO).gallery
    _, again = [r for r in hub_server.requests if "GET" in r and "features.safetensors" in r]
    assert re.search(r" bytes=[1-9]\d*-$", again)  # it goes on where it stopped


def test_a_file_changed_under_the_same_revision_is_found(hub_server, published, saved):
    content = bytearray(hub_server.repos["models", REPO].commits[-1][1]["models.safetensors"])
    content[-1] ^= 1
    hub_server.repos["models", REPO].commits[-1][1]["models.safetensors"] = bytes(content)
    with pytest.raises(BundleError, match=r"models.safetensors is damaged"):
        load_bundle(f"{REPO}@{published}")


def test_without_network_the_cached_copy_serves(hub_server, published, monkeypatch):
    done = []
    open_bundle(REPO, meanwhile=lambda: done.append("fetched"))
    cut(monkeypatch)
    bundle = open_bundle(REPO, meanwhile=lambda: done.append("cached"))
    assert done == ["fetched", "cached"]
    assert bundle.manifest.title == "Toy photos"
    assert "downloaded earlier" in bundle.notice
    assert open_bundle(f"{REPO}@{published}").notice is None  # pinned: nothing was to be asked
    with pytest.raises(HubUnreachableError):
        load_bundle(REPO)


def test_without_network_and_cache_the_embedded_default_serves(hub_server, monkeypatch):
    cut(monkeypatch)
    done = []
    bundle = open_bundle("user/never-seen", meanwhile=lambda: done.append("embedded"))
    assert done == ["embedded"]
    assert bundle.manifest.dataset.is_drawn
    assert "instead of user/never-seen" in bundle.notice


def test_a_download_that_stopped_halfway_does_not_serve(hub_server, published, monkeypatch):
    hub_server.faults.append(Fault("GET", "models.safetensors", 500, times=50))
    with pytest.raises(HubError, match="answered 500"):
        open_bundle(REPO)
    cut(monkeypatch)
    assert "embedded" in open_bundle(REPO).notice


def test_mistakes_are_not_covered_by_the_embedded_default(hub_server, published, tmp_path, saved):
    with pytest.raises(HubError, match="not found"):
        open_bundle("user/nothing")
    with pytest.raises(BundleError, match="no bundle at"):
        open_bundle("/nowhere/at/all")
    damaged = shutil.copytree(saved, tmp_path / "damaged")
    (damaged / "gallery.parquet").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"gallery.parquet has 1 bytes"):
        open_bundle(damaged)


def cut(monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # nothing listens there


@pytest.mark.parametrize("token", ["hf_\u00e9", "hf one two"])
def test_a_token_that_is_none_is_one_clear_line(monkeypatch, token):
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError, match="expected a token of letters, digits and _") as caught:
        hub.check_reachable()
    assert token not in str(caught.value)


def test_a_token_in_a_file_that_cannot_be_read_is_one_clear_line(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "file" / "token"))
    with pytest.raises(HubError, match=r"cannot read the token in .*: set HF_HOME"):
        hub.check_reachable()
