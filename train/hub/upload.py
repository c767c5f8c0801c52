"""Uploads to the Hub: says what would go, then sends everything in one commit.

A repository is written only where it is new, empty, or was written by the same kind of upload; a README that somebody
wrote by hand stays. Equal files are not sent again, so an upload that was cut off can be repeated, and repeating a
finished one changes nothing.
"""

import hashlib
import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cbir import hub
from cbir.errors import HubError, HubUnreachableError

# Stands in every README written here; without it, a README counts as written by hand.
MARK = "<!-- written by apparel-cbir; a README without this line is never replaced -->"
CARD = "README.md"
MANIFEST = "manifest.json"
NEUTRAL = frozenset([".gitattributes", ".gitignore", CARD, "LICENSE", "LICENSE.txt", "LICENSE.md"])

Content = Path | bytes
# From the names in a repository, and a function that reads one of them, the names that an earlier upload of the same
# kind wrote; None where the repository holds something else.
Owned = Callable[[set[str], Callable[[str], bytes]], set[str] | None]


@dataclass(frozen=True)
class Upload:
    """What a repository should hold.

    Attributes:
        repo: `user/repo`.
        kind: "model", "dataset" or "space".
        files: everything that it should hold, by name.
        owned: tells what an earlier upload of this kind wrote.
        message: of the commit.
        public: whether a new repository is public; an existing one keeps its visibility.
        sdk: of a new Space, "gradio" or "docker".
        hardware: of a new Space, as the Hub calls it; None for what it gives.
    """

    repo: str
    kind: str
    files: Mapping[str, Content]
    owned: Owned
    message: str
    public: bool = False
    sdk: str | None = None
    hardware: str | None = None


@dataclass(frozen=True)
class _Changes:
    """What an upload does to a repository as it is now; `head` is its commit, None where it is to be created."""

    head: str | None
    send: dict[str, Content]
    delete: list[str]
    n_unchanged: int = 0
    is_readme_kept: bool = False


def upload(what: Upload, dry_run: bool = False) -> str | None:
    """Prints what changes and, unless it is a dry run, changes it in one commit.

    Args:
        what: to upload where.
        dry_run: send nothing; this needs neither a token nor the Hub.

    Returns:
        The commit that holds the files; None after a dry run.

    Raises:
        HubError: the repository holds something else, or the Hub refuses.
        HubUnreachableError: the Hub does not answer.
    """
    if not dry_run:
        check_access(what.repo)
    try:
        changes, note = _changes(what), None
    except HubUnreachableError as error:
        if not dry_run:
            raise
        changes, note = _Changes(None, dict(what.files), []), f"{error}: what it holds is not known"
    print(_described(what, changes, note))
    if dry_run:
        return None
    if changes.head and not changes.send and not changes.delete:
        print("nothing to do")
        return changes.head
    return hub.translate_errors(lambda: _commit(what, changes), what.repo)


def check_access(repo: str) -> None:
    """Checks, before any long work, that an upload can start: the name, the token, the Hub.

    Raises:
        HubError: the name is not `user/repo`, or there is no token that may write there.
        HubUnreachableError: the Hub does not answer.
    """
    from huggingface_hub import HfApi

    name = hub.parse_repo(repo)
    if name is None or name[1]:
        raise HubError(f"expected a repository as user/repo, got {repo!r}")
    if not hub.saved_token():
        raise HubError("publishing needs a token with write access: log in with `hf auth login`, or set HF_TOKEN")
    hub.check_reachable()
    who = hub.translate_errors(lambda: HfApi(endpoint=hub.endpoint()).whoami(), repo)
    if who.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise HubError("publishing needs a token with write access, but this one may only read: make another")
    namespaces = [who["name"], *(one["name"] for one in who.get("orgs", []))]
    if (namespace := repo.partition("/")[0]) not in namespaces:
        raise HubError(f"the token is of {who['name']}, who may write to {', '.join(namespaces)}, not to {namespace}")


def check_licence(licence: str | None, public: bool) -> None:
    """Checks that photos become public only under a licence that somebody stated.

    Raises:
        HubError: they would be public, and nobody stated one.
    """
    if public and not licence:
        raise HubError(
            "--public shows the photos to everybody, but nobody stated their licence: give it with --license, as their "
            "source names it (e.g. cc-by-4.0, or other), or leave --public out"
        )


def owned_by_manifest(format: str) -> Owned:
    """Recognises repositories by the format that their manifest.json names; it lists the files as well."""

    def owned(names: set[str], read: Callable[[str], bytes]) -> set[str] | None:
        if MANIFEST not in names:
            return None
        try:
            manifest = json.loads(read(MANIFEST))
            return {MANIFEST, *manifest["files"]} if manifest["format"] == format else None
        except (ValueError, TypeError, KeyError):
            return None

    return owned


def check_upload(repo: str, kind: str, owned: Owned) -> None:
    """Checks, before any long work, that an upload can start and that the repository may be written.

    Raises:
        HubError, HubUnreachableError: as `check_access`; or the repository holds something else.
    """
    check_access(repo)
    _remote(Upload(repo, kind, {}, owned, ""))


