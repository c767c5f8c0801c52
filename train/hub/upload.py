"""Uploads to the Hub: a plan that says what would go, then everything in one commit.

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
# Names in a repository and a function that reads one -> the names that an earlier upload wrote; None: not ours.
Owned = Callable[[set[str], Callable[[str], bytes]], set[str] | None]


@dataclass(frozen=True)
class Plan:
    """What an upload would do.

    Attributes:
        repo: `user/repo`.
        kind: "model", "dataset" or "space".
        head: the commit it builds on; None where the repository is to be created.
        private: visibility of a new repository; an existing one keeps its own.
        send: files that are new or differ.
        unchanged: names of files that are there already.
        delete: names of files of an earlier upload that are no longer part of it.
        kept: names of files that stay as somebody wrote them.
        note: what limits this plan; None for nothing.
    """

    repo: str
    kind: str
    head: str | None
    private: bool
    send: Mapping[str, Content]
    unchanged: tuple[str, ...] = ()
    delete: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    note: str | None = None

    def describe(self) -> str:
        """The plan as lines of text, with bytes."""
        visibility = "private" if self.private else "public"
        title = f"{self.kind} {self.repo}" + ("" if self.head else f" (would be created, {visibility})")
        rows = [("send", name, f"{_size(content):,}") for name, content in sorted(self.send.items())]
        rows += [("delete", name, "") for name in self.delete]
        rows += [("keep, written by hand", name, "") for name in self.kept]
        widths = [max((len(row[i]) for row in rows), default=0) for i in range(3)]
        lines = [f"  {what:<{widths[0]}}  {name:<{widths[1]}}  {n:>{widths[2]}}".rstrip() for what, name, n in rows]
        total = f"  {len(self.send)} files to send, {sum(map(_size, self.send.values())):,} bytes"
        total += f"; {len(self.unchanged)} there already" if self.unchanged else ""
        return "\n".join([title, *lines, total, *([f"  note: {self.note}"] if self.note else [])])


def make_plan(repo: str, kind: str, files: Mapping[str, Content], owned: Owned, private: bool) -> Plan:
    """Compares files with what the repository holds.

    Args:
        repo: `user/repo`.
        kind: "model", "dataset" or "space".
        files: everything that the repository should hold, by name.
        owned: tells what an earlier upload of this kind wrote.
        private: visibility, should the repository be new.

    Raises:
        HubError: the repository holds something else, or the Hub refuses; HubUnreachableError: it does not answer.
    """
    hub.check_reachable()
    info = hub.translate_errors(lambda: _repo_info(repo, kind), repo)
    if info is None:
        return Plan(repo, kind, None, private, dict(files))
    remote = {file.rfilename: file for file in info.siblings}

    def read(name: str) -> bytes:
        return hub.download(repo, [name], info.sha, kind)[0].read_bytes()

    mine = set() if set(remote) <= NEUTRAL else owned(set(remote), read)
    if mine is None:
        others = ", ".join(sorted(set(remote) - NEUTRAL)[:4])
        raise HubError(f"{repo} on the Hub holds something else ({others}): give the name of a new repository")
    kept = [CARD] if CARD in remote and CARD in files and kind != "space" and _is_by_hand(read(CARD)) else []
    wanted = {name: content for name, content in files.items() if name not in kept}
    unchanged = sorted(name for name in wanted if name in remote and _is_equal(wanted[name], remote[name]))
    send = {name: content for name, content in wanted.items() if name not in unchanged}
    delete = sorted((mine & set(remote)) - set(files) - NEUTRAL)
    return Plan(repo, kind, info.sha, private, send, tuple(unchanged), tuple(delete), tuple(kept))


def upload(
    repo: str,
    kind: str,
    files: Mapping[str, Content],
    owned: Owned,
    message: str,
    private: bool,
    dry_run: bool,
    sdk: str | None = None,
) -> str | None:
    """Prints the plan and, unless it is a dry run, carries it out in one commit.

    Args:
        repo: as for `make_plan`, like `kind`, `files`, `owned` and `private`.
        kind: see there.
        files: see there.
        owned: see there.
        message: of the commit.
        private: see there.
        dry_run: print the plan only.
        sdk: of a new Space, "gradio" or "docker".

    Returns:
        The commit that holds the files; None after a dry run.

    Raises:
        HubError, HubUnreachableError: as `make_plan`; a dry run needs neither a token nor the Hub.
    """
    if dry_run:
        try:
            plan = make_plan(repo, kind, files, owned, private)
        except HubUnreachableError as error:
            plan = Plan(repo, kind, None, private, dict(files), note=f"{error}: what it holds is not known")
        print(plan.describe())
        return None
    check_access(repo)
    plan = make_plan(repo, kind, files, owned, private)
    print(plan.describe())
    if plan.head and not plan.send and not plan.delete:
        print("nothing to do")
        return plan.head
    return hub.translate_errors(lambda: _commit(plan, message, sdk), repo)


def check_access(repo: str) -> None:
    """Checks, before any long work, that an upload can start: the name, the token, the Hub.

    Raises:
        HubError: the name is no `user/repo`, or there is no token or not a valid one.
        HubUnreachableError: the Hub does not answer.
    """
    from huggingface_hub import HfApi, get_token

    name = hub.parse_repo(repo)
    if name is None or name[1]:
        raise HubError(f"expected a repository as user/repo, got {repo!r}")
    if not get_token():
        raise HubError("publishing needs a token with write access: log in with `hf auth login`, or set HF_TOKEN")
    hub.check_reachable()
    hub.translate_errors(lambda: HfApi(endpoint=hub.endpoint()).whoami(), repo)


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


def _repo_info(repo: str, kind: str) -> Any | None:  # noqa: ANN401 - ModelInfo, DatasetInfo or SpaceInfo
    from huggingface_hub import HfApi, errors

    try:
        return HfApi(endpoint=hub.endpoint()).repo_info(repo, repo_type=kind, files_metadata=True)
    except errors.GatedRepoError:
        raise
    except errors.RepositoryNotFoundError:
        return None


def _commit(plan: Plan, message: str, sdk: str | None) -> str:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    api = HfApi(endpoint=hub.endpoint())
    if plan.head is None:
        api.create_repo(plan.repo, repo_type=plan.kind, private=plan.private, space_sdk=sdk, exist_ok=True)
    operations: list[CommitOperationAdd | CommitOperationDelete]
    operations = [CommitOperationAdd(name, content) for name, content in sorted(plan.send.items())]
    operations += [CommitOperationDelete(name) for name in plan.delete]
    # With its parent named, the commit fails rather than mix with one that somebody else makes meanwhile.
    with warnings.catch_warnings():
        # A bundle's gallery is parquet, which the client takes for a dataset gone astray.
        warnings.filterwarnings("ignore", "It seems that you are about to commit a data file")
        commit = api.create_commit(
            plan.repo, operations, commit_message=message, repo_type=plan.kind, parent_commit=plan.head
        )
    return commit.oid


def _is_by_hand(readme: bytes) -> bool:
    """Whether somebody wrote it: more than front matter, and without our mark."""
    text = readme.decode("utf-8", errors="replace")
    _, _, body = text.removeprefix("---\n").partition("\n---") if text.startswith("---\n") else ("", "", text)
    return MARK not in text and bool(body.strip())


def _is_equal(content: Content, remote: Any) -> bool:  # noqa: ANN401 - RepoSibling
    if remote.size != _size(content):
        return False
    data = content.read_bytes() if isinstance(content, Path) else content
    if remote.lfs:
        return remote.lfs.sha256 == hashlib.sha256(data).hexdigest()
    return remote.blob_id == hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # as git names it


def _size(content: Content) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)
