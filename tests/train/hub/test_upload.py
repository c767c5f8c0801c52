"""Uploads to the Hub, against a stand-in over HTTP: the client and its retries are real."""

import dataclasses

import pytest

from cbir.errors import HubError, HubUnreachableError
from tests.hub_server import TOKEN, Fault, Repo
from train.hub.upload import CARD, MARK, Upload, owned_by_manifest, upload

REPO = "user/things"
# The Hub's client hands its HTTP library a file in a way that the library means to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def what(tmp_path):
    """A small text, a large file, a manifest that lists them, and a card."""
    (tmp_path / "large.bin").write_bytes(bytes(10_000))
    files = {
        "large.bin": tmp_path / "large.bin",
        "small.txt": b"small",
        "manifest.json": b'{"format": "things", "files": {"large.bin": {}, "small.txt": {}}}',
        CARD: f"---\nlicense: mit\n---\n{MARK}\n# Things\n".encode(),
    }
    return Upload(REPO, "model", files, owned_by_manifest("things"), "Things")


def test_everything_goes_up_in_one_private_commit(hub_server, what):
    commit = upload(what)
    repo = hub_server.repos["models", REPO]
    assert repo.private
    assert len(repo.commits) == 2  # the one that creates a repository, and ours
    sha, files = repo.commits[-1]
    assert sha == commit
    assert files.pop(".gitattributes")
    assert files == {**what.files, "large.bin": bytes(10_000)}
    assert sum(request.startswith("PUT /lfs/") for request in hub_server.requests) == 1  # large files go by LFS


def test_a_new_repository_is_public_on_request(hub_server, what):
    upload(dataclasses.replace(what, public=True))
    assert not hub_server.repos["models", REPO].private


def test_the_same_again_sends_nothing(hub_server, what, capsys):
    first = upload(what)
    hub_server.requests.clear()
    assert upload(what) == first
    assert hub_server.changes() == []
    assert "  0 files to send, 0 bytes; 4 there already\nnothing to do\n" in capsys.readouterr().out


def test_files_of_an_earlier_upload_go_and_those_of_others_stay(hub_server, what):
    upload(what)
    repo = hub_server.repos["models", REPO]
    repo.commit({**repo.commits[-1][1], "notes.txt": b"mine"})
    hub_server.requests.clear()
    manifest = {"manifest.json": b'{"format": "things", "files": {"small.txt": {}}}'}
    fewer = {name: content for name, content in what.files.items() if name != "large.bin"} | manifest
    upload(dataclasses.replace(what, files=fewer))
    files = repo.commits[-1][1]
    assert set(files) == {*fewer, "notes.txt", ".gitattributes"}
    assert [request for request in hub_server.changes() if "/commit/" not in request] == []
    assert len(hub_server.changes()) == 1


@pytest.mark.parametrize(
    ("readme", "is_kept"),
    [
        (b"# Mine\n", True),
        (b"---\nlicense: mit\n---\n# Mine\n", True),
        (b"---\nlicense: mit\n---\n", False),
        (MARK.encode(), False),
    ],
)
def test_a_readme_written_by_hand_stays(hub_server, what, readme, is_kept, capsys):
    repo = hub_server.repos["models", REPO] = Repo(private=False)
    repo.commit({CARD: readme})
    upload(what)
    assert repo.commits[-1][1][CARD] == (readme if is_kept else what.files[CARD])
    assert ("keep, written by hand" in capsys.readouterr().out) == is_kept


@pytest.mark.parametrize(
    "files",
    [
        {"pytorch_model.bin": b"x"},
        {"manifest.json": b'{"format": "other", "files": {}}'},
        {"manifest.json": b'{"format": "things"}'},
        {"manifest.json": b"[]"},
        {"manifest.json": b"no JSON"},
    ],
)
def test_a_repository_that_holds_something_else_is_refused(hub_server, what, files):
    repo = hub_server.repos["models", REPO] = Repo(private=False)
    sha = repo.commit(files)
    with pytest.raises(HubError, match=rf"holds something else \({next(iter(files))}\): give the name of a new"):
        upload(what)
    assert repo.commits[-1][0] == sha


def test_a_dry_run_lists_what_would_go_with_bytes(hub_server, what, monkeypatch, capsys):
    monkeypatch.delenv("HF_TOKEN")
    assert upload(what, dry_run=True) is None
    title, *lines = capsys.readouterr().out.splitlines()
    assert title == f"model {REPO} (would be created, private)"
    sizes = {**{name: f"{len(data)}" for name, data in what.files.items() if isinstance(data, bytes)}}
    assert [line.split() for line in lines[:-1]] == [
        ["send", name, {**sizes, "large.bin": "10,000"}[name]] for name in sorted(what.files)
    ]
    assert lines[-1] == f"  4 files to send, {10_000 + sum(map(int, sizes.values())):,} bytes"
    assert hub_server.changes() == []


def test_a_dry_run_lists_only_what_differs(hub_server, what, capsys):
    upload(what)
    capsys.readouterr()
    hub_server.requests.clear()
    files = {name: content for name, content in what.files.items() if name != "large.bin"} | {"small.txt": b"other"}
    upload(dataclasses.replace(what, files=files), dry_run=True)
    printed = capsys.readouterr().out.split("\n")
    assert [line.split() for line in printed[1:3]] == [["send", "small.txt", "5"], ["delete", "large.bin"]]
    assert printed[3] == "  1 files to send, 5 bytes; 2 there already"
    assert hub_server.changes() == []


def test_a_dry_run_needs_no_network(hub_server, what, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")  # nothing listens there
    assert upload(what, dry_run=True) is None
    printed = capsys.readouterr().out
    assert "cannot be reached" in printed
    assert "4 files to send" in printed
    with pytest.raises(HubUnreachableError):
        upload(what)


def test_an_upload_that_broke_off_continues(hub_server, what):
    hub_server.faults.append(Fault("POST", f"{REPO}/commit", 500, times=50))
    with pytest.raises(HubError, match="the Hub answered 500"):
        upload(what)
    assert any(request.startswith("PUT") for request in hub_server.requests)
    hub_server.faults.clear()
    hub_server.requests.clear()
    assert upload(what) == hub_server.repos["models", REPO].commits[-1][0]
    assert not any(request.startswith("PUT") for request in hub_server.requests)  # the large file was there already


def test_a_busy_hub_is_asked_again(hub_server, what):
    hub_server.faults.append(Fault("PUT", "/lfs/", 503))
    upload(what)
    assert sum(request.startswith("PUT /lfs/") for request in hub_server.requests) == 2


def test_a_commit_that_somebody_else_makes_meanwhile_is_not_overwritten(hub_server, what, monkeypatch):
    upload(what)
    repo = hub_server.repos["models", REPO]
    theirs = {**repo.commits[-1][1], "small.txt": b"theirs"}
    hub_server.on_request(f"POST /api/models/{REPO}/preupload/main", lambda: repo.commit(theirs))
    with pytest.raises(HubError, match="somebody else changed the repository"):
        upload(dataclasses.replace(what, files={**what.files, "small.txt": b"ours"}))
    assert repo.commits[-1][1] == theirs


def test_names_and_tokens_are_checked_before_anything_is_sent(hub_server, what, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match="hf auth login"):
        upload(what)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(HubError, match="publishing needs a token"):
        upload(what)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for name in ("things", "user/things@main"):
        with pytest.raises(HubError, match="expected a repository as user/repo"):
            upload(dataclasses.replace(what, repo=name))
    assert hub_server.repos == {}