@dataclass(frozen=True)
class _Remote:
    """A repository as it is now.

    Attributes:
        head: its commit.
        files: by name, as the Hub's client describes them.
        ours: names that an earlier upload of this kind wrote.
        read: gives the content of one of them.
    """

    head: str
    files: dict[str, Any]
    ours: set[str]
    read: Callable[[str], bytes]


def _remote(what: Upload) -> _Remote | None:
    """The repository; None where it is to be created. Errors as in `upload`."""
    hub.check_reachable()
    info = hub.translate_errors(lambda: _repo_info(what), what.repo)
    if info is None:
        return None
    files = {file.rfilename: file for file in info.siblings}

    def read(name: str) -> bytes:
        return hub.download(what.repo, [name], info.sha, what.kind)[0].read_bytes()

    ours = set() if set(files) <= NEUTRAL else what.owned(set(files), read)
    if ours is None:
        others = ", ".join(sorted(set(files) - NEUTRAL)[:4])
        raise HubError(f"{what.repo} on the Hub holds something else ({others}): give the name of a new repository")
    return _Remote(info.sha, files, ours, read)


def _changes(what: Upload) -> _Changes:
    """Compares files with what the repository holds. Errors as in `upload`."""
    found = _remote(what)
    if found is None:
        return _Changes(None, dict(what.files), [])
    remote = found.files
    # A Space's README holds the settings by which the Hub builds it.
    is_kept = what.kind != "space" and CARD in remote and _is_by_hand(found.read(CARD))
    wanted = {name: content for name, content in what.files.items() if not (is_kept and name == CARD)}
    send = {name: c for name, c in wanted.items() if name not in remote or not _is_equal(c, remote[name])}
    delete = sorted((found.ours & set(remote)) - set(what.files) - NEUTRAL)
    return _Changes(found.head, send, delete, len(wanted) - len(send), is_kept)


def _described(what: Upload, changes: _Changes, note: str | None) -> str:
    """The changes as lines of text, with bytes."""
    sizes = {name: _size(content) for name, content in changes.send.items()}
    visibility = "public" if what.public else "private"
    lines = [f"{what.kind} {what.repo}" + ("" if changes.head else f" (would be created, {visibility})")]
    width = max(map(len, sizes), default=0)
    lines += [f"  send    {name:<{width}}  {size:>13,}" for name, size in sorted(sizes.items())]
    lines += [f"  delete  {name}" for name in changes.delete]
    lines += [f"  keep, written by hand  {CARD}"] if changes.is_readme_kept else []
    total = f"  {len(sizes)} files to send, {sum(sizes.values()):,} bytes"
    lines.append(total + (f"; {changes.n_unchanged} there already" if changes.n_unchanged else ""))
    lines += [f"  note: {note}"] if note else []
    return "\n".join(lines)


def _repo_info(what: Upload) -> Any | None:  # noqa: ANN401 - ModelInfo, DatasetInfo or SpaceInfo
    from huggingface_hub import HfApi, errors

    try:
        return HfApi(endpoint=hub.endpoint()).repo_info(what.repo, repo_type=what.kind, files_metadata=True)
    except errors.GatedRepoError:
        raise
    except errors.RepositoryNotFoundError:
        return None


def _commit(what: Upload, changes: _Changes) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(endpoint=hub.endpoint())
    if changes.head is None:
        space: dict[str, Any] = {"space_sdk": what.sdk, "space_hardware": what.hardware}
        api.create_repo(what.repo, repo_type=what.kind, private=not what.public, exist_ok=True, **space)
    add = [CommitOperationAdd(name, content) for name, content in sorted(changes.send.items())]
    delete = [CommitOperationDelete(name) for name in changes.delete]
    with warnings.catch_warnings():
        # A bundle's gallery is parquet, which the client takes for a dataset gone astray.
        warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")
        # With its parent named, the commit fails rather than mix with one that somebody else makes meanwhile.
        commit = api.create_commit(
            what.repo, [*add, *delete], commit_message=what.message, repo_type=what.kind, parent_commit=changes.head
        )
    return commit.oid


def _is_by_hand(readme: bytes) -> bool:
    """Whether somebody wrote it: more than front matter, and without our mark."""
    text = readme.decode("utf-8", errors="replace")
    _, _, body = text.removeprefix("---\n").partition("\n---") if text.startswith("---\n") else ("", "", text)
    return MARK not in text and bool(body.strip())


def _is_equal(content: Content, remote: Any) -> bool:  # noqa: ANN401 - RepoSibling
    """Whether the Hub holds this content already; `create_commit` finds that too, but a dry run needs to know it."""
    if remote.size != _size(content):
        return False
    if remote.lfs is None:  # small
        data = content.read_bytes() if isinstance(content, Path) else content
        return remote.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # as git names it
    if isinstance(content, bytes):
        return remote.lfs.sha256 == hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return remote.lfs.sha256 == hashlib.file_digest(file, "sha256").hexdigest()


def _size(content: Content) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)
