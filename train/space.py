"""Puts the app on a Space of the Hub, serving a published bundle.

    python -m train.space --to user/space --bundle user/repo[@revision] [--public] [--dry-run]

sends the app's files in one commit and sets the Space's variable CBIR_BUNDLE to the bundle at its commit, so that the
Space changes only when somebody changes it. Without --bundle the variable stays as it is; a Space that has none serves
the embedded default.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

from cbir import hub
from cbir.errors import HubError
from train.cli import run_main
from train.upload import upload

ROOT = Path(__file__).resolve().parent.parent
APP_FILES = ("app.py", "requirements.txt", "README.md", "LICENSE", "docs/search.jpg")
APP_FOLDERS = ("cbir", "train", "samples/bundle")
# A Space installs requirements.txt as it is, and PyPI's torch for Linux brings gigabytes of CUDA.
CPU_INDEX = b"--extra-index-url https://download.pytorch.org/whl/cpu\n"
VARIABLE = "CBIR_BUNDLE"


def app_files() -> dict[str, Path | bytes]:
    """The files that a Space needs, by name."""
    names = [ROOT / name for name in APP_FILES]
    for folder in APP_FOLDERS:
        names += [
            path
            for path in sorted((ROOT / folder).rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
        ]
    files: dict[str, Path | bytes] = {path.relative_to(ROOT).as_posix(): path for path in names}
    files["requirements.txt"] = CPU_INDEX + (ROOT / "requirements.txt").read_bytes()
    return files


def deploy(repo: str, bundle: str | None, public: bool = False, dry_run: bool = False) -> str | None:
    """Sends the app to a Space and pins its bundle.

    Args:
        repo: Space, `user/space`.
        bundle: `user/repo[@revision]` of a published bundle; None to leave the Space's choice alone.
        public: whether a new Space is public.
        dry_run: print what would happen, change nothing.

    Returns:
        The Space's commit; None after a dry run.

    Raises:
        HubError: the bundle is not there, the Space holds something else, or the Hub refuses.
        HubUnreachableError: the Hub does not answer.
    """
    from huggingface_hub import HfApi

    pinned = None
    api = HfApi(endpoint=hub.endpoint())
    if bundle:
        name = hub.parse_repo(bundle)
        if name is None:
            raise HubError(f"expected a bundle as user/repo or user/repo@revision, got {bundle!r}")
        hub.check_reachable()
        info = hub.clear_errors(lambda: api.model_info(name[0], revision=name[1]), bundle)
        pinned = f"{name[0]}@{info.sha}"
    commit = upload(repo, "space", app_files(), _owned, "Apparel CBIR", not public, dry_run)
    if pinned:
        print(f"variable {VARIABLE}={pinned}")
        if info.private:
            page = f"{hub.endpoint()}/spaces/{repo}/settings"
            print(f"{name[0]} is private: add a token that may read it as the Space's secret HF_TOKEN at {page}")
    if commit and pinned:
        hub.clear_errors(lambda: api.add_space_variable(repo, VARIABLE, pinned), repo)
    return commit


def _owned(names: set[str], read: Callable[[str], bytes]) -> set[str] | None:
    """A Space is ours when it holds the library; then its code is what an earlier upload wrote."""
    if "cbir/__init__.py" not in names:
        return None
    return {name for name in names if name in APP_FILES or name.startswith(tuple(f"{f}/" for f in APP_FOLDERS))}


def main(argv: list[str] | None = None) -> int:
    """Runs the command in the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", required=True, metavar="user/space", help="Space on the Hub")
    parser.add_argument("--bundle", metavar="user/repo[@revision]", help="published bundle to serve")
    parser.add_argument("--public", action="store_true", help="make a new Space public")
    parser.add_argument("--dry-run", action="store_true", help="list what would happen, change nothing")
    args = parser.parse_args(argv)
    if commit := deploy(args.to, args.bundle, args.public, args.dry_run):
        print(f"published {hub.endpoint()}/spaces/{args.to} at {commit}")
    return 0


if __name__ == "__main__":
    run_main(main)
